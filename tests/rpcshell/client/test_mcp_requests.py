"""What MCP's servers ask of their client: a person, a model, and where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, Client, Target, UsageError, connect_async
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Form
from tests.rpcshell.faces import Connect
from tests.rpcshell.mcp_peer import McpPeer
from tests.rpcshell.peers import serving


def asking(*rounds: dict[str, Any]) -> Any:
    """Replies that are no results yet, and then one."""
    waiting = list(rounds)

    def reply(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if waiting:
            yield {"id": id, "result": {"resultType": "input_required", **waiting.pop(0)}}
        else:
            yield {"id": id, "result": {"resultType": "complete", "structuredContent": params}}

    return reply


def test_what_a_server_without_sessions_asks_for_goes_with_the_call_once_more() -> None:
    ask = {"who": {"method": "elicitation/create", "params": {"message": "who?"}}, "where": {"method": "roots/list"}}
    rounds = asking({"inputRequests": ask, "requestState": "s1"}, {"requestState": "s2"})
    mcp = McpPeer({"tools/call": rounds}, modern=True)
    with serving(mcp) as server, connect_blocking(f"mcp:{server.target}") as client:
        client.on_request(lambda request: {"action": "accept"} if request.method.startswith("elic") else NotImplemented)
        params = client.call("t", {"x": 1})
    assert (params["name"], params["arguments"], params["requestState"]) == ("t", {"x": 1}, "s2")
    calls = [message for message in mcp.received if message["method"] == "tools/call"]
    assert len({call["id"] for call in calls}) == 3
    inputs = calls[1]["params"]["inputResponses"]
    assert (inputs["who"], calls[1]["params"]["requestState"]) == ({"action": "accept"}, "s1")
    assert inputs["where"]["roots"] == [{"uri": Path.cwd().as_uri(), "name": Path.cwd().name}]


WHO = {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": {"properties": {"name": {}}}}}


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"name": "Ada"}, {"action": "accept", "content": {"name": "Ada"}}),
        (None, {"action": "decline"}),
        (NotImplemented, {"action": "decline"}),
    ],
)
def test_a_function_fills_in_what_a_person_is_asked(connect: Connect, fields: Any, outcome: Any) -> None:
    forms: list[Form] = []

    def fill_in(form: Form) -> Any:
        forms.append(form)
        return fields

    mcp = McpPeer({"tools/call": asking({"inputRequests": {"who": WHO}})}, modern=True)
    with serving(mcp) as server, connect(f"mcp:{server.target}") as client:
        client.on_form(fill_in)
        assert client.call("t")["inputResponses"] == {"who": outcome}
    assert [(form.message, form.schema) for form in forms] == [("who?", {"properties": {"name": {}}})]


def test_a_coroutine_fills_in_what_a_person_is_asked() -> None:
    async def fill_in(form: Form) -> Any:
        await asyncio.sleep(0)
        return {"name": form.message}

    async def use(target: str) -> None:
        async with connect_async(target) as client:
            client.on_form(fill_in)
            params = await client.call("t")
            assert params["inputResponses"]["who"]["content"] == {"name": "who?"}

    mcp = McpPeer({"tools/call": asking({"inputRequests": {"who": WHO}})}, modern=True)
    with serving(mcp) as server:
        asyncio.run(use(f"mcp:{server.target}"))


@pytest.mark.parametrize("modern", [False, True])
def test_a_model_that_there_is_can_be_asked(connect: Connect, modern: bool) -> None:
    request = {"method": "sampling/createMessage", "params": {"maxTokens": 5}}
    mcp = McpPeer({"tools/call": asking({"inputRequests": {"k": request}})}, modern=modern)
    with serving(mcp) as server:
        said = {"role": "assistant", "content": {"type": "text", "text": "hm"}}
        answers = {"sampling/createMessage": lambda request: {**said, "model": str(request.params["maxTokens"])}}
        with connect(f"mcp:{server.target}", answers=answers) as client:
            params = client.call("t")
            assert params["inputResponses"] == {"k": {**said, "model": "5"}}
        with connect(f"mcp:{server.target}"):
            pass
    told = [str(message["params"]) for message in mcp.received if "apabilities" in str(message.get("params"))]
    assert "'sampling': {}" in told[0]
    assert "'sampling'" not in told[-1]


def test_what_only_answers_asks_for_nothing() -> None:
    with pytest.raises(UsageError, match="only answers"):
        Client(Target.parse("127.0.0.1:1"), answers={"x": lambda request: None})


def test_a_server_that_asks_for_what_was_refused_or_without_end_gets_no_further() -> None:
    refused = {"inputRequests": {"k": {"method": "sampling/createMessage", "params": {}}}}
    mcp = McpPeer({"tools/call": asking(refused, refused)}, modern=True)
    with serving(mcp) as server, connect_blocking(f"mcp:{server.target}") as client:
        with pytest.raises(CallError, match="no model to ask"):
            client.call("t")
        assert client.call("t")
    endless = asking(*[{"requestState": "again"}] * 200)
    with (
        serving(McpPeer({"tools/call": endless}, modern=True)) as server,
        connect_blocking(f"mcp:{server.target}") as client,
    ):
        with pytest.raises(CallError, match="has asked 100 times"):
            client.call("t")
        assert client.call("mcp:server/discover")
