"""JSON-RPC over HTTP, with both clients, against the standard library's server."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, CallTimeout, ConnectionLost, HttpTarget, ProtocolError, UsageError, connect
from rpcshell.client.dialects import Event
from tests.rpcshell import jsonrpc_peer
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.faces import Connect
from tests.rpcshell.http_peer import JSON, SayingHandler
from tests.rpcshell.peers import Peer, serving

Respond = Callable[["Handler", list[Any]], None]


class Handler(SayingHandler):
    """Has a peer say what it says, and a function of the test respond with it."""

    respond: Respond

    def do_POST(self) -> None:  # noqa: N802 - as http.server names it
        self.server.requests.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        said: list[Any] = []
        peer = jsonrpc_peer.Peer(said.append)
        peer.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        type(self).respond(self, said)


def as_json(handler: Handler, said: list[Any]) -> None:
    if said:
        handler.say(json.dumps(said[0], indent=2).encode(), JSON + "; charset=utf-8")
    else:
        handler.say(b"", status=202)


def as_events(handler: Handler, said: list[Any]) -> None:
    """A stream of events, whose end is the connection's."""
    events = b"".join(b": a comment\r\nevent: message\r\ndata: %s\r\n\r\n" % json.dumps(one).encode() for one in said)
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(events)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    requests: list[tuple[str, dict[str, str]]]
    connections = 0

    def process_request(self, *args: Any) -> None:
        self.connections += 1
        super().process_request(*args)

    @property
    def url(self) -> str:
        return f"jsonrpc:http://127.0.0.1:{self.server_address[1]}/rpc?v=1"


@contextmanager
def served(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), type("Responding", (Handler,), {"respond": staticmethod(respond)}))
    server.requests = []
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("respond", [as_json, as_events])
def test_calls_and_errors(connect: Connect, respond: Respond) -> None:
    with served(respond) as server, connect(server.url) as client:
        assert client.call("add", [1, 2]) == 3
        assert client.call("echo", {"text": "ü\n\0"}) == {"text": "ü\n\0"}
        assert client.call("echo", ["x" * 300_000]) == ["x" * 300_000]
        with pytest.raises(CallError, match="Method not found"):
            client.call("nope")
        path, headers = server.requests[0]
        assert path == "/rpc?v=1"
        assert headers["Content-Type"] == JSON
        assert headers["Host"] == server.url.split("/")[2]
        assert "text/event-stream" in headers["Accept"]


def test_one_connection_serves_calls_one_after_the_other(connect: Connect) -> None:
    with served(as_json) as server, connect(server.url) as client:
        assert [client.call("add", [number]) for number in range(5)] == list(range(5))
        assert server.connections == 1


def test_a_connection_that_the_server_has_closed_is_made_again(connect: Connect) -> None:
    with served(as_events) as server, connect(server.url) as client:
        assert [client.call("add", [number]) for number in range(3)] == [0, 1, 2]
        assert server.connections >= 3


def test_events_of_a_stream_are_the_clients() -> None:
    with served(as_events) as server, connect(server.url) as client:
        client.call("tell", [2])
        assert list(client.events(timeout=0)) == [Event("told", {"number": 0}), Event("told", {"number": 1})]


def test_headers_of_a_target_go_with_every_request(connect: Connect) -> None:
    with served(as_json) as server:
        target = HttpTarget(
            server.url.removeprefix("jsonrpc:"), (("Authorization", "Bearer s3cret"),), dialect="jsonrpc"
        )
        with connect(target) as client:
            client.call("add", [1])
        assert server.requests[0][1]["Authorization"] == "Bearer s3cret"
        assert "s3cret" not in f"{target} {target!r}"


