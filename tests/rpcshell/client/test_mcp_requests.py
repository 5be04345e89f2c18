"""What MCP's servers ask of their client: a person, a model, and where it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, Client, Target, UsageError, connect_async
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Form, Progress, ServerRequest
from rpcshell.client.dialects.mcp.requests import for_a_person
from tests.rpcshell.faces import Connect
from tests.rpcshell.mcp_peer import McpPeer, interrupted
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


def url_asked(url: str) -> Form:
    params = {"mode": "url", "message": "Sign in.", "url": url, "elicitationId": "e1"}
    form = for_a_person(ServerRequest("elicitation/create", params, 1)).form
    assert form is not None
    return form


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://a@b.example:1/x", "To be opened in a browser, at b.example: https://a@b.example:1/x"),
        ("file:///etc/passwd", "To be opened in a browser: file:///etc/passwd"),
        ("http://[", "To be opened in a browser: http://["),
    ],
)
def test_a_page_to_visit_is_shown_whole_with_its_host_and_nothing_is_sent_but_the_word(url: str, said: str) -> None:
    form = url_asked(url)
    assert form.message == f"Sign in.\n{said}"
    assert not form.schema
    for action in ("accept", "decline", "cancel"):
        assert form.answer(action, {}) == {"action": action}


def test_pages_to_visit_before_a_call_are_in_its_error(connect: Connect) -> None:
    page = {"mode": "url", "message": "Sign in.", "url": "https://b.example/x", "elicitationId": "e1"}

    def refuse(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "error": {"code": -32042, "message": "Who are you?", "data": {"elicitations": [page, 7]}}}

    says = "Who are you\\? Sign in. To be opened in a browser, at b.example: https://b.example/x .*Then call again"
    with (
        serving(McpPeer({"tools/call": refuse})) as server,
        connect(f"mcp:{server.target}") as client,
        pytest.raises(CallError, match=says),
    ):
        client.call("t")


class Tasks(McpPeer):
    """Makes a task of what it is asked to, and gives its result when the test has it end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = threading.Event()

    def said(self, id: Any, method: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        task = {"taskId": "t1", "status": "working"}
        match method:
            case "initialize":
                for one in super().said(id, method, params):
                    made: Any = {"requests": {"tools": {"call": {}}}, "cancel": {}}
                    one["result"]["capabilities"]["tasks"] = made
                    yield one
            case "tools/list":
                tools = [{"name": "long", "execution": {"taskSupport": "required"}}, {"name": "short", "execution": 1}]
                yield {"id": id, "result": {"tools": tools}}
            case "tools/call" if "task" in params:
                yield {"id": id, "result": {"task": {**task, "statusMessage": "begun"}}}
                yield {"method": "notifications/tasks/status", "params": {**task, "statusMessage": "half done"}}
                yield {"method": "notifications/tasks/status", "params": {**task, "taskId": "other"}}
            case "tasks/result" if params["taskId"] == "t1" and self.ends.is_set():
                yield {"id": id, "result": {"content": [{"type": "text", "text": "done"}], "isError": True}}
            case "tasks/result":
                pass
            case _:
                yield from super().said(id, method, params)


def test_a_tool_that_has_to_be_a_task_is_one_and_its_result_is_that_of_the_call(connect: Connect) -> None:
    mcp = Tasks()
    mcp.ends.set()
    with serving(mcp) as server, connect(f"mcp:{server.target}") as client:
        came: list[Any] = []
        with pytest.raises(CallError, match="done"):
            client.call("long", {"x": 1}, partial=came.append)
        assert came == [Progress(text="begun"), Progress(text="half done")]
        assert client.call("short", {"x": 1})["arguments"] == {"x": 1}
    calls = [message["params"] for message in mcp.received if message["method"] == "tools/call"]
    assert ["task" in call for call in calls] == [True, False]


def test_a_task_that_is_given_up_is_cancelled() -> None:
    mcp = Tasks()
    with serving(mcp) as server, connect_blocking(f"mcp:{server.target}") as client:
        with pytest.raises(KeyboardInterrupt):
            client.call("long", partial=interrupted)
        assert client.call("short", {"x": 1})
    sent: dict[str, Any] = {message["method"]: message.get("params") for message in mcp.received}
    assert sent["tasks/cancel"] == {"taskId": "t1"}
    (asked,) = (message["id"] for message in mcp.received if message["method"] == "tasks/result")
    assert sent["notifications/cancelled"]["requestId"] == asked
