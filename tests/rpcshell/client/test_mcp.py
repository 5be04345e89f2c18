"""MCP as a dialect: what its messages mean, both eras, and odd servers. Real ones are in `test_mcp_servers`."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, ConnectionFailed, TcpTarget, UsageError, connect
from rpcshell.client.dialects import Event, Form, Partial, Progress, ServerRequest, Stray
from rpcshell.client.dialects.mcp.dialect import Mcp
from rpcshell.client.dialogue import Dialogue
from rpcshell.client.target import ChildTarget
from rpcshell.line.catalog import Catalog
from rpcwire import MAX_REPLY, Floats, Reply, TextFloat, decode_value
from tests.rpcshell.client.test_dialogue import heard_by
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.mcp_peer import McpPeer
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.rpcwire.feeding import cut, single_bytes

TARGET = TcpTarget("127.0.0.1", 1, dialect="mcp")

RECORDED = (
    b'{"method":"notifications/tools/list_changed","jsonrpc":"2.0"}\n'
    b"Starting default (STDIO) server...\n"
    b'{"level":"info","error":"none"}\n'
    b'{"method":"roots/list","jsonrpc":"2.0","id":0}\n'
    b'{"method":"notifications/progress","params":{"progress":1,"total":3,"progressToken":1},"jsonrpc":"2.0"}\n'
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":2,"message":"at 2"}}\n'
    b'{"result":{"content":[{"type":"text","text":"The sum of 1 and 2 is 3."}]},"jsonrpc":"2.0","id":1}\r\n'
    b'{"method":"notifications/message","params":{"level":"debug","data":"Debug-level message"},"jsonrpc":"2.0"}\n'
    b'{"jsonrpc":"2.0","id":2,"result":{"content":[{"text":"3","type":"text"}],"structuredContent":{"result":3}}}\n'
    b'{"jsonrpc":"2.0","id":3,"result":{"content":[{"text":"boom has failed","type":"text"}],"isError":true}}\n'
    b'{"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"Method not found","data":"nope"}}\n'
    b'{"jsonrpc":"2.0","id":5,"result":{"messages":[{"content":{"text":"hi A","type":"text"},"role":"user"}]}}\n'
    b'{"jsonrpc":"2.0","id":6,"result":{"contents":[{"mimeType":"application/json","text":"{\\"a\\":1}","uri":"note://x"}]}}\n'
)
"""What two servers have said, the one with Python's SDK and the everything server."""

CALLS = ("get-sum", "add", "boom", "mcp:nope", "prompt:greet", "resource:note://x")
UNDERSTOOD = [
    Event("notifications/tools/list_changed", None, offers_changed=True),
    Stray("Starting default (STDIO) server..."),
    Stray('{"level":"info","error":"none"}'),
    ServerRequest("roots/list", None, 0),
    Partial(Progress(1.0, 3.0), 1),
    Partial(Progress(2.0, None, "at 2"), 1),
    Reply("result", "The sum of 1 and 2 is 3.", 1),
    Event("notifications/message", {"level": "debug", "data": "Debug-level message"}),
    Reply("result", {"result": 3}, 2),
    Reply("error", {"code": -32000, "message": "boom has failed"}, 3),
    Reply("error", {"code": -32601, "message": "Method not found", "data": "nope"}, 4),
    Reply("result", [{"content": "hi A", "role": "user"}], 5),
    Reply("result", {"a": 1}, 6),
]


def calling(*methods: str) -> Mcp:
    dialect = Mcp(MAX_REPLY)
    for number, method in enumerate(methods, 1):
        dialect.encode_call(method, None, meta=False, plain=False, number=number)
    return dialect


@given(st.lists(st.integers(0, len(RECORDED)), max_size=8))
def test_a_recorded_conversation_means_the_same_however_it_is_cut(at: list[int]) -> None:
    assert said(calling(*CALLS), *cut(RECORDED, at)) == UNDERSTOOD


def test_a_recorded_conversation_is_understood_byte_by_byte() -> None:
    assert said(calling(*CALLS), *single_bytes(RECORDED)) == UNDERSTOOD


