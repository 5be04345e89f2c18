"""Servers found out without their dialect's name, over real sockets: those of JSON, and those of anything else."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell import (
    ConnectionFailed,
    Envelope,
    HttpTarget,
    ProtocolError,
    TlsFailed,
    UsageError,
    connect,
    connect_async,
    detect,
)
from rpcshell.client.detecting import find_out
from rpcshell.client.target import Target, TcpTarget
from rpcwire.framings import FRAMINGS
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.describing import offering
from tests.rpcshell.http_peer import SayingHandler
from tests.rpcshell.jsonrpc_peer import serve as serve_jsonrpc
from tests.rpcshell.kodi_peer import Kodi
from tests.rpcshell.peers import DEADLINE, Handler, Peer, free_port, serving
from tests.rpcshell.qemu import guest_agent, monitor, needs_guest_agent, needs_qemu
from tests.servers import running


def says_first(said: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        peer.sock.sendall(said)
        peer.wait_for_end()

    return handle


def says_to_a_line(said: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        data = b""
        while more := peer.sock.recv(4096):
            data += more
            if b"\n" in data:
                peer.sock.sendall(said)
                data = b""

    return handle


def sends_back(peer: Peer) -> None:
    while data := peer.sock.recv(4096):
        peer.sock.sendall(data)


def closes(peer: Peer) -> None:
    peer.sock.recv(4096)


@contextlib.contextmanager
def unlistening() -> Iterator[Target]:
    """A port whose queue is full and is never taken from, so that it answers no more than a firewall that drops."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
        yield TcpTarget(*listener.getsockname())


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (says_first(b"SSH-2.0-OpenSSH_9.2\r\n"), "is an SSH server"),
        (says_first(b"J\0\0\0\x0a8.0.33\0"), "is a MySQL server"),
        (says_first(b"220 mail.example.org ESMTP\r\n"), "is a mail or FTP server"),
        (says_to_a_line(b"-ERR unknown command\r\n"), "is a Redis server"),
        (sends_back, "it is an echo server"),
        (says_first(b"what?\n"), r'speaks nothing that is known here: it said "what\?'),
        (closes, "ends every connection without a word"),
    ],
)
@pytest.mark.usefixtures("unhurried")
def test_a_stranger_is_named(handler: Handler, reason: str) -> None:
    with serving(handler) as server, pytest.raises(ProtocolError, match=f"{server.target} .*{reason}|{reason}"):
        detect(server.target)


def test_one_that_is_silent_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", 0.5)
    for path, listening in ((None, ""), (tmp_path / "s", r"; \S+ \(pid \d+\) listens there")):
        said = f"takes connections and says nothing to any guess{listening}"
        with serving(says_first(b""), unix=path) as server, pytest.raises(ProtocolError, match=said):
            detect(server.target)


def test_each_guess_has_a_connection_of_its_own_and_one_frame_on_it() -> None:
    heard: dict[int, bytes] = {}
    ended: queue.Queue[int] = queue.Queue()

    def listen(peer: Peer) -> None:
        while data := peer.sock.recv(4096):
            heard[peer.number] = heard.get(peer.number, b"") + data
        ended.put(peer.number)

    with serving(listen) as server:
        finding = find_out(server.target)
        assert sorted(ended.get(timeout=DEADLINE) for _ in finding.attempts) == list(range(len(finding.attempts)))
        assert server.accepted == len(finding.attempts)
    assert [heard.get(number, b"") for number in range(server.accepted)] == [
        attempt.guess.said for attempt in finding.attempts
    ]


@pytest.mark.usefixtures("unhurried")
def test_one_that_serves_a_client_after_the_other_comes_to_the_guess_that_it_understands() -> None:
    turn = threading.Lock()

    def serve(peer: Peer) -> None:
        # What it cannot read ends the connection.
        with turn, contextlib.suppress(ValueError):
            serve_jsonrpc("nul", lambda: peer.sock.recv(4096), peer.sock.sendall)

    with serving(serve) as server:
        assert str(detect(server.target)) == f"jsonrpc+nul:{server.target}"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has been accepted")
