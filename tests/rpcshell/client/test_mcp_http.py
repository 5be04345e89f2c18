"""MCP over HTTP, with both clients, against the standard library's server: sessions, broken streams, refusals."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rpcshell import CallError, CallTimeout, ConnectionFailed, ConnectionLost, HttpTarget, ProtocolError, connect
from rpcshell.client.dialects import Event
from rpcshell.client.dialects.mcp.dialect import Mcp
from rpcshell.client.http import HttpStream
from rpcwire import MAX_REPLY
from tests.rpcshell.faces import Connect
from tests.rpcshell.http_peer import SayingHandler
from tests.rpcshell.mcp_peer import McpPeer
from tests.rpcshell.peers import DEADLINE

EVENTS = "text/event-stream"


class Handler(SayingHandler):
    """Posts are what a peer says to them, as a stream of events; the test has its say first."""

    server: Server

    def do_POST(self) -> None:  # noqa: N802 - as http.server names it
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        self.server.seen.append((message["method"], dict(self.headers)))
        if self.server.respond(self, message):
            return
        said = [
            {"jsonrpc": "2.0", **one}
            for one in self.server.mcp.said(message.get("id"), message["method"], message.get("params") or {})
        ]
        if not said:
            self.say(b"", status=202)
            return
        session: Any = {"Mcp-Session-Id": "s1"} if message["method"] == "initialize" else {}
        self.say(b"".join(event(one) for one in said), EVENTS, **session)

    def do_GET(self) -> None:  # noqa: N802 - as http.server names it
        self.server.seen.append(("GET", dict(self.headers)))
        if not self.server.respond(self, {"method": "GET"}):
            self.say(b"", status=405)

    def do_DELETE(self) -> None:  # noqa: N802 - as http.server names it
        self.server.seen.append(("DELETE", dict(self.headers)))
        self.say(b"")


def event(message: dict[str, Any], **fields: object) -> bytes:
    more = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return f"{more}data: {json.dumps(message)}\n\n".encode()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, mcp: McpPeer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mcp = mcp
        self.seen: list[tuple[str, dict[str, str]]] = []

    def respond(self, handler: Handler, message: dict[str, Any]) -> bool:
        """Whether the test has answered."""
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mcp"

    def headers_of(self, method: str) -> dict[str, str]:
        return next(headers for seen, headers in self.seen if seen == method)


@contextmanager
def served(**options: Any) -> Iterator[Server]:
    with Server(McpPeer(**options)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_session_is_kept_and_ended_and_its_version_and_the_token_go_with_all_requests(connect: Connect) -> None:
    with served() as server:
        target = HttpTarget(server.url, headers=(("Authorization", "Bearer secret"),), dialect="mcp")
        with connect(target) as client:
            assert client.call("t", {"a": 1})["arguments"] == {"a": 1}
        first, call, last = (server.headers_of(method) for method in ("initialize", "tools/call", "DELETE"))
        assert "Mcp-Session-Id" not in first
        assert "MCP-Protocol-Version" not in first
        for headers in (call, last):
            assert (headers["Mcp-Session-Id"], headers["MCP-Protocol-Version"]) == ("s1", "2025-06-18")
            assert headers["Authorization"] == "Bearer secret"
        assert first["Accept"] == "application/json, text/event-stream"
        methods = [method for method, _ in server.seen if method != "GET"]
        assert methods == ["initialize", "notifications/initialized", "tools/call", "DELETE"]


def test_without_sessions_headers_say_what_is_called(connect: Connect) -> None:
    with served(modern=True) as server:
        with connect(f"mcp:{server.url}") as client:
            assert client.call("tü")["name"] == "tü"
        headers = server.headers_of("tools/call")
        assert (headers["Mcp-Method"], headers["Mcp-Name"]) == ("tools/call", "=?base64?dMO8?=")
        assert headers["MCP-Protocol-Version"] == "2026-07-28"
        assert "DELETE" not in [method for method, _ in server.seen]


def test_a_server_that_wants_a_token_says_so(connect: Connect) -> None:
    with served() as server:
        refusal = json.dumps({"error": "invalid_token", "error_description": "Authentication required"}).encode()

        def respond(handler: Handler, message: dict[str, Any]) -> bool:
            handler.say(refusal, status=401)
            return True

        server.respond = respond  # type: ignore[method-assign]
        with pytest.raises(ProtocolError, match=r"401.*give an Authorization header"):
            connect(f"mcp:{server.url}")


def test_a_call_that_a_proxy_could_not_pass_on_fails_alone_and_the_session_goes_on(connect: Connect) -> None:
    failing = iter([502])

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] != "tools/call" or (status := next(failing, None)) is None:
            return False
        handler.say(b"<html>", "text/html", status)
        return True

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            with pytest.raises(CallError, match="HTTP 502 Bad Gateway"):
                client.call("t")
            assert client.call("t")["name"] == "t"
        methods = [method for method, _ in server.seen if method != "GET"]
        assert methods == ["initialize", "notifications/initialized", "tools/call", "tools/call", "DELETE"]


def test_an_error_without_an_id_is_that_of_its_own_request() -> None:
    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] != "tools/call" or message["params"]["name"] != "bad":
            return False
        handler.say(
            json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "bad one"}}).encode(),
            status=400,
        )
        return True

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            with pytest.raises(CallError, match="bad one"):
                client.call("bad")
            assert client.call("good")["name"] == "good"


def test_a_stream_that_breaks_off_is_gone_on_with_where_it_can_be() -> None:
    reply: dict[str, Any] = {}

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] == "tools/call" and message["params"]["name"] == "long":
            reply.update(
                {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": "there"}]}}
            )
            handler.say(b"id: 7\nretry: 1\ndata: \n\n", EVENTS)
            return True
        if message["method"] == "GET" and handler.headers["Last-Event-ID"] == "7":
            handler.say(event(reply, id=8), EVENTS)
            return True
        return False

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            assert client.call("long", timeout=DEADLINE) == "there"


def test_a_stream_that_ends_without_a_reply_is_a_connection_lost() -> None:
    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] == "tools/call":
            handler.say(b": nothing\n\n", EVENTS)
        return bool(message["method"] == "tools/call")

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client, pytest.raises(ConnectionLost, match="before the reply") as caught:
            client.call("t", timeout=DEADLINE)
    assert caught.value.may_have_run


@contextmanager
def streaming(endpoint: str, *said: dict[str, Any]) -> Iterator[Server]:
    """A server that takes no POST where its stream of events is, and ends that once it has said this."""
    posted = threading.Event()

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] != "GET":
            if handler.path != "/mcp":
                posted.set()
            handler.say(b"", status=405 if handler.path == "/mcp" else 202)
            return True
        handler.send_response(200)
        handler.send_header("Content-Type", EVENTS)
        handler.end_headers()
        handler.wfile.write(f"event: endpoint\ndata: {endpoint}\n\n".encode())
        posted.wait(DEADLINE)
        handler.wfile.write(b"".join(event(one) for one in said))
        handler.close_connection = True
        return True

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        yield server


def test_a_stream_of_replies_that_ends_loses_the_calls(connect: Connect) -> None:
    with (
        streaming("/there?id=1") as server,
        pytest.raises(ConnectionFailed, match="the stream of events ended"),
        connect(f"mcp:{server.url}") as client,
    ):
        client.call("t")
    assert [method for method, _ in server.seen] == ["initialize", "GET", "initialize"]


def test_messages_are_posted_to_no_other_server(connect: Connect) -> None:
    with (
        streaming("http://127.0.0.2/there") as server,
        pytest.raises(ProtocolError, match="to another server: http://127"),
        connect(f"mcp:{server.url}") as client,
    ):
        client.call("t")
    assert [method for method, _ in server.seen] == ["initialize", "GET"]


def test_what_a_server_says_by_itself_comes_by_a_stream_of_its_own_that_is_opened_again() -> None:
    times = iter(range(3))

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] != "GET" or (number := next(times, None)) is None:
            return False
        handler.say(event({"jsonrpc": "2.0", "method": f"notifications/{number}"}, id=number), EVENTS)
        return True

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            events = client.events(timeout=DEADLINE)
            assert [next(events), next(events)] == [Event("notifications/0"), Event("notifications/1")]
        assert [headers.get("Last-Event-ID") for method, headers in server.seen if method == "GET"][1:2] == ["0"]


def test_a_call_that_is_given_up_gives_up_its_request(connect: Connect) -> None:
    gone = threading.Event()

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] != "tools/call" or message["params"]["name"] != "slow":
            return False
        assert handler.rfile.read(1) == b""
        gone.set()
        handler.close_connection = True
        return True

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            with pytest.raises(CallTimeout):
                client.call("slow", timeout=1)
            assert gone.wait(DEADLINE)
            assert client.call("quick")["name"] == "quick"
        assert "notifications/cancelled" in [method for method, _ in server.seen]


def test_a_server_that_never_says_that_it_has_heard_a_notification_holds_up_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rpcshell.client.http._HEARD", 0.05)
    over = threading.Event()

    def respond(handler: Handler, message: dict[str, Any]) -> bool:
        if message["method"] == "notifications/initialized":
            over.wait(DEADLINE)
        return False

    with served() as server:
        server.respond = respond  # type: ignore[method-assign]
        with connect(f"mcp:{server.url}") as client:
            assert client.call("t")["name"] == "t"
            over.set()


def test_what_is_no_json_rpc_is_answered_over_http_too() -> None:
    answers = iter([(200, b'{"result": 5}'), (500, b"broken")])

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = next(answers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        target = HttpTarget(f"http://127.0.0.1:{server.server_address[1]}/")
        stream = HttpStream(target, Mcp(MAX_REPLY), DEADLINE, None)
        try:
            came = []
            for _ in range(2):
                stream.send(memoryview(b'{"call": "x"}\n'))
                select.select([stream], [], [], DEADLINE)
                came.append(stream.recv(100))
            assert came == [b'{"result": 5}\n', b""]
            assert isinstance(stream.why_ended(), ProtocolError)
        finally:
            stream.close()
            server.shutdown()
            thread.join()
