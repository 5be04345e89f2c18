"""The client against good and hostile servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rpcshell import (
    CallError,
    CallTimeout,
    ConnectionFailed,
    ConnectionLost,
    TcpTarget,
    UsageError,
)
from rpcshell import connect as connect_blocking
from tests.interrupts import interrupted
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import Peer, echo, refuse_call, serving


def test_a_call_returns_the_result_of_the_method(connect: Connect) -> None:
    with serving(echo) as server, connect(str(server.target)) as client:
        assert client.call("ping", {"a": [1, None, "é", 2**70]}) == {"a": [1, None, "é", 2**70]}
        assert client.call("ping") is None
        assert server.accepted == 1


def test_calls_go_over_a_unix_socket(tmp_path: Path, connect: Connect) -> None:
    with serving(echo, unix=tmp_path / "s") as server, connect(f"unix:{tmp_path / 's'}") as client:
        assert client.call("ping", 1) == 1
        assert client.target == server.target


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_calls_go_over_an_abstract_socket(connect: Connect) -> None:
    name = f"@rpcshell-test-{os.getpid()}-{time.monotonic_ns()}"
    with serving(echo, unix=Path(name)), connect(f"unix:{name}") as client:
        assert client.call("ping", 1) == 1
        assert str(client.target) == f"unix:{name}"
    with pytest.raises(ConnectionFailed, match="nothing listens there"):
        connect(f"unix:{name}")


def test_a_host_and_port_pair_is_a_target(connect: Connect) -> None:
    with serving(echo) as server:
        assert isinstance(server.target, TcpTarget)
        with connect(("127.0.0.1", server.target.port)) as client:
            assert client.call("ping", 1) == 1


def test_requests_heed_close_and_ask_for_meta_only_when_told(connect: Connect) -> None:
    seen: list[object] = []

    def handler(peer: Peer) -> None:
        seen.extend(peer.answer(1) for _ in range(2))

    with serving(handler) as server, connect(server.target) as client:
        client.call("ping", 1)
        client.exchange("ping", 1, meta=True)
    assert seen == [
        {"in": "ping", "params": 1, "close": True},
        {"in": "ping", "params": 1, "meta": True, "close": True},
    ]


def test_requests_of_a_plain_client_have_the_method_and_params_alone(connect: Connect) -> None:
    seen: list[object] = []
    with serving(lambda peer: seen.append(peer.answer(1))) as server, connect(server.target, plain=True) as client:
        client.exchange("ping", [1], meta=True)
    assert seen == [{"in": "ping", "params": [1]}]


def test_an_error_reply_is_raised_with_its_fields(connect: Connect) -> None:
    fault = {"code": -32602, "message": "no", "data": {"path": "$.a"}}

    def handler(peer: Peer) -> None:
        peer.read()
        peer.send({"out": "error", "result": fault})
        echo(peer)

    with serving(handler) as server, connect(server.target) as client:
        with pytest.raises(CallError) as caught:
            client.call("add")
        error = caught.value
        assert (error.code, error.message, error.data, error.method) == (-32602, "no", {"path": "$.a"}, "add")
        assert str(error) == "error -32602: no"
        assert client.call("ping", 1) == 1
        assert server.accepted == 1


def test_params_json_cannot_carry_are_a_usage_error_and_the_connection_stays(connect: Connect) -> None:
    with serving(echo) as server, connect(server.target) as client:
        for bad in (float("nan"), {1, 2}.__iter__(), "\ud800"):
            with pytest.raises(UsageError):
                client.call("ping", bad)
        assert client.call("ping", 1) == 1
        assert server.accepted == 1


@pytest.mark.samples(1)
def test_large_requests_and_replies_arrive_whole(connect: Connect) -> None:
    text = "x" * 8_000_000
    with serving(echo) as server, connect(server.target) as client:
        assert client.call("ping", text) == text


def test_a_call_without_a_reply_ends_at_its_time_limit(connect: Connect) -> None:
    with serving(lambda peer: peer.wait_for_end()) as server, connect(server.target) as client:
        began = time.monotonic()
        with pytest.raises(CallTimeout) as caught:
            client.call("sleep", timeout=0.1)
        assert time.monotonic() - began > 0.09
        assert caught.value.seconds == 0.1
        assert caught.value.may_have_run


def test_the_time_limit_is_for_the_whole_reply_and_not_for_each_read(connect: Connect) -> None:
    ticks = threading.Event()

    def trickle(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b"\xff\x00\x00\x00")
        while not ticks.wait(0.02):
            peer.sock.sendall(b" ")

    with serving(trickle) as server, connect(server.target) as client:
        with pytest.raises(CallTimeout):
            client.call("ping", timeout=0.2)
        ticks.set()


def test_a_late_reply_never_reaches_the_next_call(connect: Connect) -> None:
    release = threading.Event()

    def late(peer: Peer) -> None:
        peer.read()
        release.wait(30)
        peer.send({"out": "pong", "result": "late"})
        peer.wait_for_end()

    with serving(late, echo) as server, connect(server.target) as client:
        with pytest.raises(CallTimeout):
            client.call("ping", "first", timeout=0.05)
        release.set()
        assert client.call("ping", "second") == "second"


def test_a_reply_nobody_asked_for_never_reaches_the_next_call(connect: Connect) -> None:
    def doubled(peer: Peer) -> None:
        peer.answer("first")
        peer.send({"out": "pong", "result": "unasked"})
        sent.set()
        peer.wait_for_end()

    sent = threading.Event()
    with serving(doubled, echo) as server, connect(server.target) as client:
        assert client.call("ping") == "first"
        assert sent.wait(30)
        assert client.call("ping", "second") == "second"


def test_a_connection_the_server_closed_while_idle_is_made_anew_silently(connect: Connect) -> None:
    def once(peer: Peer) -> None:
        peer.answer(1)
        peer.sock.shutdown(socket.SHUT_WR)
        closed.set()
        peer.wait_for_end()

    closed = threading.Event()
    with serving(once) as server, connect(server.target) as client:
        for number in range(1, 4):
            assert client.call("ping") == 1
            assert server.accepted == number
            assert closed.wait(30)
            closed.clear()


def test_a_goodbye_on_an_idle_connection_sends_the_next_call_elsewhere(connect: Connect) -> None:
    seen: list[object] = []
    gone = threading.Event()

    def leaving(peer: Peer) -> None:
        peer.answer(1)
        peer.send({"close": True})
        gone.set()
        seen.append(peer.read())

    with serving(leaving, echo) as server, connect(server.target) as client:
        client.call("ping")
        assert gone.wait(30)
        assert client.call("ping", 2) == 2
    assert seen == [None]


def test_after_close_on_a_reply_the_next_call_goes_elsewhere(connect: Connect) -> None:
    def last(peer: Peer) -> None:
        peer.answer(1, close=True)
        peer.wait_for_end()

    with serving(last) as server, connect(server.target) as client:
        assert [client.call("ping"), client.call("ping")] == [1, 1]
        assert server.accepted == 2


def test_a_request_answered_with_a_goodbye_is_sent_again(connect: Connect) -> None:
    def turn_away(peer: Peer) -> None:
        peer.read()
        peer.send({"close": True})

    with serving(turn_away, turn_away, echo) as server, connect(server.target) as client:
        assert client.call("ping", 1) == 1
        assert server.accepted == 3


def test_a_server_that_always_says_goodbye_is_given_up(connect: Connect) -> None:
    def turn_away(peer: Peer) -> None:
        peer.read()
        peer.send({"close": True})

    with serving(turn_away) as server:
        error = refuse_call(server, ConnectionLost, connect)
        assert isinstance(error, ConnectionLost)
        assert not error.may_have_run
        assert server.accepted == 5


def test_a_goodbye_and_a_reset_that_cross_the_request_lose_nothing(tmp_path: Path, connect: Connect) -> None:
    def leave_at_once(peer: Peer) -> None:
        peer.send({"close": True})

    # On a Unix socket the send itself fails; the goodbye is still there to be read.
    with serving(leave_at_once, echo, unix=tmp_path / "s") as server, connect(server.target) as client:
        assert client.call("ping", "x" * 3_000_000) == "x" * 3_000_000


@pytest.mark.parametrize("ending", [lambda peer: None, Peer.reset], ids=["eof", "reset"])
def test_a_connection_lost_after_the_request_is_never_retried(ending: object, connect: Connect) -> None:
    def lose(peer: Peer) -> None:
        peer.read()
        ending(peer)  # type: ignore[operator]

    with serving(lose) as server:
        error = refuse_call(server, ConnectionLost, connect)
        assert isinstance(error, ConnectionLost)
        assert error.may_have_run
        assert "may have run" in str(error)
        assert server.accepted == 1


def test_an_idempotent_call_is_sent_again_once(connect: Connect) -> None:
    def lose(peer: Peer) -> None:
        peer.read()

    with serving(lose, echo) as server, connect(server.target) as client:
        assert client.call("ping", 1, idempotent=True) == 1
    with serving(lose) as server, connect(server.target) as client:
        with pytest.raises(ConnectionLost) as caught:
            client.call("ping", 1, idempotent=True)
        assert caught.value.may_have_run
        assert server.accepted == 2


def test_a_server_that_turned_an_idempotent_call_away_too_often_is_given_up(connect: Connect) -> None:
    def turn_away(peer: Peer) -> None:
        peer.read()
        peer.send({"close": True})

    def lose(peer: Peer) -> None:
        peer.read()

    handlers = (turn_away, turn_away, turn_away, turn_away, lose)
    with serving(*handlers) as server, connect(server.target) as client:
        with pytest.raises(ConnectionLost) as caught:
            client.call("ping", 1, idempotent=True)
        assert caught.value.may_have_run
        assert server.accepted == 5


@pytest.mark.samples(1)
def test_a_request_that_was_not_taken_whole_is_sent_again(connect: Connect) -> None:
    def take_a_little(peer: Peer) -> None:
        peer.sock.recv(4)
        peer.reset()

    with serving(take_a_little, echo) as server, connect(server.target) as client:
        text = "x" * 12_000_000
        assert client.call("ping", text) == text


@pytest.mark.parametrize("limit", [-1, float("nan")])
def test_a_time_limit_that_is_none_is_a_usage_error(limit: float, connect: Connect) -> None:
    with serving(echo) as server, connect(server.target) as client, pytest.raises(UsageError):
        client.call("ping", 1, timeout=limit)


def test_an_interrupt_closes_the_connection_and_the_next_call_makes_a_new_one() -> None:
    arrived = threading.Event()

    def stall(peer: Peer) -> None:
        peer.read()
        arrived.set()
        peer.wait_for_end()

    with serving(stall, echo) as server, connect_blocking(server.target) as client:
        with interrupted(lambda: arrived.wait(30)), pytest.raises(KeyboardInterrupt):
            client.call("sleep")
        assert not client.connected
        assert client.call("ping", 1) == 1


def test_a_closed_client_connects_again_when_it_is_used(connect: Connect) -> None:
    with serving(echo) as server, connect(server.target) as client:
        client.close()
        assert not client.connected
        assert client.call("ping", 1) == 1


def test_a_prompt_server_ends_no_call_early_when_the_limit_is_none(connect: Connect) -> None:
    with serving(echo) as server, connect(server.target, timeout=None) as client:
        assert client.call("ping", 1) == 1


def test_importing_the_package_loads_nothing_of_the_prompt() -> None:
    code = "import sys, rpcshell; rpcshell.Client, rpcshell.connect; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(run.stdout.split())
    assert {"rpcshell.client.client", "rpcshell.client.opening"} <= loaded
    assert not loaded & {"prompt_toolkit", "pygments", "asyncio", "click", "rich", "rpcserver"}
