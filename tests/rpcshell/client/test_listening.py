"""Connections that a thread reads: what comes when, and interrupts of whoever calls."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from rpcshell import (
    CallTimeout,
    Client,
    ConnectionLost,
    Target,
    connect,
)
from rpcshell.client.dialects import Event, ServerRequest
from rpcshell.client.hearing import Answer, Hearing
from rpcshell.client.trace import CallTrace
from tests.rpcshell.client.test_jsonrpc import served
from tests.rpcshell.peers import DEADLINE


def test_an_event_that_comes_with_the_end_is_heard_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, looked = threading.Event(), threading.Event()
    next_event = Hearing.next_event

    def look(hearing: Hearing, timeout: float | None, over: Callable[[], bool]) -> Event | None:
        def is_over() -> bool:
            try:
                return over()
            finally:
                looked.set()

        return next_event(hearing, timeout, is_over)

    def take(_request: ServerRequest, _answer: Answer) -> bool:
        asked.set()
        return looked.wait(DEADLINE)

    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b'{"method":"ask","id":1}{"method":"last"}')
    ours.setblocking(False)
    monkeypatch.setattr(Hearing, "next_event", look)
    monkeypatch.setattr("rpcshell.client.listening.open_transport", lambda *_args, **_options: ours)
    with Client(Target.parse("jsonrpc:127.0.0.1:1")) as client:
        client.hearing().handle(asked=take)
        client.connect()
        # All is read, and handed out once somebody has looked for an event.
        assert asked.wait(DEADLINE)
        events = client.events()
        assert next(events) == Event("last")
        with pytest.raises(ConnectionLost):
            next(events)


def test_what_has_come_is_handed_out_before_more_is_read_of_a_server_that_never_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Flood:
        """What is read of it never ends, once it has begun."""

        begun = False
        reads = 0

        def __init__(self) -> None:
            self._socket, theirs = socket.socketpair()
            theirs.close()
            self.fileno, self.send, self.close = self._socket.fileno, self._socket.send, self._socket.close

        def recv(self, _size: int) -> bytes:
            if not self.begun:
                raise BlockingIOError
            self.reads += 1
            return b'{"method":"more"}\n'

    flood = Flood()
    reads: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr("rpcshell.client.listening.open_transport", lambda *_args, **_options: flood)
    with Client(Target.parse("jsonrpc+line:127.0.0.1:1")) as client:
        client.hearing().handle(event=lambda _event: reads.put(flood.reads))
        client.connect()
        flood.begun = True
        assert [reads.get(timeout=DEADLINE) for _ in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.skipif(not hasattr(fcntl, "F_SETSIG"), reason="nothing interrupts a call in the moment it is sent")
def test_an_interrupt_as_a_call_is_sent_does_not_send_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    monkeypatch.setattr("rpcshell.client.listening.open_transport", lambda *_args, **_options: ours)
    with theirs, Client(Target.parse("jsonrpc+line:127.0.0.1:1")) as client:
        client.connect()
        # What comes in there interrupts us here, fcntl(2).
        fcntl.fcntl(theirs, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(theirs, fcntl.F_SETSIG, signal.SIGINT)
        flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
        fcntl.fcntl(theirs, fcntl.F_SETFL, flags | os.O_ASYNC)
        with pytest.raises(KeyboardInterrupt):
            client.call("pay", [10])
        fcntl.fcntl(theirs, fcntl.F_SETFL, flags)
        with pytest.raises(CallTimeout):
            client.call("pay", [11], timeout=0.01)
        calls = [json.loads(line) for line in theirs.recv(65536).splitlines()]
    assert [call["params"] for call in calls if "id" in call] == [[10], [11]]


def test_what_an_interrupt_might_send_twice_is_sent_by_the_thread_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    senders: set[str] = set()

    class Stream:
        """As that of TLS: it is written in Python."""

        fileno, recv, close = ours.fileno, ours.recv, ours.close

        def send(self, data: memoryview) -> int:
            senders.add(threading.current_thread().name)
            theirs.sendall(b'{"id":1,"result":1}\n')
            return ours.send(data)

    monkeypatch.setattr("rpcshell.client.listening.open_transport", lambda *_args, **_options: Stream())
    with theirs, Client(Target.parse("jsonrpc+line:127.0.0.1:1")) as client:
        assert client.call("add") == 1
    assert senders == {"reader"}


def test_when_a_request_was_sent_is_told_once() -> None:
    class Counting(CallTrace):
        times = 0

        def request_sent(self) -> None:
            self.times += 1
            super().request_sent()

    trace = Counting()
    with served() as target, connect(target) as client:
        client.exchange("tell", [3], trace=trace)
    assert trace.times == 1
    assert trace.sent <= trace.last
