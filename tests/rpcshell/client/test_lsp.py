"""LSP as a dialect: what its messages mean, files, and odd servers. Real ones are in `test_lsp_servers`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rpcshell
from rpcshell import CallError, ConnectionFailed, TcpTarget, UsageError
from rpcshell.client.dialects import Description, Event, ServerRequest
from rpcshell.client.dialects.lsp import Lsp
from rpcshell.client.dialects.recognition import Recognition
from rpcshell.client.dialogue import Dialogue
from rpcshell.line.catalog import Catalog
from rpcshell.line.check import check
from rpcshell.line.language import CallLine, parse
from rpcwire import MAX_REPLY, Reply
from tests.rpcshell.client.test_dialogue import heard_by
from tests.rpcshell.content_length_peer import Say, framed, never, speaking
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import serving
from tests.rpcwire.feeding import cut, single_bytes

TARGET = TcpTarget("127.0.0.1", 1, dialect="lsp")

RECORDED = (
    b"Content-Length: 119\r\n\r\n"
    b'{"jsonrpc":"2.0","method":"window/logMessage","params":{"type":3,"message":"Pyright language server 1.1.414 st'
    b'arting"}}'
    b"Content-Length: 119\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n"
    b'{"params": {"type": 1, "message": "Error in server: Invalid Params"}, "method": "window/showMessage", "jsonrpc'
    b'": "2.0"}'
    b"Content-Length: 134\r\n\r\n"
    b'{"jsonrpc":"2.0","id":0,"method":"workspace/configuration","params":{"items":[{"scopeUri":"file:///run/example'
    b'","section":"python"}]}}'
    b"Content-Length: 102\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n"
    b'{"jsonrpc":"2.0","id":1,"result":{"contents":{"kind":"markdown","value":"```python\\nf(a, b=1)\\n```"}}}'
    b"Content-Length: 122\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n"
    b'{"jsonrpc":"2.0","method":"textDocument\\/publishDiagnostics","params":{"uri":"file:\\/\\/\\/x","diagnostics":'
    b'[],"version":1}}'
    b"Content-Length: 137\r\n\r\n"
    b'{"jsonrpc":"2.0","id":2,"method":"client/registerCapability","params":{"registrations":[{"id":"a1","method":"t'
    b'extDocument/formatting"}]}}'
    b"Content-Length: 78\r\n\r\n"
    b'{"jsonrpc":"2.0","id":2,"error":{"code":-32800,"message":"request cancelled"}}'
    b"Content-Length: 91\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n"
    b'{"error": {"code": -32601, "message": "Method Not Found: nope"}, "jsonrpc": "2.0", "id": 4}'
)
"""What pyright, jedi-language-server and pylsp have said."""

REGISTERED = {"registrations": [{"id": "a1", "method": "textDocument/formatting"}]}
UNDERSTOOD = [
    Event("window/logMessage", {"type": 3, "message": "Pyright language server 1.1.414 starting"}),
    Event("window/showMessage", {"type": 1, "message": "Error in server: Invalid Params"}),
    ServerRequest("workspace/configuration", {"items": [{"scopeUri": "file:///run/example", "section": "python"}]}, 0),
    Reply("result", {"contents": {"kind": "markdown", "value": "```python\nf(a, b=1)\n```"}}, 1),
    Event("textDocument/publishDiagnostics", {"uri": "file:///x", "diagnostics": [], "version": 1}),
    ServerRequest("client/registerCapability", REGISTERED, 2),
    Event("client/registerCapability", REGISTERED, offers_changed=True),
    Reply("error", {"code": -32800, "message": "request cancelled"}, 2),
    Reply("error", {"code": -32601, "message": "Method Not Found: nope"}, 4),
]


@given(st.lists(st.integers(0, len(RECORDED)), max_size=8), st.integers(0, 60))
def test_a_recorded_conversation_means_the_same_however_it_is_cut(at: list[int], more: int) -> None:
    dialect = Lsp(MAX_REPLY)
    assert said(dialect, *cut(RECORDED + RECORDED[:more], at)) == UNDERSTOOD
    assert dialect.mid_frame == (more > 0)


def test_a_recorded_conversation_is_understood_byte_by_byte() -> None:
    assert said(Lsp(MAX_REPLY), *single_bytes(RECORDED)) == UNDERSTOOD


ANYTHING: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]),
    st.sampled_from(
        [
            *(None, 1, 2, "2.0", [], {}, [None], 10**400),
            *("client/registerCapability", "client/unregisterCapability", "window/showMessageRequest"),
            {"registrations": [{"id": 1, "method": "textDocument/hover"}]},
            *({"registrations": [{}]}, {"unregisterations": [1]}, {"actions": [{"title": 1}, {}]}),
        ]
    ),
)


@given(st.lists(ANYTHING, max_size=4), st.lists(st.integers(0, 300), max_size=3))
def test_whatever_a_server_says_each_call_ends_once(messages: list[object], at: list[int]) -> None:
    stream = b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in map(dumped, messages))

    def fresh(hear: Any) -> Dialogue:
        return Dialogue(TARGET, Lsp(MAX_REPLY), hear)

    whole = heard_by(fresh, [stream])
    assert [call for call, _ in heard_by(fresh, cut(stream, at))] == [call for call, _ in whole]


def dumped(message: object) -> bytes:
    return json.dumps(message).encode()


def sent(dialect: Lsp, method: str, params: Any = None, *, number: int = 7) -> list[Any]:
    data = dialect.encode_call(method, params, meta=False, plain=False, number=number)
    pieces = iter([data, b""])
    return list(taken_from("content-length", lambda: next(pieces)))


CAPABILITIES = {
    "hoverProvider": True,
    "definitionProvider": {},
    "declarationProvider": False,
    "renameProvider": {"prepareProvider": True},
    "semanticTokensProvider": {"full": {"delta": False}},
    "textDocumentSync": 2,
    "executeCommandProvider": {"commands": ["fix.all"]},
}


def serve(messages: Iterator[Any], say: Say) -> None:
    """A server that answers most calls with its params, and asks what servers ask."""
    asked: list[Any] = []
    for message in messages:
        match message:
            case {"method": "initialize", "id": id}:
                info = {"name": "toy", "version": "3"}
                say({"jsonrpc": "2.0", "id": id, "result": {"capabilities": CAPABILITIES, "serverInfo": info}})
            case {"method": "ask", "id": id, "params": params}:
                asked.append(id)
                say({"jsonrpc": "2.0", "id": "its own", **params})
            case {"method": str(), "id": id}:
                say({"jsonrpc": "2.0", "id": id, "result": message.get("params")})
            case {"id": "its own"}:
                say({"jsonrpc": "2.0", "id": asked.pop(), "result": message.get("result", message.get("error"))})


def catalog(client: Any) -> Catalog:
    found = client.describe()
    assert isinstance(found, Description)
    return Catalog.from_openrpc(found.document)


def test_the_methods_are_those_that_the_server_is_capable_of() -> None:
    with serving(speaking(serve)) as server, rpcshell.connect(f"lsp:{server.target}") as client:
        offered = catalog(client)
        assert (offered.title, offered.version) == ("toy", "3")
        assert {"textDocument/hover", "textDocument/definition", "textDocument/prepareRename"} <= offered.methods.keys()
        assert {"textDocument/semanticTokens/full", "textDocument/didOpen"} <= offered.methods.keys()
        assert not {"textDocument/declaration", "codeLens/resolve", "textDocument/formatting"} & offered.methods.keys()
        assert "textDocument/semanticTokens/full/delta" not in offered.methods
        assert "textDocument/willSaveWaitUntil" not in offered.methods
        command = offered.methods["workspace/executeCommand"].params[0]
        assert command.schema["examples"] == ["fix.all"]
        assert "textDocument/publishDiagnostics" in offered.events
        one = {"id": "1", "method": "textDocument/formatting", "registerOptions": {}}
        client.call("ask", {"method": "client/registerCapability", "params": {"registrations": [one]}})
        assert "textDocument/formatting" in catalog(client).methods
        client.call("ask", {"method": "client/unregisterCapability", "params": {"unregisterations": [one]}})
        assert "textDocument/formatting" not in catalog(client).methods


def test_params_are_checked_in_both_forms() -> None:
    with serving(speaking(serve)) as server, rpcshell.connect(f"lsp:{server.target}") as client:
        hover = catalog(client).methods["textDocument/hover"]
    assert hover.signature == "textDocument/hover(file: string, line: integer, character: integer)"

    def problems(params: str) -> list[str]:
        body = parse(f"textDocument/hover {params}").body
        assert isinstance(body, CallLine)
        assert body.params is not None
        return [problem.message for problem in check(body.params, hover.params_schema, hover.resolve)]

    assert problems("file=x line=1 character=1") == []
    assert problems('{"textDocument": {"uri": "x"}, "position": {"line": 1, "character": 1}}') == []
    assert problems("file=x line=-1 character=1") != []
    assert problems("file=x lin=1 character=1") != []


def test_what_a_server_asks_is_answered(connect: Connect) -> None:
    settings = {"python": {"analysis": {"mode": "strict"}}, "a.b": 1}
    items = [{"section": section} for section in ("python.analysis", "python", "nope", "a.b", "python.analysis.mode.x")]
    with serving(speaking(serve)) as server, connect(f"lsp:{server.target}", options={"settings": settings}) as client:

        def answer(method: str, params: Any = None) -> Any:
            return client.call("ask", {"method": method, "params": params})

        mode = {"mode": "strict"}
        assert answer("workspace/configuration", {"items": items}) == [mode, {"analysis": mode}, None, 1, None]
        assert answer("workspace/workspaceFolders")[0]["uri"] == Path.cwd().as_uri()
        assert answer("window/workDoneProgress/create", {"token": 1}) is None
        assert answer("workspace/semanticTokens/refresh") is None
        assert answer("window/showMessageRequest", {"type": 1, "message": "?", "actions": [{"title": "Yes"}]}) is None
        assert answer("workspace/applyEdit", {"edit": {}})["applied"] is False
        assert answer("window/showDocument", {"uri": "x"}) == {"success": False}
        assert answer("nope")["code"] == -32601


def test_a_person_chooses_among_the_actions_of_a_message() -> None:
    actions = [{"title": "Yes", "more": 1}, {"title": "No"}]
    params = {"type": 1, "message": "Restart?", "actions": actions}
    (asked,) = said(
        Lsp(MAX_REPLY), framed({"jsonrpc": "2.0", "id": 5, "method": "window/showMessageRequest", "params": params})
    )
    form = asked.form
    assert form.message == "Restart?"
    assert form.schema["properties"]["action"]["enum"] == ["Yes", "No"]
    assert form.answer("accept", {"action": "Yes"}) == actions[0]
    assert form.answer("decline", {}) is None


def test_it_is_initialized_told_what_is_configured_and_left(connect: Connect) -> None:
    heard: list[Any] = []

    def note(messages: Iterator[Any], say: Say) -> None:
        def noted() -> Iterator[Any]:
            for message in messages:
                heard.append(message)
                yield message

        serve(noted(), say)

    options = {"settings": {"a": 1}, "initialization-options": {"b": 2}, "root": "/"}
    with serving(speaking(note)) as server, connect(f"lsp:{server.target}", options=options):
        pass
    names = ["initialize", "initialized", "workspace/didChangeConfiguration", "shutdown", "exit"]
    assert [message["method"] for message in heard] == names
    params = heard[0]["params"]
    assert params["initializationOptions"] == {"b": 2}
    assert params["rootUri"] == params["workspaceFolders"][0]["uri"] == "file:///"
    assert params["capabilities"]["workspace"]["configuration"] is True


@pytest.mark.parametrize("options", [{"setting": {}}, {"settings": 1}])
def test_options_that_make_no_sense_are_said(connect: Connect, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"options of the target make no sense: .*setting"):
        connect("lsp:127.0.0.1:1", options=options)
    with pytest.raises(UsageError, match="no options"):
        connect("qmp:127.0.0.1:1", options=options)


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (RECORDED, True),
        (RECORDED[:100], False),
        (framed({"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {}}}), True),
        (framed({"jsonrpc": "2.0", "id": 1, "error": {"code": -32002, "message": "not initialized"}}), True),
        (framed({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}), False),
        (framed({"jsonrpc": "2.0", "method": "told"}), False),
        (b'{"jsonrpc":"2.0","id":1,"result":{"capabilities":{}}}\n', False),
    ],
)
def test_it_is_recognised_by_what_only_language_servers_say(first: bytes, found: bool) -> None:
    assert Lsp.recognises(first, Lsp.guesses[0]) == (Recognition("lsp") if found else None)


def flood(messages: Iterator[Any], say: Say) -> None:
    """Tell more events than anybody reads, before and behind each reply."""
    for message in messages:
        for number in range(3000):
            say({"jsonrpc": "2.0", "method": "window/logMessage", "params": {"type": 4, "message": str(number)}})
        if "id" in message:
            say({"jsonrpc": "2.0", "id": message["id"], "result": {"capabilities": {}}})


def ask_on(messages: Iterator[Any], say: Say) -> None:
    """Ask on and on, for something to be registered too."""
    for message in messages:
        for number in range(300 if "method" in message else 0):
            one = {"id": str(number), "method": "textDocument/hover"}
            params = {"registrations": [one], "items": [{}] * 10}
            for method in ("workspace/configuration", "client/registerCapability", "nope"):
                say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        if "method" in message and "id" in message:
            say({"jsonrpc": "2.0", "id": message["id"], "result": {"capabilities": {}}})


def test_a_server_that_never_answers_the_handshake_is_said(connect: Connect) -> None:
    with serving(speaking(never)) as server, pytest.raises(ConnectionFailed, match=r"did not greet within 0\.2 s"):
        connect(f"lsp:{server.target}", connect_timeout=0.2)


def test_a_flood_of_events_keeps_nobody_from_calling(connect: Connect) -> None:
    with serving(speaking(flood)) as server, connect(f"lsp:{server.target}") as client:
        assert client.call("textDocument/hover", {}) == {"capabilities": {}}
        assert client.call("textDocument/hover", {}) == {"capabilities": {}}


def test_requests_without_end_keep_nobody_from_calling(connect: Connect) -> None:
    with serving(speaking(ask_on)) as server, connect(f"lsp:{server.target}") as client:
        assert client.call("last") == {"capabilities": {}}


def test_a_refusal_to_initialize_is_said(connect: Connect) -> None:
    def refuse(messages: Iterator[Any], say: Say) -> None:
        for message in messages:
            say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": 1, "message": "too old"}})

    def odd(messages: Iterator[Any], say: Say) -> None:
        for message in messages:
            say({"jsonrpc": "2.0", "id": message["id"], "result": [1]})

    for handler, says in ((refuse, "refuses to initialize: too old"), (odd, "does not tell what it is capable of")):
        with serving(speaking(handler)) as server, pytest.raises(ConnectionFailed, match=says):
            connect(f"lsp:{server.target}")


def test_an_error_has_its_code(connect: Connect) -> None:
    def fail(messages: Iterator[Any], say: Say) -> None:
        for message in messages:
            if message["method"] == "initialize":
                say({"jsonrpc": "2.0", "id": message["id"], "result": {"capabilities": {}}})
            elif "id" in message:
                say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32801, "message": "content modified"}})

    with serving(speaking(fail)) as server, connect(f"lsp:{server.target}") as client:
        with pytest.raises(CallError, match="content modified") as caught:
            client.call("textDocument/hover", {})
        assert caught.value.code == -32801
