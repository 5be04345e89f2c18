"""ACP as a dialect: sessions, what an agent does before its reply, permissions, and odd agents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rpcshell
from rpcshell import CallTimeout, ConnectionFailed, TcpTarget, UsageError
from rpcshell.client.dialects import Event, Partial, ServerRequest
from rpcshell.client.dialects.acp import Acp
from rpcshell.client.dialogue import Dialogue
from rpcshell.line.catalog import Catalog
from rpcwire import MAX_REPLY, Reply
from tests.rpcshell.client.test_dialogue import heard_by
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.jsonrpc_peer import serve as serve_jsonrpc
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import Handler, Peer, serving
from tests.rpcwire.feeding import cut, single_bytes

TARGET = TcpTarget("127.0.0.1", 1, dialect="acp")

RECORDED = (
    b'{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s1"}}\n'
    b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":'
    b'"agent_message_chunk","content":{"type":"text","text":"hello"}}}}\n'
    b'{"jsonrpc":"2.0","id":0,"method":"session/request_permission","params":{"sessionId":"s1","toolCall":'
    b'{"toolCallId":"t1","title":"rm"},"options":[{"optionId":"y","name":"Allow","kind":"allow_once"},'
    b'{"optionId":"n","name":"No","kind":"reject_once"}]}}\n'
    b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"other","update":{"sessionUpdate":"plan"}}}\n'
    b'{"jsonrpc":"2.0","id":2,"result":{"stopReason":"end_turn"}}\n'
    b'{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"Method not found: nope","data":{"method":"nope"}}}\n'
)
"""What an agent with the SDK of npm has said."""


def calling() -> Acp:
    dialect = Acp(MAX_REPLY)
    dialect.encode_call("session/new", None, meta=False, plain=False, number=1)
    named = {"text": "hi", "sessionId": "s1"}
    dialect.encode_call("session/prompt", named, meta=False, plain=False, number=2)
    return dialect


def heard(*pieces: bytes) -> list[Any]:
    return [
        msgspec.structs.replace(message, form=None) if isinstance(message, ServerRequest) else message
        for message in said(calling(), *pieces)
    ]


ASKED = json.loads(RECORDED.splitlines()[2])["params"]
UNDERSTOOD = [
    Reply("result", {"sessionId": "s1"}, 1),
    Partial("hello", 2),
    ServerRequest("session/request_permission", ASKED, 0),
    Event("session/update", {"sessionId": "other", "update": {"sessionUpdate": "plan"}}),
    Reply("result", {"stopReason": "end_turn"}, 2),
    Reply("error", {"code": -32601, "message": "Method not found: nope", "data": {"method": "nope"}}, 3),
]


@given(st.lists(st.integers(0, len(RECORDED)), max_size=8))
def test_a_recorded_conversation_means_the_same_however_it_is_cut(at: list[int]) -> None:
    assert heard(*cut(RECORDED + RECORDED[:20], at)) == UNDERSTOOD


def test_a_recorded_conversation_is_understood_byte_by_byte() -> None:
    assert heard(*single_bytes(RECORDED)) == UNDERSTOOD


ANYTHING: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["id", "method", "params", "result", "error"]),
    st.sampled_from(
        [
            *(None, 1, 2, [], {}, "session/update", "session/request_permission", {"sessionId": []}),
            *({"sessionId": "s1", "update": None}, {"options": [1, {"name": []}], "toolCall": []}),
        ]
    ),
)


@given(st.lists(ANYTHING, max_size=4), st.lists(st.integers(0, 300), max_size=3))
def test_whatever_an_agent_says_each_call_ends_once(messages: list[object], at: list[int]) -> None:
    stream = b"".join(json.dumps(message).encode() + b"\n" for message in messages)

    def fresh(hear: Any) -> Dialogue:
        return Dialogue(TARGET, Acp(MAX_REPLY), hear)

    whole = heard_by(fresh, [stream])
    assert [call for call, _ in heard_by(fresh, cut(stream, at))] == [call for call, _ in whole]


class Agent:
    """An agent that asks for permission upon a prompt, and tells what it was answered."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def __call__(self, peer: Peer) -> None:
        def say(**message: Any) -> None:
            peer.sock.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

        def update(session: str, text: str) -> None:
            chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
            say(method="session/update", params={"sessionId": session, "update": chunk})

        prompt: Any = None
        for message in taken_from("line", lambda: peer.sock.recv(65536)):
            self.heard.append(message)
            match message:
                case {"method": "initialize", "id": id}:
                    offers = {"loadSession": True, "sessionCapabilities": {"list": {}}}
                    info = {"name": "toy", "version": "1"}
                    say(id=id, result={"protocolVersion": 1, "agentCapabilities": offers, "agentInfo": info})
                case {"method": "session/new", "id": id}:
                    say(id=id, result={"sessionId": f"s{len(self.heard)}"})
                case {"method": "session/prompt", "params": {"prompt": [{"text": "hang"}]}}:
                    prompt = message
                case {"method": "session/prompt"}:
                    prompt = message
                    update(message["params"]["sessionId"], message["params"]["prompt"][0]["text"])
                    say(id=0, method="session/request_permission", params=ASKED)
                case {"method": "session/cancel"}:
                    say(id=prompt["id"], result={"stopReason": "cancelled"})
                case {"id": 0}:
                    update(prompt["params"]["sessionId"], json.dumps(message["result"]))
                    say(id=prompt["id"], result={"stopReason": "end_turn"})
                case {"id": id}:
                    say(id=id, result=message.get("params"))