ANYTHING = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.sampled_from([None, 1, 2, 2**32 + 1, "changes"])},
    optional={
        "method": st.sampled_from(["notifications/progress", "elicitation/create", "notifications/x/list_changed"]),
        "params": st.dictionaries(
            st.sampled_from(["progressToken", "progress", "total", "requestedSchema"]),
            st.sampled_from([1, 2, None, True, {}, 10**400]),
        ),
        "result": st.dictionaries(
            st.sampled_from(
                ["content", "isError", "structuredContent", "resultType", "inputRequests", "contents", "messages"]
            ),
            st.sampled_from(
                [
                    True,
                    None,
                    "input_required",
                    [],
                    {},
                    [{"type": "text", "text": "x"}],
                    {"k": {"method": "ping"}},
                    {"k": 1},
                ]
            ),
        ),
        "error": st.sampled_from([None, "broken", {"code": 1, "message": "m"}]),
    },
)


@given(st.lists(ANYTHING, max_size=4), st.lists(st.integers(0, 300), max_size=3))
def test_whatever_a_server_says_each_call_ends_once(messages: list[object], at: list[int]) -> None:
    stream = b"".join(json.dumps(message).encode() + b"\n" for message in messages)

    def fresh(hear: Any) -> Dialogue:
        return Dialogue(TARGET, Mcp(MAX_REPLY), hear)

    whole = heard_by(fresh, [stream])
    assert [call for call, _ in heard_by(fresh, cut(stream, at))] == [call for call, _ in whole]


