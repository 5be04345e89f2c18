"""The thread model: each connection has a thread of its own, which waits for requests and runs them.

A connection on which nothing was said for a while is parked, and has a thread again when its client speaks. The main
thread accepts connections, receives signals and sees to requests that run too long.
"""

from __future__ import annotations

import abc
import contextlib
import logging
import signal
import sys
import threading
import traceback
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from rpcserver.system.signals import ignore
from rpcserver.system.threads import NoThread, ServerThread, start_thread
from rpcserver.workers.acceptor import TICK
from rpcserver.workers.base import Worker
from rpcserver.workers.blocking_connection import Abandoned, BlockingConnection
from rpcserver.workers.next_step import WRITE
from rpcserver.workers.parking import ParkedConnection, Parking
from rpcserver.workers.refusals import give_up

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcserver.service.context import Peer
    from rpcserver.workers.base import WorkerSetup
    from rpcserver.workers.conversation import Answer, Conversation
    from rpcserver.workers.socket_drivers import NonBlockingConnection
    from rpcserver.workers.terms import Terms

logger = logging.getLogger(__name__)
T = TypeVar("T")

_INTERRUPT: Final = signal.SIGURG
"""Ends the system call in which a thread waits for requests; nothing else uses it, and ignored it does no harm."""

_MANY: Final = 256  # with so many threads, a connection that is accepted has none until its client speaks

_SWITCH_INTERVAL: Final = 0.0005
"""How long a thread may keep the interpreter while others want it, in seconds.

A handler that computes makes each request beside it wait for so long, and once more after every system call. Python's
own 5 ms leave such a neighbour 300 calls/s where 0.5 ms leave it 3,000; threads that wait for I/O notice neither.
"""


class ThreadedWorker(Worker):
    """What the models have in common that run requests in threads: taking connections in, and giving requests up."""

    _crowded = False
    _lookout: threading.Thread | None = None
    """Sees to the deadlines of parked connections, once there may be some."""

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._parking = Parking(self.terms, self._submit, self._closed, self._hasten)

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        tick = min(TICK, self.settings.timeout or TICK)
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


class ThreadConnection(BlockingConnection):
    """A connection that has a thread, for as long as it is not silent.

    Another thread can take it over from one whose request never comes to an end.

    Args:
        park: parks the connection, which is no longer this object's then; False where that cannot be.
    """

    def __init__(
        self,
        connection: socket.socket,
        answer: Answer,
        terms: Terms,
        park: Callable[[ParkedConnection], bool],
        begun: Conversation | None = None,
    ) -> None:
        super().__init__(connection, answer, terms, begun=begun)
        self.abandoned = False  # whether it was taken over
        self.parked = False
        self._park = park
        # The requests that run, by their start.
        self._running: dict[float, bytes | bytearray] = {}
        self._given_up: bytes | bytearray = b""

    @property
    def _answer(self) -> Answer:
        return self._answer_claimed if self._settings.timeout else self._run

    def take_over(self, limit: float) -> bool:
        """Take the connection from its thread where its request has run since `limit` at least, in monotonic seconds.

        Where it was taken, the caller must see to it that `give_up` is called.
        """
        body = take_overdue(self._running, limit)
        if body is None:
            return False
        self._given_up = body
        self.abandoned = True
        return True

    def give_up(self) -> None:
        """Answer the request that runs too long, after the replies that were held back for it, and close."""
        self.conversation.refuse(give_up(self._given_up, self._settings.timeout))
        self.serve()

    def _rest(self) -> bool:
        conversation = self.conversation
        if conversation.last_said or not conversation.silent_for(monotonic()):
            return False
        self.parked = self._park(ParkedConnection(self._socket, conversation))
        return self.parked

    def _answer_claimed(self, body: bytes | bytearray, connection: Peer, close: bool) -> bytes:
        running = self._running
        began = monotonic()
        running[began] = body
        reply = self._run(body, connection, close)
        if running.pop(began, None) is None:
            # It may not have been noted yet where it was taken over.
            self.abandoned = True
            raise Abandoned
        return reply


