"""What the models have in common that run requests in threads: the main thread, and giving requests up.

It accepts connections, receives signals and sees to requests that run too long.
"""

from __future__ import annotations

import abc
import contextlib
import logging
import sys
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from rpcserver.workers.base import Worker
from rpcserver.workers.limits import tick_for
from rpcserver.workers.parking import Parking

if TYPE_CHECKING:
    import socket
    import threading

    from rpcserver.workers.base import WorkerSetup
    from rpcserver.workers.blocking_connection import BlockingConnection
    from rpcserver.workers.parking import ParkedConnection
    from rpcserver.workers.socket_drivers import NonBlockingConnection

logger = logging.getLogger(__name__)
T = TypeVar("T")

_SWITCH_INTERVAL: Final = 0.0005
"""How long a thread may keep the interpreter while others want it, in seconds.

A handler that computes makes each request beside it wait for so long, and once more after every system call. Python's
own 5 ms leave such a neighbour 300 calls/s where 0.5 ms leave it 3,000; threads that wait for I/O notice neither.
"""


class ThreadedWorker(Worker):
    """A worker that runs requests in threads; its models say how."""

    _crowded = False
    _lookout: threading.Thread | None = None
    """Sees to the deadlines of parked connections, once there may be some."""

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._parking = Parking(self.terms, self._submit, self._closed, self._hasten)

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        tick = tick_for(self.settings.timeout)
        sys.setswitchinterval(_SWITCH_INTERVAL)
        while not self.draining:
            if self.has_room():
                self._take_in(self.acceptor.accept(tick))
            else:
                self.note_full()
                self.acceptor.wait(tick)
            self.look_after()
        self.acceptor.close()
        self.drain_connections()
        more = True
        while more or self.open_connections():
            if more and self.has_room():
                more = self._take_in(self.channel.next_connection())
            else:
                self.acceptor.wait(tick)
            self.look_after()

    def reclaim(self) -> None:
        """Have the main thread see to it, whose wait the signal ends."""
        self._crowded = True

    def serve(self, accepted: socket.socket) -> None:
        """Take a connection in: park it until its client speaks."""
        # Counted before it is parked, since it may end, and its end be counted, at once.
        self.board.connection_opened()
        if not self._parking.add(accepted):
            self.board.connection_closed()

    def open_connections(self) -> int:
        """Return how many connections are open, parked or not."""
        return len(self._parking)

    def reclaim_connections(self) -> None:
        """Ask idle connections for an end without loss, and others to hurry, since clients wait."""
        self._parking.reclaim(self.idlest)

    def drain_connections(self) -> None:
        """Ask every connection for an end without loss."""
        self._parking.drain()

    @abc.abstractmethod
    def give_up_overdue(self, limit: float) -> None:
        """See to requests that have been running since `limit` at least, in monotonic seconds."""

    def in_call(self) -> bool:
        """The main thread runs none."""
        return False

    def has_room(self) -> bool:
        """Whether one more connection may be taken in."""
        return self.open_connections() < self.settings.max_connections

    def look_after(self) -> None:
        """See to what is due, about once a second."""
        self.tick()
        if self._crowded and not self.draining:
            self._crowded = False
            self.reclaim_connections()
        if self._lookout is not None and not self._lookout.is_alive():
            raise RuntimeError("the thread that looks after parked connections has ended")
        if self.settings.timeout:
            self.give_up_overdue(monotonic() - self.settings.timeout)

    def note_given_up(self, connection: BlockingConnection | NonBlockingConnection, thread: threading.Thread) -> None:
        """Log a request that has run too long; a thread cannot be ended, so the worker must be replaced."""
        logger.error(
            "%s: a request ran longer than %g s and was given up; this worker will be replaced",
            connection.conversation.peer.address,
            self.settings.timeout,
            extra={"traceback": _stack_of(thread)},
        )
        self.retire("has a request that runs too long")

    def _take_in(self, accepted: socket.socket | None) -> bool:
        if accepted is not None:
            self.serve(accepted)
        return accepted is not None

    @abc.abstractmethod
    def _submit(self, connection: ParkedConnection, new: bool) -> None:
        """Have the requests of a connection run, which were read as its deadline was looked at."""

    @abc.abstractmethod
    def _hasten(self) -> None:
        """Have the lookout look at once."""

    def _closed(self) -> None:
        """A parked connection has ended."""
        self.board.connection_closed()
        if self.draining or self.open_connections() >= self.settings.max_connections - 1:
            self.wake()


def take_overdue(running: dict[float, T], limit: float) -> T | None:
    """Take the request that has been running since `limit` at least, in monotonic seconds, from its thread.

    Whoever pops a request has the right to answer it; that is one step under the GIL, and costs less than a lock.
    """
    for began in list(running):
        if began <= limit and (request := running.pop(began, None)) is not None:
            return request
    return None


def _stack_of(thread: threading.Thread) -> str:
    """Say where a thread is, as a traceback does."""
    with contextlib.suppress(KeyError):
        frame = sys._current_frames()[thread.ident or 0]
        return "".join(traceback.format_stack(frame)).rstrip()
    return ""