def test_names_tell_what_is_called() -> None:
    def sent(method: str, params: Any = None) -> Any:
        return json.loads(Mcp(MAX_REPLY).encode_call(method, params, meta=False, plain=False, number=7))

    meta = {"_meta": {"progressToken": 7}}
    assert sent("echo", {"a": 1})["params"] == {"name": "echo", "arguments": {"a": 1}, **meta}
    assert sent("tool:tools/list")["params"]["name"] == "tools/list"
    assert sent("prompt:p", {"n": 1, "t": "x"})["params"] == {"name": "p", "arguments": {"n": "1", "t": "x"}, **meta}
    assert sent("prompt:p", {"n": TextFloat("2.50")})["params"]["arguments"] == {"n": "2.50"}
    assert sent("resource:a://{b}", {"b": "c d"})["params"]["uri"] == "a://c%20d"
    assert sent("tools/list") == {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
    assert sent("mcp:x/y", {"z": 1}) == {"jsonrpc": "2.0", "id": 7, "method": "x/y", "params": {"z": 1}}
    assert sent("tools/call", {"name": "a", "_meta": {"mine": 1}})["params"]["_meta"] == {"progressToken": 7, "mine": 1}


def test_params_go_by_name_only(connect: Connect) -> None:
    with serving(McpPeer()) as server, connect(f"mcp:{server.target}") as client:
        with pytest.raises(UsageError, match="by name"):
            client.call("echo", [1])
        assert client.call("echo", {"a": 1})["arguments"] == {"a": 1}


@pytest.mark.parametrize("modern", [False, True])
def test_both_eras_of_the_protocol(connect: Connect, modern: bool) -> None:
    mcp = McpPeer(modern=modern)
    with serving(mcp) as server, connect(f"mcp:{server.target}") as client:
        assert client.call("tool1")["name"] == "tool1"
        with connect(f"mcp:{server.target}"):
            pass
    sent = [message["method"] for message in mcp.received[:3]]
    if not modern:
        assert sent == ["initialize", "notifications/initialized", "tools/call"]
        return
    assert sent == ["initialize", "server/discover", "subscriptions/listen"]
    meta = mcp.received[1]["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"]["elicitation"] == {"form": {}, "url": {}}


@pytest.mark.parametrize("modern", [False, True])
def test_all_pages_of_a_list_are_in_the_description(modern: bool) -> None:
    with serving(McpPeer(modern=modern)) as server, connect(f"mcp:{server.target}") as client:
        catalog = Catalog.from_openrpc(client.describe().document)
    assert [name for name in catalog.methods if name.startswith("tool") and "/" not in name] == [
        f"tool{n}" for n in range(5)
    ]
    assert (catalog.title, catalog.version) == ("peer", "2" if modern else "1")
    assert ("server/discover" in catalog.methods) is modern
    assert ("mcp:ping" in catalog.methods) is not modern


def test_a_call_that_is_given_up_is_cancelled_by_its_id() -> None:
    mcp = McpPeer({"tools/call": lambda id, params: iter(())})
    with serving(mcp) as server, connect(f"mcp:{server.target}") as client:
        with pytest.raises(CallTimeout):
            client.call("slow", timeout=0.05)
        with pytest.raises(CallError):
            client.call("mcp:next")
    call = next(message for message in mcp.received if message["method"] == "tools/call")
    cancelled = next(message for message in mcp.received if message["method"] == "notifications/cancelled")
    assert cancelled["params"]["requestId"] == call["id"]


def test_a_servers_requests_are_answered_where_nobody_else_does() -> None:
    dialect = Mcp(MAX_REPLY)
    assert dialect.default_answer(ServerRequest("ping", None, 1)) == {}
    assert dialect.default_answer(ServerRequest("elicitation/create", {}, 1)) == {"action": "decline"}
    assert dialect.default_answer(ServerRequest("sampling/createMessage", {}, 1)).code == -1
    assert dialect.default_answer(ServerRequest("other", {}, 1)).code == -32601


def test_what_a_person_is_asked_is_a_form() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    asked = b'{"jsonrpc":"2.0","id":3,"method":"elicitation/create","params":{"message":"who?","requestedSchema":%s}}\n'
    (request,) = said(Mcp(MAX_REPLY), asked % b'{"type":"object","properties":{"name":{"type":"string"}}}')
    form: Form = request.form
    assert (form.message, form.schema) == ("who?", schema)
    assert form.answer("accept", {"name": "A"}) == {"action": "accept", "content": {"name": "A"}}
    assert form.answer("cancel", {}) == {"action": "cancel"}


def test_a_resource_is_found_by_its_name_without_a_catalog() -> None:
    def templates(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        page = [{"name": "note", "uriTemplate": "note://{name}"}] if params else []
        yield {"id": id, "result": {"resourceTemplates": page, **({} if params else {"nextCursor": "2"})}}

    def resources(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "result": {"resources": [{"name": "settings", "uri": "config://main"}]}}

    def read(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "result": {"contents": [{"uri": params["uri"], "text": f"at {params['uri']}"}]}}

    mcp = McpPeer({"resources/templates/list": templates, "resources/list": resources, "resources/read": read})
    with serving(mcp) as server, connect(f"mcp:{server.target}") as client:
        assert client.call("resource:note", {"name": "x/y"}) == "at note://x%2Fy"
        assert client.call("resource:settings") == "at config://main"
        assert client.call("resource:other://z") == "at other://z"
        with pytest.raises(CallError, match="no resource none"):
            client.call("resource:none")


@pytest.mark.parametrize(
    ("replies", "says"),
    [
        ({"initialize": lambda id, params: iter(())}, r"did not greet within 0\.3 s"),
        ({"initialize": lambda id, params: iter([{"id": id, "result": []}])}, "says nothing"),
        ({"initialize": lambda id, params: iter([{"id": id, "result": {}}])}, "names no version"),
        ({"initialize": lambda id, params: iter([{"id": id, "error": {"code": 1, "message": "go away"}}])}, "go away"),
    ],
)
def test_a_handshake_that_fails_is_said_in_a_line(connect: Connect, replies: dict[str, Any], says: str) -> None:
    with serving(McpPeer(replies)) as server, pytest.raises(ConnectionFailed, match=says) as caught:
        connect(f"mcp:{server.target}", connect_timeout=0.3 if "within" in says else DEADLINE)
    assert "\n" not in str(caught.value)


def test_a_flood_of_events_and_of_requests_ends_no_client() -> None:
    flooded = threading.Event()

    def serve(peer: Peer) -> None:
        lines = peer.sock.makefile("rb")
        peer.sock.sendall(
            json.dumps(
                {"jsonrpc": "2.0", "id": json.loads(next(lines))["id"], "result": {"protocolVersion": "x"}}
            ).encode()
            + b"\n"
        )
        called = threading.Event()

        def drain() -> None:
            # A client that goes with events unread resets the connection.
            with lines, contextlib.suppress(ConnectionResetError):
                for line in lines:
                    if b"tools/call" in line:
                        called.set()

        draining = threading.Thread(target=drain, daemon=True)
        draining.start()
        event = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}\n'
        ask = b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}\n'
        for _ in range(10):
            peer.sock.sendall((event + ask) * 500)
        flooded.set()
        called.wait()
        peer.sock.sendall(b'{"jsonrpc":"2.0","id":2,"result":{"content":[]}}\n')
        draining.join()

    with serving(serve) as server, connect(f"mcp:{server.target}") as client:
        assert client.call("t", timeout=None) is None
        assert flooded.is_set()
        assert next(client.events()).name == "notifications/message"


