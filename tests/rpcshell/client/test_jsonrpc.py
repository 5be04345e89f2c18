"""JSON-RPC over every framing and transport, with both clients, against a server that is not ours."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rpcshell import (
    CallError,
    CallTimeout,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    Target,
    UsageError,
    connect,
)
from rpcshell.client.dialects import Event, ServerRequest, Stray
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcwire import Reply
from rpcwire.framings import FRAMINGS
from tests.rpcshell import jsonrpc_peer
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, serving

FRAMING_NAMES = sorted(FRAMINGS)


def speaking(framing: str = "stream", **options: Any) -> Any:
    """A handler of connections."""

    def serve(peer: Peer) -> None:
        with suppress(SystemExit):
            jsonrpc_peer.serve(framing, lambda: peer.sock.recv(65536), peer.sock.sendall, **options)

    return serve


@contextmanager
def served(framing: str = "stream", dialect: str = "jsonrpc", **options: Any) -> Iterator[Target]:
    with serving(speaking(framing, **options)) as server:
        yield Target.parse(f"{dialect}:{server.target}")


def child(framing: str = "line") -> str:
    return f"jsonrpc+{framing}:exec:{sys.executable} {jsonrpc_peer.__file__} {framing}"


@pytest.mark.parametrize("framing", FRAMING_NAMES)
def test_calls_and_errors_over_every_framing(connect: Connect, framing: str) -> None:
    with served(framing, f"jsonrpc+{framing}") as target, connect(target) as client:
        assert client.call("add", [1, 2]) == 3
        assert client.call("echo", {"text": 'ü\n\0 {["', "big": 10**40}) == {"text": 'ü\n\0 {["', "big": 10**40}
        assert client.call("has_params") is False
        with pytest.raises(CallError) as caught:
            client.call("nope")
        assert (caught.value.code, caught.value.data) == (-32601, "nope")
        assert client.call("echo", ["x" * 300_000]) == ["x" * 300_000]


@pytest.mark.samples(4)
@pytest.mark.parametrize("framing", FRAMING_NAMES)
def test_calls_to_a_child_over_every_framing(connect: Connect, framing: str) -> None:
    with connect(child(framing)) as client:
        assert client.call("add", [1, 2]) == 3
        assert client.call("echo", ["x" * 300_000]) == ["x" * 300_000]


def test_version_1_takes_params_by_position_only(connect: Connect) -> None:
    with served("stream", "jsonrpc1", version="1.0") as target, connect(target) as client:
        assert client.call("add", [1, 2]) == 3
        assert client.call("echo") == []
        with pytest.raises(CallError, match="Method not found"):
            client.call("nope")
        with pytest.raises(UsageError, match="by position"):
            client.call("echo", {"a": 1})


def test_what_comes_in_a_batch_or_without_an_id_finds_its_call(connect: Connect) -> None:
    with served() as target, connect(target) as client:
        assert client.call("batch") == "batched"
        with pytest.raises(CallError, match="Parse error"):
            client.call("unreadable")
        assert client.call("add", [1]) == 1


def test_a_result_without_an_id_is_told_since_nobody_knows_whose_it_is() -> None:
    with served() as target, connect(target) as client:
        assert client.call("anonymous") is None
        assert list(client.events(timeout=0)) == [Event("reply", {"jsonrpc": "2.0", "result": "whose?"})]


def test_events_are_kept_until_somebody_takes_them() -> None:
    with served() as target, connect(target) as client:
        client.call("tell", [3])
        assert list(client.events(timeout=0)) == [Event("told", {"number": number}) for number in range(3)]


def test_events_come_while_nobody_calls() -> None:
    told = threading.Event()

    def serve(peer: Peer) -> None:
        assert told.wait(10)
        peer.sock.sendall(b'{"method":"late"}{"method":"later","params":[1]}')
        peer.wait_for_end()

    with serving(serve) as server, connect(f"jsonrpc:{server.target}") as client:
        events = client.events()
        told.set()
        assert [next(events), next(events)] == [Event("late"), Event("later", [1])]
        client.close()
        assert list(events) == []


def test_events_end_with_an_error_where_the_connection_does() -> None:
    tell = serving(lambda peer: peer.sock.sendall(b'{"method":"last"}'))
    with tell as server, connect(f"jsonrpc:{server.target}") as client:
        events = client.events()
        assert next(events) == Event("last")
        with pytest.raises(ConnectionLost):
            next(events)


def test_a_server_that_only_answers_has_no_events() -> None:
    with serving(lambda peer: peer.wait_for_end()) as server, connect(server.target) as client:
        for ask in (lambda: next(client.events()), lambda: client.on_request(None), lambda: client.on_log(None)):
            with pytest.raises(UsageError, match="only answers"):
                ask()


def test_the_servers_requests_are_answered_by_whoever_cares_to() -> None:
    def answer(request: ServerRequest) -> object:
        match request.method:
            case "name":
                return {"I am": request.params}
            case "refused":
                raise CallError("no", code=7, data=[1])
            case "broken":
                raise ValueError("oh")
            case "unsendable":
                return float("nan")
        return NotImplemented

    with served() as target, connect(target) as client:
        assert client.call("ask", ["name"])["code"] == -32601
        client.on_request(answer)
        assert client.call("ask", ["name", 1]) == {"I am": [1]}
        assert client.call("ask", ["refused"]) == {"code": 7, "message": "no", "data": [1]}
        assert client.call("ask", ["broken"]) == {"code": -32603, "message": "ValueError: oh"}
        assert client.call("ask", ["unsendable"])["code"] == -32603
        assert client.call("ask", ["other"])["code"] == -32601


def test_a_handler_of_requests_may_call_the_server_itself() -> None:
    with served() as target, connect(target) as client, connect(target) as other:
        client.on_request(lambda request: other.call("add", request.params))
        assert client.call("ask", ["sum", 1, 2]) == 3


def test_a_call_that_takes_too_long_leaves_the_connection_good(connect: Connect) -> None:
    with serving(speaking()) as server, connect(f"jsonrpc:{server.target}") as client:
        with pytest.raises(CallTimeout):
            client.call("keep", timeout=0.05)
        # The late reply is nobody's.
        assert client.call("release") == 2
        assert client.call("add", [1]) == 1
        assert server.accepted == 1


def test_what_has_come_of_a_reply_is_shown_and_a_server_that_broke_off_is_called_anew(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(peer: Peer) -> None:
        if peer.number:
            speaking()(peer)
            return
        peer.sock.recv(65536)
        peer.sock.sendall(b'{"jsonrpc":"2.0","id":1,"result":[')
        peer.wait_for_end()

    monkeypatch.setattr("rpcshell.client.any_listening._PAUSE", 0.0)
    with serving(serve) as server, connect(f"jsonrpc:{server.target}") as client:
        with pytest.raises(CallTimeout, match=re.escape('(part of a message has come: "{"jsonrpc":"2.0","id":1,')):
            client.call("add", [1], timeout=0.5)
        assert client.call("add", [1]) == 1
        assert server.accepted == 2


def test_an_end_inside_a_message_is_told_with_what_has_come_of_it(connect: Connect) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(65536)
        peer.sock.sendall(b'{"jsonrpc":"2.0","id":1')

    came = r'after 23 bytes of a frame; .* \(it begins with "{"jsonrpc":'
    with (
        serving(serve) as server,
        connect(f"jsonrpc:{server.target}") as client,
        pytest.raises(ConnectionLost, match=came),
    ):
        client.call("add", [1])


@pytest.mark.parametrize("dialect", ["lsp", "qmp"])
def test_what_a_server_said_instead_of_a_greeting_is_shown(connect: Connect, dialect: str) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(b'{"a": 1')
        peer.wait_for_end()

    with serving(serve) as server, pytest.raises(ConnectionFailed, match=r'but said "{"a": 1" \(is this the dialect'):
        connect(f"{dialect}:{server.target}", connect_timeout=1)


def test_the_server_is_asked_to_end_a_call_that_is_given_up(connect: Connect) -> None:
    with served("content-length", "jsonrpc+content-length") as target, connect(target) as client:
        with pytest.raises(CallTimeout):
            client.call("silence", timeout=0.05)
        assert client.call("received") == ["silence", "$/cancelRequest", "received"]


@pytest.mark.parametrize("framing", ["line", "stream"])
def test_a_connection_that_ends_is_made_again(connect: Connect, framing: str) -> None:
    with serving(speaking(framing)) as server, connect(f"jsonrpc+{framing}:{server.target}") as client:
        with pytest.raises(ConnectionLost) as caught:
            client.call("end")
        assert caught.value.may_have_run
        assert client.call("add", [1]) == 1
        assert server.accepted == 2


def test_how_a_child_ended_is_said(connect: Connect) -> None:
    with connect(child()) as client, pytest.raises(ConnectionLost) as caught:
        client.call("end", ["sorry"])
    assert "exit status 1" in caught.value.reason
    assert "sorry" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("jsonrpc:exec:/no/such/program", "no program"),
        ("jsonrpc:exec:/etc/passwd", "may not be run"),
        ("jsonrpc:127.0.0.1:1", "refused"),
        ("jsonrpc:http://127.0.0.1:1/", "refused"),
    ],
)
def test_what_cannot_be_reached_is_said(connect: Connect, target: str, says: str) -> None:
    with pytest.raises(ConnectionFailed, match=says):
        connect(target)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("jsonrpc+packet:127.0.0.1:1", "no framing 'packet'"),
        ("jsonrpc+line:http://127.0.0.1:1/", "not spoken over HTTP"),
        ("exec:cat", "sockets only"),
        ("native:exec:cat", "sockets only"),
        ("native:http://127.0.0.1:1/", "sockets only"),
        ("native+line:127.0.0.1:1", "no framing"),
    ],
)
def test_what_no_dialect_can_speak_is_refused(connect: Connect, target: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        connect(target)


def test_what_a_child_prints_is_no_message() -> None:
    lines: list[str] = []
    printed = threading.Event()

    def note(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            printed.set()

    with connect(child()) as client:
        client.on_log(note)
        assert client.call("print", ["Listening on stdio!"]) is None
        assert client.call("add", [1]) == 1
        assert printed.wait(10)
    assert lines == ["Listening on stdio!"] * 2


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server"),
        (b"SSH-2.0-OpenSSH_9\r\n", "an SSH server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS server"),
        (b"[1]", "does not answer as an RPC server"),
        (b'{"neither":1}', "does not answer as an RPC server"),
    ],
)
@pytest.mark.parametrize("framing", ["line", "stream"])
def test_who_speaks_something_else_is_named(connect: Connect, said: bytes, says: str, framing: str) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(said + b"\n")
        peer.wait_for_end()

    target = f"jsonrpc+{framing}:{{}}"
    with (
        serving(serve) as server,
        connect(target.format(server.target)) as client,
        pytest.raises(ProtocolError, match=says),
    ):
        client.call("add", [1])


def test_tls(connect: Connect, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with (
        serving(speaking(), tls=certificates.server()) as server,
        connect(f"jsonrpc:{server.target}", tls=certificates.trusting) as client,
    ):
        assert client.call("echo", ["x" * 300_000]) == ["x" * 300_000]


def test_discovery_asks_for_a_document_and_then_for_names() -> None:
    with served() as target, connect(target) as client:
        assert client.describe().document == jsonrpc_peer.DOCUMENT
    with served("stream", "jsonrpc1", version="1.0") as target, connect(target) as client:
        found = client.describe().document
        assert [method["name"] for method in found["methods"]] == ["add", "echo"]
    with served(version="none") as target, connect(target) as client:
        assert client.describe().missing == "unknown"
    with serving(lambda peer: peer.sock.recv(10)) as server, connect(f"jsonrpc:{server.target}") as client:
        assert client.describe().missing == "ended"


def test_a_flood_of_events_costs_neither_the_call_nor_the_memory() -> None:
    with served("line", "jsonrpc+line") as target, connect(target) as client:
        client.call("tell", [10_050])
        assert client.call("add", [1]) == 1
        events = list(client.events(timeout=0))
        assert len(events) == 10_000
        assert events[-1].params == {"number": 10_049}


def test_a_server_that_asks_without_end_and_never_listens_gets_no_further() -> None:
    def serve(peer: Peer) -> None:
        peer.sock.setblocking(True)
        with suppress(OSError):
            while True:
                peer.sock.sendall(b'{"id":1,"method":"ask","params":["%s"]}' % (b"x" * 1000) * 100)

    with serving(serve) as server, connect(f"jsonrpc:{server.target}") as client, pytest.raises(CallTimeout):
        client.call("add", [1], timeout=0.3)


def test_a_server_that_never_listened_and_leaves_is_noticed(connect: Connect) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                # Answers repeat the id: few of them are more than may be under way.
                peer.sock.sendall(b'{"id":"%s","method":"ask"}' % (b"x" * 10_000) * 10)
        peer.reset()

    with (
        serving(serve) as server,
        connect(f"jsonrpc:{server.target}") as client,
        pytest.raises(ConnectionLost),
    ):
        client.call("add", [1], timeout=DEADLINE)


@pytest.mark.parametrize("floats", ["float", "decimal", "text"])
@pytest.mark.parametrize("written", ["1", "1.0", '"1"', "1e0"])
def test_a_reply_is_known_by_its_number_however_that_is_written(written: str, floats: Any) -> None:
    dialect = JsonRpc(1000, floats)
    dialect.receive(b'{"jsonrpc":"2.0","result":5,"id":%s}' % written.encode())
    reply = dialect.next_event()
    assert isinstance(reply, Reply)
    assert reply.id == 1


@pytest.mark.parametrize("written", ["true", "1.5", "1E400", '"x"', '""', '"²"', "{}", "[1]", f'"{"1" * 5000}"'])
def test_what_is_no_number_is_the_reply_to_no_call(written: str) -> None:
    dialect = JsonRpc(10_000, "text")
    dialect.receive(b'{"jsonrpc":"2.0","result":5,"id":%s}' % written.encode())
    assert isinstance(dialect.next_event(), Event)


def test_what_a_child_prints_on_the_line_of_a_message_is_no_part_of_it() -> None:
    dialect = JsonRpc(1000, framing="line")
    dialect.expect_printed()
    dialect.receive(b'50 % {"jsonrpc":"2.0","result":5,"id":1}\n')
    assert dialect.next_event() == Stray("50 % ")
    assert dialect.next_event() == Reply("result", 5, id=1)
