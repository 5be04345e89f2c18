"""One connection: making it, and what hostile peers answer on it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rpcshell
from rpcshell import (
    CallError,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    ShellError,
    TcpTarget,
    UnixTarget,
)
from rpcshell.client.client import Client
from rpcshell.client.dialling import seconds_asleep, streams, tune
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, echo, free_port, refuse_call, serving


def test_nobody_listening_is_said_with_a_hint(connect: Connect) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connect(f"127.0.0.1:{free_port()}")
    assert caught.value.reason == "connection refused"
    assert caught.value.hint


def test_an_unknown_host_is_said(connect: Connect) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connect("does-not-exist.invalid:80")
    assert "host" in caught.value.reason or "lookup" in caught.value.reason


def test_an_impossible_host_name_is_said(connect: Connect) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connect(f"{'é' * 80}.example:80")
    assert "host" in caught.value.reason


def test_a_missing_socket_file_is_said(tmp_path: Path, connect: Connect) -> None:
    with pytest.raises(ConnectionFailed, match="no such socket file"):
        connect(UnixTarget(str(tmp_path / "none")))


def test_a_socket_file_nobody_listens_on_is_said(tmp_path: Path, connect: Connect) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "stale"))
    with pytest.raises(ConnectionFailed, match="nothing listens"):
        connect(UnixTarget(str(tmp_path / "stale")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_socket_file_of_others_is_said(tmp_path: Path, connect: Connect) -> None:
    with serving(echo, unix=tmp_path / "s") as server:
        (tmp_path / "s").chmod(0)
        with pytest.raises(ConnectionFailed, match="permission denied"):
            connect(server.target)


def test_a_full_queue_of_a_unix_socket_is_waited_for_and_then_said(tmp_path: Path, connect: Connect) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        began = time.monotonic()
        with pytest.raises(ConnectionFailed, match="no room"):
            connect(UnixTarget(path), connect_timeout=0.2)
        assert time.monotonic() - began >= 0.19


def test_signals_do_not_end_the_wait_for_room_in_a_queue(tmp_path: Path) -> None:
    path, over, here = str(tmp_path / "s"), threading.Event(), threading.get_ident()

    def interrupt() -> None:
        while not over.wait(0.01):
            signal.pthread_kill(here, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    interrupting = threading.Thread(target=interrupt)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        interrupting.start()
        try:
            with pytest.raises(ConnectionFailed, match="no room"):
                rpcshell.connect(f"unix:{path}", connect_timeout=0.1)
        finally:
            over.set()
            interrupting.join()
            signal.signal(signal.SIGUSR1, before)


def test_connecting_ends_at_its_time_limit(connect: Connect) -> None:
    def fill_the_queue(address: tuple[str, int], held: contextlib.ExitStack) -> None:
        while True:
            held.enter_context(connect(address, connect_timeout=0.2))

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as held:
        with pytest.raises(ConnectionFailed) as caught:
            fill_the_queue(listener.getsockname(), held)
        assert caught.value.reason == "no answer within 0.2 s"


@contextlib.contextmanager
def silent(host: str, port: int) -> Iterator[None]:
    """An address that answers no one: its queue is full, so that the kernel drops what asks for a connection."""
    with socket.create_server((host, port), backlog=0), contextlib.ExitStack() as queued:
        for _ in range(4):
            waiting = queued.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield


def several_addresses(monkeypatch: pytest.MonkeyPatch, port: int, *hosts: str) -> TcpTarget:
    """A target whose name has these addresses, as a name server may tell."""
    known = socket.getaddrinfo

    def found(host: object, *more: Any, **options: Any) -> list[Any]:
        if host not in {"several.invalid", b"several.invalid"}:
            return known(host, *more, **options)  # type: ignore[arg-type]
        return [item for address in hosts for item in known(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return TcpTarget("several.invalid", port)


def test_an_address_that_says_nothing_does_not_hold_up_the_next(
    monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    with serving(echo) as server:
        assert isinstance(server.target, TcpTarget)
        with silent("127.0.0.2", server.target.port):
            target = several_addresses(monkeypatch, server.target.port, "127.0.0.2", "127.0.0.1")
            with connect(target, connect_timeout=DEADLINE) as client:
                assert client.call("ping", 1) == 1
            # Connecting leaves a call the rest of its time.
            with Client(target, timeout=DEADLINE) as late:
                assert late.call("ping", 2) == 2


def test_addresses_that_refuse_are_passed_over_and_the_last_says_why(
    monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    with serving(echo) as server:
        assert isinstance(server.target, TcpTarget)
        target = several_addresses(monkeypatch, server.target.port, "127.0.0.2", "127.0.0.3", "127.0.0.1")
        with connect(target) as client:
            assert client.call("ping", 1) == 1
    with pytest.raises(ConnectionFailed, match="connection refused"):
        connect(target)


def test_the_families_of_addresses_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(family, 0, 0, "", (number,)) for number, family in enumerate((six, six, six, four, four))]
    assert [number for _, (number,) in streams(found)] == [0, 3, 1, 4, 2]


def test_an_error_reply_during_a_large_request_is_heard(connect: Connect) -> None:
    def refuse(peer: Peer) -> None:
        peer.sock.recv(4)
        peer.send({"out": "error", "result": {"code": -32003, "message": "too large"}})
        peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_for_end()

    with serving(refuse, echo) as server, connect(server.target) as client:
        with pytest.raises(CallError) as caught:
            client.call("ping", "x" * 12_000_000)
        assert caught.value.code == -32003
        assert client.call("ping", 1) == 1
        assert server.accepted == 2


def test_an_error_reply_in_pieces_during_a_large_request_is_heard(connect: Connect) -> None:
    halfway = threading.Event()

    def refuse(peer: Peer) -> None:
        peer.sock.recv(4)
        body = b'{"out":"error","result":{"code":-32003,"message":"too large"}}'
        peer.sock.sendall(len(body).to_bytes(4, "little") + body[:10])
        halfway.wait(0.1)
        peer.sock.sendall(body[10:])
        peer.wait_for_end()

    with serving(refuse) as server:
        error = refuse_call(server, CallError, connect, params="x" * 12_000_000)
        assert isinstance(error, CallError)
        assert error.message == "too large"
        assert server.accepted == 1


def test_after_the_machine_has_slept_the_next_call_goes_over_a_new_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(echo) as server, connect(server.target) as client:
        assert [client.call("ping", 1), client.call("ping", 2)] == [1, 2]
        assert server.accepted == 1
        # A test cannot put the machine to sleep.
        asleep = seconds_asleep() + 60
        for module in ("connection", "async_connection"):
            monkeypatch.setattr(f"rpcshell.client.{module}.seconds_asleep", lambda: asleep)
        assert [client.call("ping", 3), client.call("ping", 4)] == [3, 4]
        assert server.accepted == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has the limit")
def test_a_network_that_is_gone_ends_a_call_in_two_minutes() -> None:
    with socket.socket() as sock:
        tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 120_000
        probes = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle, interval, count = (sock.getsockopt(socket.IPPROTO_TCP, option) for option in probes)
        assert idle + interval * count == 120


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can acknowledge at once")
def test_a_server_that_writes_prefix_and_body_apart_is_not_waited_for(connect: Connect) -> None:
    def apart(peer: Peer) -> None:
        while peer.read() is not None:
            peer.sock.sendall(b"\x19\x00\x00\x00")
            peer.sock.sendall(b'{"out":"pong","result":1}')

    with serving(apart) as server, connect(server.target) as client:
        moments = [time.monotonic()]
        for _ in range(50):
            assert client.call("ping") == 1
            moments.append(time.monotonic())
        # Delayed acknowledgements would make each call take 40 ms but the first, which the kernel acknowledges at once;
        # a busy machine may do that to some, and not to all.
        assert min(after - before for before, after in pairwise(moments[25:])) < 0.04


@pytest.mark.parametrize("limit", [1e10, float("inf")])
def test_a_time_limit_longer_than_the_systems_own_is_no_error(limit: float, connect: Connect) -> None:
    with serving(echo) as server, connect(server.target, timeout=limit, connect_timeout=limit) as client:
        assert client.call("ping", 1) == 1


def test_a_reply_cut_short_is_a_lost_connection(connect: Connect) -> None:
    def cut(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b"\x10\x00\x00\x00{")

    with serving(cut) as server:
        error = refuse_call(server, ConnectionLost, connect)
        assert "after 5 bytes of a frame of 20 bytes" in str(error)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "does not answer as an RPC server"),
        (b"[]", "array"),
        (b'{"result":1}', "required field `out`"),
        (b'{"out":1,"result":1}', "str"),
        (b'{"out":"pong","result":"\xff"}', "UTF-8"),
        (b"[" * 100_000, "does not answer as an RPC server"),
    ],
)
def test_a_reply_of_another_shape_is_a_protocol_error(body: bytes, says: str, connect: Connect) -> None:
    def answer(peer: Peer) -> None:
        peer.read()
        peer.send_body(body)
        peer.wait_for_end()

    with serving(answer) as server:
        assert says in str(refuse_call(server, ProtocolError, connect))


def test_a_reply_over_the_limit_is_refused(connect: Connect) -> None:
    def answer(peer: Peer) -> None:
        peer.answer("x" * 1000)
        peer.wait_for_end()

    with serving(answer) as server, connect(server.target, max_reply=100) as client:
        with pytest.raises(ProtocolError, match="the limit is 100"):
            client.call("ping")
        assert not client.connected


def test_an_empty_frame_is_a_protocol_error(connect: Connect) -> None:
    def answer(peer: Peer) -> None:
        peer.read()
        peer.send_body(b"")
        peer.wait_for_end()

    with serving(answer) as server:
        refuse_call(server, ProtocolError, connect)


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "an HTTP server"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "an SSH server"),
        (b"-ERR unknown command\r\n", "a Redis server"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "a TLS server"),
    ],
)
def test_a_server_of_another_protocol_is_named(first: bytes, name: str, connect: Connect) -> None:
    def answer(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.sock.sendall(first)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_for_end()

    with serving(answer) as server:
        assert f"is {name}" in str(refuse_call(server, ProtocolError, connect))


@pytest.mark.parametrize(
    ("first", "framing"),
    [
        (b'{"jsonrpc":"2.0","error":{}}\n', "line"),
        (b"Content-Length: 2\r\n\r\n{}", "content-length"),
        (b'\0\0\0\x11{"jsonrpc":"2.0"}', "u32be"),
    ],
)
def test_a_server_of_json_in_another_framing_is_said_with_what_to_name(
    first: bytes, framing: str, connect: Connect
) -> None:
    def answer(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.sock.sendall(first)
        peer.wait_for_end()

    with serving(answer) as server:
        error = refuse_call(server, ProtocolError, connect)
        assert isinstance(error, ProtocolError)
        assert "speaks JSON in another way" in error.message
        assert f"jsonrpc+{framing}:{server.target}" in (error.hint or "")


def test_what_was_seen_of_a_foreign_server_is_shown_escaped(connect: Connect) -> None:
    def answer(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b"\x1b[2J\x9bxxxx")
        peer.wait_for_end()

    with serving(answer) as server:
        assert "\\x1b[2J\\x9bxxxx" in str(refuse_call(server, ProtocolError, connect))


replies = st.binary(max_size=40) | st.builds(
    lambda bodies: b"".join(len(body).to_bytes(4, "little") + body for body in bodies),
    st.lists(
        st.sampled_from([b'{"out":"pong","result":1}', b'{"close":true}', b'{"out":"error"}', b"{}", b"[]", b"\xff"])
        | st.binary(max_size=20),
        max_size=3,
    ),
)


def test_whatever_a_server_sends_is_a_reply_or_an_error_of_ours(connect: Connect) -> None:
    sent: list[bytes] = []

    def say(peer: Peer) -> None:
        if peer.read() is not None:
            peer.sock.sendall(sent[-1])

    with serving(say) as server:

        @given(replies)
        def call(data: bytes) -> None:
            sent.append(data)
            with connect(server.target, timeout=DEADLINE) as client:
                try:
                    client.exchange("ping")
                except ShellError as error:
                    assert error.message

        call()