def test_lists_without_end_are_read_to_an_end() -> None:
    pages = iter(range(10**9))

    def endless(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "result": {"tools": [{"name": f"t{next(pages)}"}], "nextCursor": str(next(pages))}}

    with serving(McpPeer({"tools/list": endless})) as server, connect(f"mcp:{server.target}") as client:
        assert len(client.describe().document["methods"]) < 400


def test_why_nothing_is_listed_is_told() -> None:
    def refuse(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "error": {"code": -32000, "message": "not today"}}

    with serving(McpPeer({"tools/list": refuse})) as server, connect(f"mcp:{server.target}") as client:
        described = client.describe()
    assert (described.missing, described.reason) == ("unknown", "it does not list what it has: not today")


@pytest.mark.parametrize(("floats", "text"), [("float", "1.5"), ("text", "1.50"), ("decimal", "1.50")])
def test_numbers_keep_their_spelling_where_that_is_wanted(floats: Floats, text: str) -> None:
    dialect = Mcp(MAX_REPLY, floats)
    number = decode_value(b"1.50", floats)
    sent = json.loads(dialect.encode_call("prompt:p", {"n": number}, meta=False, plain=False, number=1))
    assert sent["params"]["arguments"] == {"n": text}
    dialect.encode_call("resource:a:b", None, meta=False, plain=False, number=2)
    content = {"mimeType": "application/json", "text": "1.50"}
    (reply,) = said(
        dialect, json.dumps({"jsonrpc": "2.0", "id": 2, "result": {"contents": [content]}}).encode() + b"\n"
    )
    assert reply.result == number


CHATTY = """
import json, sys
print("Starting...")
for line in sys.stdin:
    message = json.loads(line)
    print("42\\n[1]\\n{\\"level\\": 30, \\"error\\": \\"none\\"}\\n\\"text\\"\\n")
    if "id" in message:
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "content": [{"type": "text", "text": "hi"}]}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def test_what_a_child_prints_between_messages_is_for_the_log(connect: Connect) -> None:
    with connect(ChildTarget((sys.executable, "-S", "-c", CHATTY), dialect="mcp"), connect_timeout=60) as client:
        assert [client.call("t") for _ in range(3)] == ["hi"] * 3


def test_what_is_said_without_measure_before_the_greeting_is_kept_within_bounds(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("listening", "async_listening"):
        monkeypatch.setattr(f"rpcshell.client.{module}.MOST_EARLY", 3)

    def greet(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from ({"method": "early", "params": {"number": number}} for number in range(100))
        yield {"id": id, "result": {"protocolVersion": "2025-06-18", "capabilities": {}}}

    with serving(McpPeer({"initialize": greet})) as server, connect(f"mcp:{server.target}") as client:
        client.call("t")
        heard = client.hearing()._events
        assert [event.params["number"] for event in heard] == [0, 1, 2]