@pytest.mark.usefixtures("unhurried")
@pytest.mark.samples(1)
@pytest.mark.parametrize("name", ["s", None], ids=["unix", "tcp"])
def test_one_that_keeps_connections_which_its_clients_have_left_is_found_out(name: str | None, tmp_path: Path) -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        with contextlib.suppress(ValueError):
            serve_jsonrpc("line", lambda: peer.sock.recv(4096), peer.sock.sendall)
        assert done.wait(DEADLINE)

    with serving(serve, unix=None if name is None else tmp_path / name) as server:
        try:
            assert str(detect(server.target)) == f"jsonrpc:{server.target}"
        finally:
            done.set()


@pytest.mark.thorough
@pytest.mark.usefixtures("unhurried")
def test_one_of_many_tables_is_found_with_a_server_that_has_room_for_nobody_else(tmp_path: Path) -> None:
    tables = {
        f"t{number}": Envelope.from_table({"request": {f"do{number}": "$method"}, "names": {"method": "help"}})
        for number in range(12)
    }

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                with contextlib.closing(listener.accept()[0]) as client:
                    while data := client.recv(4096):
                        if b"do11" in data:
                            client.sendall(b'["a"]')

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        serving_all = threading.Thread(target=serve, args=(listener,))
        serving_all.start()
        try:
            assert str(detect(f"unix:{tmp_path}/s", dialects=tables)) == f"t11:unix:{tmp_path}/s"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving_all.join(DEADLINE)


@pytest.mark.usefixtures("unhurried")
def test_tables_that_ask_the_same_are_told_apart_by_the_answer() -> None:
    asked = {"request": {"do": "$method"}, "names": {"method": "help", "path": "names"}}
    tables = {
        "other": Envelope.from_table({**asked, "reply": {"ok": {"status": "fine"}}}),
        "right": Envelope.from_table({**asked, "reply": {"ok": {"status": "good"}}}),
    }
    with serving(says_first(b'{"status": "good", "names": ["a"]}')) as server:
        assert str(detect(server.target, dialects=tables)) == f"right:{server.target}"


def test_a_port_that_nobody_answers_at_is_no_connection() -> None:
    with unlistening() as target, pytest.raises(ConnectionFailed, match=r"no answer within 0\.2 s"):
        detect(target, timeout=0.2)
    with pytest.raises(ConnectionFailed, match="refused"):
        detect(("127.0.0.1", free_port()))


@pytest.mark.usefixtures("unhurried")
def test_a_server_of_tls_is_told_without_encryption_and_looked_into_with_it(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with serving(offering("ping"), tls=certificates.server()) as server:
        plain = TcpTarget("127.0.0.1", server.target.port)  # type: ignore[attr-defined]
        with pytest.raises(ProtocolError, match="is a TLS server") as caught:
            detect(plain)
        assert f"tls://{plain}" in str(caught.value)
        assert detect(server.target, tls=certificates.trusting) == server.target
        with pytest.raises(TlsFailed, match="unknown issuer"):
            detect(server.target)


@pytest.mark.usefixtures("unhurried")
def test_a_server_of_http_is_named_with_what_to_do(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SayingHandler) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{pages.server_port}"
            with pytest.raises(ProtocolError, match=r'is an HTTP server, and no server of MCP at /mcp.*"501') as caught:
                detect(address)
            assert f"http://{address}/PATH" in str(caught.value)
            with pytest.raises(ProtocolError, match=r'/rpc answers neither MCP nor JSON-RPC, but "501'):
                detect(f"http://{address}/rpc")
        finally:
            pages.shutdown()
            thread.join()
    refusing = says_first(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with serving(refusing, unix=tmp_path / "s") as server, pytest.raises(ProtocolError, match="is an HTTP server"):
        detect(server.target)


def answers_http(said: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        if peer.sock.recv(4096).startswith(b"POST "):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
            peer.sock.sendall(head + said)
        else:
            peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    return handle


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}', "mcp"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}', "jsonrpc"),
    ],
)
@pytest.mark.usefixtures("unhurried")
def test_what_is_spoken_over_http_is_found_out(said: bytes, spoken: str) -> None:
    with serving(answers_http(said)) as server:
        assert detect(server.target) == HttpTarget(f"http://{server.target}/mcp", dialect=spoken)
        assert detect(f"http://{server.target}/a?b=c") == HttpTarget(f"http://{server.target}/a?b=c", dialect=spoken)