@pytest.mark.parametrize(
    ("status", "kind", "body", "headers", "says"),
    [
        (401, "text/plain", b"who are you?", {}, r"HTTP 401 Unauthorized: who are you\? \(.*Authorization"),
        (404, "text/html", b"<h1>no\n such page</h1>", {}, "HTTP 404 Not Found: <h1>no such page</h1>.*the path"),
        (401, JSON, b'{"error":"invalid_token"}', {}, 'answered HTTP 401 Unauthorized: {"error":"invalid_token"}'),
        (200, "text/html", b"<h1>hello</h1>", {}, "answered no message: HTTP 200"),
        (200, JSON, b'{"detail":"hello"}', {}, "answered no message"),
        (200, JSON, b"{}", {"content-length": "1"}, "two lengths, Content-Length 1 and 2"),
        (200, JSON, b"{}", {"Content-Length": "2, 2"}, "Content-Length that is no number"),
        (307, "text/plain", b"", {"Location": "https://elsewhere.example/"}, "connect to https://elsewhere.example/"),
    ],
)
def test_a_response_that_is_no_reply_is_said(
    connect: Connect, status: int, kind: str, body: bytes, headers: dict[str, str], says: str
) -> None:
    def respond(handler: Handler, _: list[Any]) -> None:
        handler.say(body, kind, status, **headers)

    with served(respond) as server, connect(server.url) as client, pytest.raises(ProtocolError, match=says):
        client.call("add", [1])


@pytest.mark.parametrize("respond", [as_json, as_events])
def test_a_reply_with_what_json_has_no_word_for_ends_its_call_and_nothing_else(
    connect: Connect, respond: Respond
) -> None:
    def without_number(handler: Handler, said: list[Any]) -> None:
        if said[0].get("result") == 3:
            said[0]["result"] = float("nan")
        respond(handler, said)

    with served(without_number) as server, connect(server.url) as client:
        with pytest.raises(CallError, match="the reply cannot be read: NaN is no JSON"):
            client.call("add", [1, 2])
        assert client.call("add", [2, 3]) == 5


def test_an_error_in_the_body_of_a_bad_status_is_the_calls(connect: Connect) -> None:
    def respond(handler: Handler, said: list[Any]) -> None:
        handler.say(json.dumps(said[0]).encode(), status=400)

    with served(respond) as server, connect(server.url) as client, pytest.raises(CallError, match="not found"):
        client.call("nope")


def test_a_response_that_breaks_off_loses_the_call(connect: Connect) -> None:
    def respond(handler: Handler, _: list[Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.close_connection = True

    with served(respond) as server, connect(server.url) as client, pytest.raises(ConnectionLost) as caught:
        client.call("add", [1])
    assert caught.value.may_have_run


def test_a_call_that_hangs_holds_neither_others_nor_the_end() -> None:
    go_on = threading.Event()

    def respond(handler: Handler, said: list[Any]) -> None:
        if said and said[0]["result"] == "slow":
            go_on.wait(10)
        as_json(handler, said)

    with served(respond) as server:
        with connect(server.url) as client:
            with pytest.raises(CallTimeout):
                client.call("echo", "slow", timeout=0.1)
            assert client.call("echo", "quick") == "quick"
        go_on.set()


def test_tls(connect: Connect, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with (
        served(as_json, certificates.server()) as server,
        connect(server.url.replace("http:", "https:"), tls=certificates.trusting) as client,
    ):
        assert client.call("add", [1]) == 1


@pytest.mark.parametrize("dialect", ["qmp", "lsp", "jsonrpc+line"])
def test_what_is_not_spoken_over_http_is_refused(dialect: str) -> None:
    with pytest.raises(UsageError, match=rf"{re.escape(dialect)} is not spoken over HTTP \(over a socket"):
        connect(f"{dialect}:http://127.0.0.1:1/")


def test_who_does_not_speak_http_is_named(connect: Connect) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(b"SSH-2.0-OpenSSH\r\n")
        peer.wait_for_end()

    with (
        serving(serve) as server,
        connect(f"jsonrpc:http://{server.target}/") as client,
        pytest.raises(ProtocolError, match="no HTTP server"),
    ):
        client.call("add", [1])
