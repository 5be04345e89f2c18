"""DAP as a dialect: what its messages mean, breakpoints that are held, and odd adapters; a real one is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rpcshell
from rpcshell import CallError, CallTimeout, ConnectionFailed, TcpTarget, UsageError
from rpcshell.client.dialects import Event, ServerRequest
from rpcshell.client.dialects.dap import Dap
from rpcshell.client.dialects.recognition import Recognition
from rpcshell.client.dialogue import Dialogue
from rpcshell.line.catalog import Catalog
from rpcwire import MAX_REPLY, Reply
from tests.rpcshell.client.test_dialogue import heard_by
from tests.rpcshell.content_length_peer import Say, framed, never, speaking
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import serving
from tests.rpcwire.feeding import cut, single_bytes

TARGET = TcpTarget("127.0.0.1", 1, dialect="dap")

RECORDED = (
    b'Content-Length: 138\r\n\r\n{"seq": 1, "type": "event", "event": "output", "body": {"category": "telemetry", '
    b'"output": "ptvsd", "data": {"packageVersion": "1.8.22"}}}'
    b'Content-Length: 126\r\n\r\n{"seq": 4, "type": "response", "request_seq": 1, "success": false, "command": '
    b'"threads", "message": "Server is not available"}'
    b'Content-Length: 51\r\n\r\n{"seq": 9, "type": "event", "event": "initialized"}'
    b'Content-Length: 87\r\n\r\n{"seq": 12, "type": "response", "request_seq": 3, "success": true, "command": "launch"}'
    b'Content-Length: 144\r\n\r\n{"seq": 16, "type": "response", "request_seq": 2, "success": true, "command": '
    b'"threads", "body": {"threads": [{"id": 1, "name": "MainThread"}]}}'
    b'Content-Length: 51\r\n\r\n{"seq": 27, "type": "event", "event": "terminated"}'
)
"""What debugpy has said."""

UNDERSTOOD = [
    Event("output", {"category": "telemetry", "output": "ptvsd", "data": {"packageVersion": "1.8.22"}}),
    Reply("error", {"code": -32000, "message": "Server is not available"}, 1),
    Event("initialized", None),
    Reply("result", None, 3),
    Reply("result", {"threads": [{"id": 1, "name": "MainThread"}]}, 2),
    Event("terminated", None),
]


def calling(*commands: str) -> Dap:
    dialect = Dap(MAX_REPLY)
    for number, command in enumerate(commands, 1):
        dialect.encode_call(command, None, meta=False, plain=False, number=number)
    return dialect


@given(st.lists(st.integers(0, len(RECORDED)), max_size=8), st.integers(0, 60))
def test_a_recorded_conversation_means_the_same_however_it_is_cut(at: list[int], more: int) -> None:
    dialect = calling("threads", "threads", "pause")
    assert said(dialect, *cut(RECORDED + RECORDED[:more], at)) == UNDERSTOOD
    assert dialect.mid_frame == (more > 0)


def test_a_recorded_conversation_is_understood_byte_by_byte() -> None:
    assert said(calling("threads", "threads", "pause"), *single_bytes(RECORDED)) == UNDERSTOOD


ANYTHING: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["seq", "type", "event", "command", "request_seq", "success", "body", "message", "arguments"]),
    st.sampled_from(
        [
            *(None, 1, 2, True, "event", "response", "request", "initialized", "capabilities", [], {}, [1]),
            *({"capabilities": {"supportsCancelRequest": 1}}, {"error": {"format": "{a} {b}", "variables": {"a": 1}}}),
            {"error": {"id": [], "format": 1, "variables": None}},
        ]
    ),
)


@given(st.lists(ANYTHING, max_size=4), st.lists(st.integers(0, 300), max_size=3))
def test_whatever_an_adapter_says_each_call_ends_once(messages: list[object], at: list[int]) -> None:
    stream = framed(*messages)

    def fresh(hear: Any) -> Dialogue:
        return Dialogue(TARGET, Dap(MAX_REPLY), hear)

    whole = heard_by(fresh, [stream])
    assert [call for call, _ in heard_by(fresh, cut(stream, at))] == [call for call, _ in whole]


def sent(data: bytes) -> list[Any]:
    pieces = iter([data, b""])
    return [(one["command"], one.get("arguments")) for one in taken_from("content-length", lambda: next(pieces))]


class Adapter:
    """An adapter that is ready when something is launched, or before; notes all that it is told."""

    def __init__(self, *, early: bool = False, **capabilities: Any) -> None:
        self.heard: list[Any] = []
        self.commands: list[str] = []
        self._early = early
        self._capabilities = capabilities
        self._launch: Any = None

    def __call__(self, messages: Iterator[Any], say: Say) -> None:
        seq = 100

        def tell(**message: Any) -> None:
            nonlocal seq
            seq += 1
            say({"seq": seq, **message})

        def answer(message: Any, **body: Any) -> None:
            told = {"body": body} if body else {}
            tell(type="response", request_seq=message["seq"], success=True, command=message["command"], **told)

        for message in messages:
            self.heard.append(message)
            self.commands.append(message["command"])
            match message["command"]:
                case "initialize":
                    answer(message, **self._capabilities)
                    if self._early:
                        tell(type="event", event="initialized")
                case "launch":
                    self._launch = message
                    if not self._early:
                        tell(type="event", event="initialized")
                    if not self._capabilities.get("supportsConfigurationDoneRequest"):
                        answer(message)
                case "configurationDone":
                    answer(message)
                    answer(self._launch)
                case "setBreakpoints":
                    answer(message, breakpoints=[{"verified": True}])
                case "fail":
                    error = {"id": 7, "format": "no {what}: {why}", "variables": {"what": "thread"}}
                    tell(type="response", request_seq=message["seq"], success=False, message="x", body={"error": error})
                case "ask":
                    self._launch = message
                    tell(type="request", command=message["arguments"]["command"], arguments={})
                case "never":
                    pass
                case _ if message["type"] == "response":
                    answer(self._launch, said=message.get("message"), success=message["success"])
                case "grow":
                    tell(type="event", event="capabilities", body={"capabilities": {"supportsStepBack": True}})
                    answer(message)
                case _:
                    answer(message)


def test_breakpoints_are_held_until_there_is_a_program() -> None:
    filters = [{"filter": "raised", "default": False}, {"filter": "uncaught", "default": True}]
    adapter = Adapter(supportsConfigurationDoneRequest=True, exceptionBreakpointFilters=filters)
    with serving(speaking(adapter)) as server, rpcshell.connect(f"dap:{server.target}") as client:
        one, two = ({"source": {"path": path}, "breakpoints": [{"line": 3}]} for path in ("a", "b"))
        for arguments in ({**one, "breakpoints": []}, one, two):
            assert client.call("setBreakpoints", arguments) is None
        assert adapter.commands == ["initialize"]
        assert client.call("launch", {"program": "x"}) is None
        expected = ["launch", "setBreakpoints", "setBreakpoints", "setExceptionBreakpoints", "configurationDone"]
        assert adapter.commands[1:] == expected
        assert [message["arguments"] for message in adapter.heard[2:5]] == [one, two, {"filters": ["uncaught"]}]
        assert client.call("setBreakpoints", one) == {"breakpoints": [{"verified": True}]}
        told = list(client.events(timeout=0.1))
        assert [event.name for event in told] == ["initialized", "setBreakpoints", "setBreakpoints"]
        assert told[1].params == {"breakpoints": [{"verified": True}]}
    assert adapter.commands[-1] == "disconnect"
    assert [message["seq"] for message in adapter.heard] == list(range(1, len(adapter.heard) + 1))


def test_an_adapter_that_was_ready_before_is_told_at_the_launch() -> None:
    adapter = Adapter(early=True, supportsConfigurationDoneRequest=True)
    with serving(speaking(adapter)) as server, rpcshell.connect(f"dap:{server.target}") as client:
        assert next(iter(client.events())).name == "initialized"
        client.call("setFunctionBreakpoints", {"breakpoints": []})
        client.call("launch", {})
        assert adapter.commands == ["initialize", "setFunctionBreakpoints", "launch", "configurationDone"]


def test_own_filters_of_exceptions_stand_and_what_an_adapter_does_not_know_is_not_sent(connect: Connect) -> None:
    adapter = Adapter(exceptionBreakpointFilters=[{"filter": "a", "default": True}])
    with serving(speaking(adapter)) as server, connect(f"dap:{server.target}") as client:
        client.call("setExceptionBreakpoints", {"filters": []})
        client.call("launch", {})
        client.call("threads")
        assert adapter.commands == ["initialize", "launch", "setExceptionBreakpoints", "threads"]


def test_an_error_has_its_text(connect: Connect) -> None:
    with serving(speaking(Adapter())) as server, connect(f"dap:{server.target}") as client:
        with pytest.raises(CallError, match=r"no thread: \{why\}") as caught:
            client.call("fail")
        assert (caught.value.code, caught.value.data) == (7, {"reason": "x"})


@pytest.mark.parametrize(
    ("command", "says"), [("runInTerminal", "terminal"), ("startDebugging", "one program"), ("nope", "no method nope")]
)
def test_what_an_adapter_asks_is_declined(connect: Connect, command: str, says: str) -> None:
    with serving(speaking(Adapter())) as server, connect(f"dap:{server.target}") as client:
        answered = client.call("ask", {"command": command})
        assert answered["success"] is False
        assert says in answered["said"]


def test_the_requests_are_those_that_the_adapter_is_capable_of() -> None:
    adapter = Adapter(supportsSetVariable=True, supportsRestartRequest=False)
    with serving(speaking(adapter)) as server, rpcshell.connect(f"dap:{server.target}") as client:
        offered = Catalog.from_openrpc(client.describe().document)
        assert offered.method_noun == "request"
        assert {"launch", "setVariable", "stackTrace"} <= offered.methods.keys()
        assert not {"restart", "stepBack", "configurationDone"} & offered.methods.keys()
        assert "stopped" in offered.events
        assert offered.methods["launch"].params_schema["additionalProperties"] is True
        client.call("grow")
        assert "stepBack" in Catalog.from_openrpc(client.describe().document).methods
        assert any(event.offers_changed for event in client.events(timeout=0.1))


@pytest.mark.parametrize("capable", [True, False])
def test_a_call_is_cancelled_where_the_adapter_can(connect: Connect, capable: bool) -> None:
    adapter = Adapter(supportsCancelRequest=capable)
    with serving(speaking(adapter)) as server, connect(f"dap:{server.target}") as client:
        client.call("threads")
        with pytest.raises(CallTimeout):
            client.call("never", timeout=0.1)
        client.call("threads")
        cancels = [message["arguments"] for message in adapter.heard if message["command"] == "cancel"]
        assert cancels == ([{"requestId": 3}] if capable else [])


def test_threads_are_offered() -> None:
    def converse(messages: Iterator[Any], say: Say) -> None:
        for message in messages:
            threads = {"threads": [{"id": 1, "name": "a"}, {"id": 12, "name": "b"}]}
            say({"seq": 1, "type": "response", "request_seq": message["seq"], "success": True, "body": threads})

    with serving(speaking(converse)) as server, rpcshell.connect(f"dap:{server.target}") as client:
        assert client.complete("pause", "threadId", "", {}) == ["1", "12"]


def test_arguments_go_by_name(connect: Connect) -> None:
    with serving(speaking(Adapter())) as server, connect(f"dap:{server.target}") as client:
        for params in ([1], 1):
            with pytest.raises(UsageError, match="by name"):
                client.call("threads", params)


def test_the_adapter_is_asked_for_by_its_name(connect: Connect) -> None:
    adapter = Adapter()
    with serving(speaking(adapter)) as server, connect(f"dap:{server.target}", options={"adapter": "pwa-node"}):
        assert adapter.heard[0]["arguments"]["adapterID"] == "pwa-node"


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (RECORDED, True),
        (RECORDED[:100], False),
        (framed({"seq": 1, "type": "odd"}), False),
        (framed({"jsonrpc": "2.0", "id": 1, "result": None}), False),
        (Dap.guesses[0].said, False),
    ],
)
def test_it_is_recognised_by_its_numbers(first: bytes, found: bool) -> None:
    assert Dap.recognises(first, Dap.guesses[0]) == (Recognition("dap") if found else None)


def flood(messages: Iterator[Any], say: Say) -> None:
    """Tell more events than anybody reads."""
    for message in messages:
        for number in range(4000):
            say({"seq": number, "type": "event", "event": "output", "body": {"output": "x" * 50}})
        say({"seq": 1, "type": "response", "request_seq": message["seq"], "success": True})


def ask_on(messages: Iterator[Any], say: Say) -> None:
    """Ask on and on."""
    for message in messages:
        for number in range(900 if message["type"] == "request" else 0):
            say({"seq": number, "type": "request", "command": "runInTerminal", "arguments": {"args": ["x"]}})
        if message["type"] == "request":
            say({"seq": 1, "type": "response", "request_seq": message["seq"], "success": True})


def test_an_adapter_that_never_answers_the_handshake_is_said(connect: Connect) -> None:
    with serving(speaking(never)) as server, pytest.raises(ConnectionFailed, match=r"did not greet within 0\.2 s"):
        connect(f"dap:{server.target}", connect_timeout=0.2)


@pytest.mark.samples(1)
@pytest.mark.parametrize("hostile", [flood, ask_on])
def test_a_hostile_adapter_keeps_nobody_from_calling(connect: Connect, hostile: Any) -> None:
    with serving(speaking(hostile)) as server, connect(f"dap:{server.target}") as client:
        assert client.call("threads") is None
        assert client.call("threads") is None


def test_a_refusal_to_initialize_is_said(connect: Connect) -> None:
    def refuse(messages: Iterator[Any], say: Say) -> None:
        for message in messages:
            say({"seq": 1, "type": "response", "request_seq": message["seq"], "success": False, "message": "busy"})

    with serving(speaking(refuse)) as server, pytest.raises(ConnectionFailed, match="refuses to initialize: busy"):
        connect(f"dap:{server.target}")


def test_a_request_of_the_adapter_is_told_whole() -> None:
    asked = {"seq": 5, "type": "request", "command": "runInTerminal", "arguments": {"args": ["a"]}}
    assert said(Dap(MAX_REPLY), framed(asked)) == [ServerRequest("runInTerminal", {"args": ["a"]}, 5)]
