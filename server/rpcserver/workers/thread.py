"""The thread model: each connection has a thread of its own, which waits for requests and runs them.

A connection on which nothing was said for a while is parked, and has a thread again when its client speaks. What
the main thread does is in `threaded`.
"""

from __future__ import annotations

import logging
import signal
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.signals import ignore
from rpcserver.system.threads import NoThread, ServerThread, start_thread
from rpcserver.workers.blocking_connection import Abandoned, BlockingConnection
from rpcserver.workers.next_step import WRITE
from rpcserver.workers.parking import ParkedConnection
from rpcserver.workers.refusals import give_up
from rpcserver.workers.threaded import ThreadedWorker, take_overdue

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcserver.service.context import Peer
    from rpcserver.workers.base import WorkerSetup
    from rpcserver.workers.conversation import Answer, Conversation
    from rpcserver.workers.terms import Terms

logger = logging.getLogger(__name__)

_INTERRUPT: Final = signal.SIGURG
"""Ends the system call in which a thread waits for requests; nothing else uses it, and ignored it does no harm."""

_MANY: Final = 256  # with so many threads, a connection that is accepted has none until its client speaks


class _ThreadConnection(BlockingConnection):
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
        self._connections: dict[_ThreadConnection, threading.Thread] = {}
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
        connection = _ThreadConnection(accepted, self.answer, self.terms, self._park, begun)
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

    def _run(self, connection: _ThreadConnection) -> None:
        try:
            connection.serve()
        finally:
            if not connection.abandoned:
                self._forget(connection)

    def _forget(self, connection: _ThreadConnection) -> None:
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
        every: list[ParkedConnection | _ThreadConnection] = [*parked, *self._connections]
        chosen = self.idlest(every)
        for connection in chosen:
            if isinstance(connection, _ThreadConnection):
                self._drain(connection)
        return [connection for connection in chosen if isinstance(connection, ParkedConnection)]

    def _drain(self, connection: _ThreadConnection) -> None:
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

    def _give_up(self, connection: _ThreadConnection) -> None:
        try:
            connection.give_up()
        finally:
            self._forget(connection)