@pytest.mark.usefixtures("unhurried")
def test_headers_go_along_to_a_url() -> None:
    heard = []

    def handle(peer: Peer) -> None:
        heard.append(peer.sock.recv(4096))
        # What is said to a GET does not hide it.
        status = b"501 Unsupported method" if heard[-1].startswith(b"GET") else b"401 Unauthorized"
        peer.sock.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")

    with serving(handle) as server:
        target = HttpTarget(f"http://{server.target}/", headers=(("Authorization", "Bearer x"),))
        with pytest.raises(ProtocolError, match=r'"401 Unauthorized" \(it does not take the Auth'):
            detect(target)
    assert b"\r\nAuthorization: Bearer x\r\n" in heard[0]


def test_a_child_and_what_has_a_name_are_not_looked_at() -> None:
    with pytest.raises(UsageError, match="has to be named"):
        detect("exec:cat")
    assert str(detect("qmp:127.0.0.1:1")) == "qmp:127.0.0.1:1"


def test_an_interrupt_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def handle(peer: Peer) -> None:
        peer.wait_for_end()
        ended.set()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rpcshell.client.detecting._Driver._listen", interrupted)
    with serving(handle) as server:
        with pytest.raises(KeyboardInterrupt):
            detect(server.target)
        assert ended.wait(10)


@pytest.mark.thorough
@pytest.mark.usefixtures("unhurried")
def test_our_own_server_is_known_in_every_framing(tmp_path: Path) -> None:
    binds = [f"{framing}+unix:{tmp_path}/{framing}" for framing in FRAMINGS]
    expected = {
        framing: f"unix:{tmp_path}/{framing}"
        if framing == "u32le"
        else f"jsonrpc{'' if framing in ('line', 'stream') else f'+{framing}'}:unix:{tmp_path}/{framing}"
        for framing in FRAMINGS
    }
    with running("-m", "sync", "-w", "1", app=None, folder=tmp_path, bind=binds):
        found = {framing: detect(f"unix:{tmp_path}/{framing}") for framing in FRAMINGS}
        assert {framing: str(target) for framing, target in found.items()} == expected
        for target in found.values():
            with connect(target) as client:
                assert client.call("add", {"a": 1, "b": 2}) == 3.0
        assert asyncio.run(_added(found["nul"])) == 3.0


async def _added(target: Target) -> object:
    async with await connect_async(target) as client:
        return await client.call("add", {"a": 1, "b": 2})


@pytest.mark.usefixtures("unhurried")
def test_kodi_is_found_out() -> None:
    with serving(Kodi()) as server:
        assert str(detect(server.target)) == f"kodi:{server.target}"


@needs_qemu
@pytest.mark.usefixtures("unhurried")
def test_a_monitor_is_found_out_and_so_is_that_it_is_held() -> None:
    with monitor() as target:
        address = target.removeprefix("qmp:")
        assert str(detect(address)) == target
        with connect(target):
            with pytest.raises(ProtocolError, match="held by another client, libvirt perhaps: qemu-system") as caught:
                detect(address)
            assert "a monitor serves one client at a time" in str(caught.value)
        for _ in range(3):
            # It is left only once it has refused what it was told, or else it would never answer anybody again.
            with connect(address) as stranger, pytest.raises(ProtocolError):
                stranger.call("ping")
            with connect(target) as client:
                assert client.call("query-status")["status"] == "prelaunch"


@needs_guest_agent
@pytest.mark.usefixtures("unhurried")
def test_a_guest_agent_is_found_out() -> None:
    with guest_agent() as target:
        assert str(detect(target.removeprefix("qga:"))) == target
