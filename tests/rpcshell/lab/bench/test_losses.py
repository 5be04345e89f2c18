"""Runs against servers that lose calls, or turn clients away: each call is counted once, and no run spins."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from rpcshell.lab.bench.measurement import Plan, RunProgress
from rpcshell.lab.bench.run import run_plan
from rpcwire import GOODBYE
from tests.rpcshell.lab.bench.running import run
from tests.rpcshell.peers import DEADLINE, Handler, Peer, serving


def closing(peer: Peer) -> None:
    peer.read()


def resetting(peer: Peer) -> None:
    peer.read()
    peer.reset()


def cutting(peer: Peer) -> None:
    peer.read()
    peer.sock.sendall(b"\x40\0\0\0{")


def http(peer: Peer) -> None:
    peer.read()
    peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peer.wait_for_end()


def nonsense(peer: Peer) -> None:
    while peer.read() is not None:
        peer.send_body(b"[1, 2")


def refusing(peer: Peer) -> None:
    while peer.read() is not None:
        peer.send({"result": {"code": -32601, "message": "no such\x1b method"}, "out": "error"})


def talking(peer: Peer) -> None:
    peer.send({"out": "hello", "result": None})
    peer.wait_for_end()


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (resetting, "connection lost"),
        (closing, "connection lost"),
        (cutting, "connection lost"),
        (http, "reply not understood"),
        (nonsense, "reply not understood"),
    ],
    ids=["reset", "closing", "cutting", "http", "nonsense"],
)
def test_each_call_that_is_lost_is_counted_once(handler: Handler, problem: str) -> None:
    with serving(handler) as server:
        measured = run(server.target, calls=4)
    assert (measured.calls, measured.problems) == (0, {problem: 4})
    assert measured.latency == {}


def test_each_call_that_is_not_answered_in_time_is_counted_once() -> None:
    with serving(Peer.wait_for_end) as server:
        measured = run(server.target, calls=4, timeout=1.0)
    assert (measured.calls, measured.problems) == (0, {"no reply in time": 4})


def test_an_error_is_an_answer_and_a_problem() -> None:
    with serving(refusing) as server:
        measured = run(server.target, calls=10)
    assert (measured.calls, measured.problems) == (10, {"error -32601": 10})
    assert measured.examples == {"error -32601": "no such\x1b method"}


def test_a_server_that_speaks_unasked_does_not_make_it_spin() -> None:
    with serving(talking) as server:
        measured = run(server.target, calls=None, seconds=0.3, timeout=0.3)
        assert measured.calls + measured.failed < 50
        assert server.accepted < 50


def turning_away(peer: Peer) -> None:
    peer.read()
    peer.send({"out": "error", "result": {"code": -32001, "message": "busy"}, "close": True})


def test_a_server_that_turns_clients_away_does_not_make_it_spin() -> None:
    with serving(turning_away) as server:
        measured = run(server.target, calls=None, seconds=0.3)
        assert set(measured.problems) == {"error -32001"}
        assert server.accepted < 50


class Leaving:
    """Announces the end of each connection after two answers: with the last of them, or by a goodbye."""

    def __init__(self, *, goodbye: bool) -> None:
        self.answered = 0
        self._goodbye = goodbye

    def __call__(self, peer: Peer) -> None:
        for last in (False, True):
            if peer.answer(1, **({"close": True} if last and not self._goodbye else {})) is None:
                return
            self.answered += 1
        if self._goodbye:
            peer.sock.sendall(GOODBYE)
        peer.wait_for_end()


@pytest.mark.samples(2)
@pytest.mark.parametrize("goodbye", [False, True])
@pytest.mark.parametrize("more", [{}, {"pipeline": 3}, {"rate": 500.0}], ids=["closed", "pipelined", "open"])
def test_a_server_that_closes_as_it_should_loses_no_call(goodbye: bool, more: dict[str, Any]) -> None:
    leaving = Leaving(goodbye=goodbye)
    with serving(leaving) as server:
        measured = run(server.target, calls=60, **more)
    assert (measured.calls, measured.problems, leaving.answered) == (60, {}, 60)


def test_a_server_that_goes_away_for_good_does_not_make_it_run_forever() -> None:
    answered, listening = threading.Event(), threading.Event()

    def once(peer: Peer) -> None:
        if not answered.is_set():
            answered.set()
            peer.answer(1)
        listening.wait(DEADLINE)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(once))
        plan = Plan(target=str(server.target), method="ping", connections=1, calls=1000, seconds=None, timeout=1)

        def end(_progress: RunProgress) -> None:
            listening.set()
            stack.close()

        measured = run_plan(plan, end)
    assert measured.calls == 1
    assert measured.failed == 999
    assert set(measured.problems) <= {"connection lost", "no connection", "no reply in time"}