class ThreadWorker(ThreadedWorker):
    """Serves each connection in a thread of its own, as many as `max_connections`; others wait in the queue.

    A recv(2) in a thread does not end with a signal that the process gets, since Python's handlers run in the main
    thread. So to drain, the main thread shortens the timeout of each connection and then interrupts its thread
    with a signal of its own: the call starts again, with the new timeout. There is no moment at which that can be
    missed, and shutting the socket down instead would break a Unix peer's next write.
    """

    model = "thread"

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._connections: dict[ThreadConnection, threading.Thread] = {}
        self._leaving = threading.Lock()

    def prepare(self) -> None:
        """Prepare for the signal that interrupts threads; they start with their connections."""
        super().prepare()
        self.signals.handle(_INTERRUPT, ignore)
        # What else a thread may be waiting for goes on.
        signal.siginterrupt(_INTERRUPT, False)

    def open_connections(self) -> int:
        """Return how many connections are open, those that are parked included."""
        return len(self._connections) + super().open_connections()

    def serve(self, accepted: socket.socket) -> None:
        """Serve a connection in a thread of its own, at once unless there are many."""
        if len(self._connections) >= _MANY and self._can_park():
            super().serve(accepted)
        else:
            self.board.connection_opened()
            self._start(accepted)

    def _start(self, accepted: socket.socket, parked: ParkedConnection | None = None) -> None:
        begun = None if parked is None else parked.conversation
        connection = ThreadConnection(accepted, self.answer, self.terms, self._park, begun)
        thread = ServerThread(target=self._run, args=(connection,), name="rpcserver-connection", daemon=False)
        self._connections[connection] = thread
        if parked is not None:
            # It stays counted, so that only its place among the parked ones is given up.
            self._parking.release(parked)
        if self.draining:
            connection.drain()
        try:
            thread.start()
        except RuntimeError as error:
            if self._full.allows():
                logger.error("no thread can be started, and clients are turned away: %s", error)
            connection.conversation.release()
            accepted.close()
            self._forget(connection)

    def _run(self, connection: ThreadConnection) -> None:
        try:
            connection.serve()
        finally:
            if not connection.abandoned:
                self._forget(connection)

    def _forget(self, connection: ThreadConnection) -> None:
        # Until then the thread exists, and can be sent a signal.
        with self._leaving:
            full = not self.has_room()
            del self._connections[connection]
        if connection.parked:
            # Its thread had room for a whole read.
            self.budget.note_freed()
        else:
            self.board.connection_closed()
        if full or self.draining:
            self.wake()

    def _can_park(self) -> bool:
        """Start the thread that watches parked connections, if there is none; False where the system has none left."""
        with self._leaving:
            if self._lookout is None:
                try:
                    self._lookout = start_thread(self._watch, "rpcserver-watcher")
                except NoThread:
                    return False
        return True

    def _park(self, connection: ParkedConnection) -> bool:
        if not self._can_park():
            return False
        self._parking.adopt(connection)
        return True

    def _watch(self) -> None:
        """Give threads to parked connections whose clients speak, and see to the deadlines of the others."""
        parking = self._parking
        while True:
            connection = parking.take(parking.due_in())
            if connection is not None:
                if connection.awaits is not WRITE:
                    connection.receive()
                if parking.settle(connection):
                    self._submit(connection, True)
            if not parking.due_in():
                parking.look_after()
            # A thread that waits for the next one must not keep this one alive.
            del connection

    def _submit(self, connection: ParkedConnection, new: bool) -> None:
        self._start(connection.socket, connection)

    def _hasten(self) -> None:
        self._parking.wake()

    def drain_connections(self) -> None:
        """Ask every connection for an end without loss, and interrupt its thread."""
        with self._leaving:
            for connection in self._connections:
                self._drain(connection)
        super().drain_connections()

    def reclaim_connections(self) -> None:
        """Ask idle connections for an end without loss, and interrupt their threads; ask others to hurry."""
        with self._leaving:
            self._parking.reclaim(self._reclaimed)

    def _reclaimed(self, parked: list[ParkedConnection]) -> list[ParkedConnection]:
        """Choose among all, and see to those that have threads."""
        every: list[ParkedConnection | ThreadConnection] = [*parked, *self._connections]
        chosen = self.idlest(every)
        for connection in chosen:
            if isinstance(connection, ThreadConnection):
                self._drain(connection)
        return [connection for connection in chosen if isinstance(connection, ParkedConnection)]

    def _drain(self, connection: ThreadConnection) -> None:
        connection.drain()
        thread = self._connections[connection]
        if thread.ident is not None and not (connection.abandoned or connection.parked):
            signal.pthread_kill(thread.ident, _INTERRUPT)

    def give_up_overdue(self, limit: float) -> None:
        """Answer requests that run too long, each in a thread of its own."""
        for connection, thread in list(self._connections.items()):
            if connection.take_over(limit):
                self.note_given_up(connection, thread)
                try:
                    start_thread(partial(self._give_up, connection), "rpcserver-giving-up")
                except NoThread:
                    self._give_up(connection)

    def _give_up(self, connection: ThreadConnection) -> None:
        try:
            connection.give_up()
        finally:
            self._forget(connection)
