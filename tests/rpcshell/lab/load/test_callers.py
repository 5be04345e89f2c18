from __future__ import annotations

import threading

import pytest

from rpcshell.client.errors import CallError
from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.load.callers import Caller, EndedCall
from tests.rpcshell.peers import DEADLINE, Handler, Peer, echo, free_port, serving


def called(target: Target, *, calls: int | None = 1, timeout: float = DEADLINE) -> Caller:
    caller = Caller(target, "ping", {"a": 1}, calls=calls, timeout=timeout)
    caller.start()
    caller.join(DEADLINE)
    assert caller.over
    caller.client.close()
    return caller


def busy(peer: Peer) -> None:
    peer.read()
    peer.send({"out": "error", "result": {"code": -32001, "message": "busy"}})


def failing(peer: Peer) -> None:
    peer.read()
    peer.send({"out": "error", "result": {"code": -32603, "message": "no"}})


def closing(peer: Peer) -> None:
    peer.read()


@pytest.mark.parametrize(
    ("handler", "fate"),
    [(echo, "answered"), (busy, "busy"), (failing, "error"), (closing, "lost"), (Peer.wait_for_end, "timeout")],
)
def test_a_call_has_one_fate(handler: Handler, fate: str) -> None:
    with serving(handler) as server:
        caller = called(server.target, timeout=0.2 if fate == "timeout" else DEADLINE)
    assert caller.fates == {fate: 1}
    assert caller.last is not None
    assert caller.last.fate == fate
    assert (caller.last.error is None) == (fate == "answered")
    assert isinstance(caller.last.error, CallError) == (fate in {"busy", "error"})
    assert caller.waited == caller.longest == caller.last.took


def test_a_call_without_a_connection_is_refused() -> None:
    assert called(TcpTarget("127.0.0.1", free_port()), calls=2).fates == {"refused": 2}


def test_a_call_under_way_waits() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def waiting(peer: Peer) -> None:
        arrived.set()
        go_on.wait(DEADLINE)
        echo(peer)

    with serving(waiting) as server:
        caller = Caller(server.target, "ping", calls=1, timeout=DEADLINE)
        caller.start()
        assert arrived.wait(DEADLINE)
        assert caller.began is not None
        assert not caller.over
        go_on.set()
        caller.join(DEADLINE)
        caller.client.close()
    assert caller.fates == {"answered": 1}


def test_a_caller_goes_on_until_it_is_ended_and_changes_its_connection() -> None:
    ended: list[EndedCall] = []
    enough = threading.Event()

    def take(call: EndedCall) -> None:
        ended.append(call)
        if len(ended) == 6:
            enough.set()

    with serving(echo) as server:
        caller = Caller(server.target, "ping", timeout=DEADLINE, calls_each=2, on_end=take)
        caller.start()
        assert enough.wait(DEADLINE)
        caller.end()
        caller.join(DEADLINE)
        caller.client.close()
        assert server.accepted == -(-len(ended) // 2)
    assert caller.fates == {"answered": len(ended)}