def test_a_prompt_is_said_in_the_last_session_and_nothing_is_permitted_by_nobody(connect: Connect) -> None:
    agent = Agent()
    with serving(agent) as server, connect(f"acp:{server.target}") as client:
        with pytest.raises(UsageError, match="session/new begins one"):
            client.call("session/prompt", {"text": "hi"})
        client.call("session/new")
        assert agent.heard[-1]["params"] == {"cwd": str(Path.cwd()), "mcpServers": []}
        session = client.call("session/new", {"cwd": "/"})["sessionId"]
        parts: list[Any] = []
        assert client.call("session/prompt", {"text": "hi"}, partial=parts.append) == {"stopReason": "end_turn"}
        refused = {"outcome": {"outcome": "selected", "optionId": "n"}}
        assert parts == ["hi", json.dumps(refused)]
        prompt = next(one for one in agent.heard if one.get("method") == "session/prompt")
        assert prompt["params"] == {"sessionId": session, "prompt": [{"type": "text", "text": "hi"}]}
        assert client.call("session/set_mode", {"modeId": "ask"}) == {"modeId": "ask", "sessionId": session}
        assert client.call("session/cancel") is None


def test_a_person_chooses_what_is_permitted() -> None:
    dialect = calling()
    dialect.receive(RECORDED)
    asked: Any = next(iter(said_form(dialect)))
    assert asked.form.message == "The agent asks for permission: rm"
    assert asked.form.schema["properties"]["option"]["enum"] == ["Allow", "No"]
    chosen = {"outcome": {"outcome": "selected", "optionId": "y"}}
    assert asked.form.answer("accept", {"option": "Allow"}) == chosen
    assert asked.form.answer("decline", {}) == {"outcome": {"outcome": "cancelled"}}


def said_form(dialect: Acp) -> Iterator[Any]:
    while (message := dialect.next_event()) is not None:
        if isinstance(message, ServerRequest):
            yield message


def test_a_prompt_is_cancelled(connect: Connect) -> None:
    agent = Agent()
    with serving(agent) as server, connect(f"acp:{server.target}") as client:
        client.call("session/new")
        with pytest.raises(CallTimeout):
            client.call("session/prompt", {"text": "hang"}, timeout=0.1)
        assert client.call("mine", {"a": 1}) == {"a": 1}
        assert [one["method"] for one in agent.heard if "method" in one][-2:] == ["session/cancel", "mine"]


def test_the_methods_are_those_that_the_agent_is_capable_of() -> None:
    with serving(Agent()) as server, rpcshell.connect(f"acp:{server.target}") as client:
        offered = Catalog.from_openrpc(client.describe().document)
        assert (offered.title, offered.version) == ("toy", "1")
        assert {"session/prompt", "session/load", "session/list"} <= offered.methods.keys()
        assert not {"session/resume", "session/close"} & offered.methods.keys()
        client.call("session/new")
        client.call("session/new")
        assert client.complete("session/prompt", "sessionId", "", {}) == ["s3", "s2"]


def never(peer: Peer) -> None:
    peer.wait_for_end()


def other(peer: Peer) -> None:
    """A server of JSON-RPC that is no agent."""
    serve_jsonrpc("line", lambda: peer.sock.recv(65536), peer.sock.sendall)


def later(peer: Peer) -> None:
    """An agent of another version."""
    for message in taken_from("line", lambda: peer.sock.recv(65536)):
        peer.sock.sendall(
            json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": 2}}).encode() + b"\n"
        )


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (never, r"did not greet within 0\.3 s"),
        (other, "refuses to initialize: Method not found"),
        (later, "does not speak version 1 of ACP"),
    ],
)
def test_what_is_no_agent_is_said(connect: Connect, handler: Handler, says: str) -> None:
    with serving(handler) as server, pytest.raises(ConnectionFailed, match=says):
        connect(f"acp:{server.target}", connect_timeout=0.3 if handler is never else 10)


def hostile(peer: Peer) -> None:
    """Tells more than anybody reads, and asks more than anybody answers, before each reply."""
    for message in taken_from("line", lambda: peer.sock.recv(65536)):
        if "method" not in message:
            continue
        lines = [
            {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "x", "update": {}}},
            {"jsonrpc": "2.0", "id": 7, "method": "session/request_permission", "params": ASKED},
        ]
        peer.sock.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines) * 500)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": 1}}
        peer.sock.sendall(json.dumps(answer).encode() + b"\n")


def test_a_hostile_agent_keeps_nobody_from_calling(connect: Connect) -> None:
    with serving(hostile) as server, connect(f"acp:{server.target}") as client:
        for _ in range(2):
            assert client.call("mine", {}) == {"protocolVersion": 1}
