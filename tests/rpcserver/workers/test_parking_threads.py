"""Parked connections and many threads: nothing is lost, wherever one is held up while others go on."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import combinations_with_replacement, count
from types import FrameType
from typing import Any

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers import parking as parking_code
from rpcserver.workers.next_step import ANSWER, READ, Next
from rpcserver.workers.parking import ParkedConnection, Parking
from rpcserver.workers.terms import Terms
from tests.servers import request


class Scene:
    """A connection that a thread has, whose client has sent one more request; and what threads do."""

    def __init__(self, shared: bool, awaits: Next) -> None:
        terms = Terms(ServerSettings(idle_timeout=0), None, None, {})
        self.parking = Parking(terms, lambda connection, _: self.serve(connection), lambda: None, lambda: None)
        self.parking.shared = shared
        self.sent = self.served = 0
        self.awaits = awaits
        self.connect()
        self.send()
        self.client.settimeout(0)
        connection = self.parking.take(0)
        assert connection is not None
        connection.receive()
        if awaits is READ:
            self.run(connection)
        self.send()
        self.owned = connection

    def connect(self) -> None:
        accepted, self.client = socket.socketpair()
        assert self.parking.add(accepted)

    def send(self) -> None:
        self.client.sendall(request("echo", self.sent))
        self.sent += 1

    def run(self, connection: ParkedConnection) -> None:
        while connection.conversation.next_request() is not None:
            self.served += 1

    def serve(self, connection: ParkedConnection) -> None:
        """What a thread does with a connection that it has taken."""
        if connection.awaits is READ:
            connection.receive()
        self.run(connection)
        assert not self.parking.settle(connection)

    def park(self) -> None:
        self.parking.park(self.owned, self.awaits)

    def wait(self) -> None:
        connection = self.parking.take(0)
        if connection is not None:
            self.serve(connection)

    def see_to_deadlines(self) -> None:
        for connection in list(self.parking._parked.values()):
            connection.deadline = 0.001
        self.parking.look_after()

    def change_who_waits(self) -> None:
        self.parking.shared = not self.parking.shared
        self.wait()

    def replace(self) -> None:
        """End a connection, and take in another that has its descriptor."""
        self.send()
        connection = self.parking.take(0)
        if connection is None:
            return
        accepted, client = socket.socketpair()
        connection.conversation.lost = True
        assert not self.parking.settle(connection)
        with accepted, self.client:
            os.dup2(accepted.fileno(), connection.descriptor)
        self.client = client
        assert self.parking.add(socket.socket(fileno=connection.descriptor))
        self.served = self.sent
        self.send()

    def end(self) -> None:
        """All that was sent is told and read, what comes now too, and nothing is told any more."""
        for _ in range(2):
            for _ in range(4):
                self.wait()
            assert self.served == self.sent
            assert not self.parking.gather(deque(), 8, 0)
            self.send()


Doing = Callable[[Scene], None]


@contextmanager
def staged(shared: bool, awaits: Next) -> Iterator[Scene]:
    scene = Scene(shared, awaits)
    with closing(scene.parking._epoll):
        yield scene
    for connection in scene.parking._connections.values():
        connection.close()
    scene.client.close()
    os.close(scene.parking._wakeup)


def play(scene: Scene, doing: Sequence[Doing], steps: Sequence[int]) -> list[bool]:
    """Do one thing, and after so many of its steps the next in another thread; say who had so many.

    A step is one of the interpreter's, in the code of parked connections: threads take turns at no finer ones.
    """
    first, *others = doing
    if not others:
        first(scene)
        return []
    left = steps[0]
    held_up: list[bool] = []

    def go_on() -> None:
        with ThreadPoolExecutor(1) as thread:
            held_up.extend(thread.submit(play, scene, others, steps[1:]).result())

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != parking_code.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if not left:
                go_on()
        return trace

    before = sys.gettrace()
    # Python 3.12 tells of opcodes only where a frame has asked before.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        first(scene)
    finally:
        sys.settrace(before)
    if left > 0:
        go_on()
    return [left <= 0, *held_up]


OTHERS: tuple[Doing, ...] = (Scene.wait, Scene.see_to_deadlines, Scene.change_who_waits, Scene.replace)


@pytest.mark.parametrize("awaits", [READ, ANSWER])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("place", [0, 1])
def test_nothing_is_lost_wherever_a_thread_is_held_up(place: int, other: Doing, shared: bool, awaits: Next) -> None:
    doing = [other]
    doing.insert(place, Scene.park)
    for step in count(1):
        with staged(shared, awaits) as scene:
            (held_up,) = play(scene, doing, [step])
            scene.end()
        if not held_up:
            break
    assert step > 5


# But for the last, in which both would replace the connection of one client.
PAIRS = list(combinations_with_replacement(OTHERS, 2))[:-1]


@pytest.mark.thorough
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("others", PAIRS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_nothing_is_lost_wherever_two_threads_are_held_up(place: int, others: Sequence[Doing], shared: bool) -> None:
    doing = list(others)
    doing.insert(place, Scene.park)
    first = second = 1
    while True:
        with staged(shared, READ) as scene:
            first_held_up, second_held_up = play(scene, doing, [first, second])
            scene.end()
        if second_held_up:
            second += 1
        elif first_held_up:
            first, second = first + 1, 1
        else:
            break
    assert first > 5


def test_who_is_held_up_as_it_hushes_a_connection_leaves_no_thread_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    with staged(False, READ) as scene:
        parking = scene.parking
        modify = parking._modify
        taken: deque[ParkedConnection] = deque()

        def go_on(descriptor: int, events: int) -> None:
            modify(descriptor, events)
            monkeypatch.setattr(parking, "_modify", modify)
            # Another thread that was told of it hushes it too, it is parked anew, and a third one takes it.
            assert parking._hush(descriptor) is None
            scene.park()
            assert parking.gather(taken, 8, 0)

        monkeypatch.setattr(parking, "_modify", go_on)
        assert parking.take(0) is None
        # Its client has said more than is read as yet.
        others: deque[ParkedConnection] = deque()
        for _ in range(2):
            parking.gather(others, 8, 0)
        assert not parking.gather(others, 8, 0)
        assert not others
        scene.serve(taken.pop())
        scene.end()
