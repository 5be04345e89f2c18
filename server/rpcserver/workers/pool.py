"""The pool model: a fixed number of threads run requests, and connections that wait for their clients need none.

The main thread accepts connections, receives signals and sees to requests that run too long. The poller's thread
watches all connections in one epoll, without a cost but memory: whole batches of requests go from there to the
pool's threads, which run them and write the replies; halves of requests, slow readers and ends do not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.threads import NoThread, start_thread
from rpcserver.workers.acceptor import TICK
from rpcserver.workers.limits import NEVER, WRITE_SIZE
from rpcserver.workers.next_step import ANSWER, CLOSE, READ, WRITE, Next
from rpcserver.workers.refusals import give_up, refuse_request
from rpcserver.workers.socket_drivers import NonBlockingConnection, converse, prepare
from rpcserver.workers.thread import ThreadedWorker, take_overdue

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcserver.workers.base import WorkerSetup
    from rpcserver.workers.terms import Terms

logger = logging.getLogger(__name__)

_SHARE: Final = 16
"""How many requests of one connection are run before others that wait have their turn."""

_LOOK: Final = 0.005
"""Seconds between two looks at a full queue."""

_LOOKS: Final = 40
"""A queue is full when no thread has taken anything from it at so many looks in a row.

They are counted, and not the time they take: where others take the processor, threads run as seldom as the one that
looks, and quick calls may take long.
"""


class PooledConnection(NonBlockingConnection):
    """A connection that belongs to one thread at a time; nothing in it is locked.

    Attributes:
        awaits: what the poller watches it for; None while another thread has it.
        deadline: until when the poller does so, in monotonic seconds.
        running: the request that runs, by its start. Whoever pops it has the right to answer: one step under the GIL.
    """

    awaits: Next | None = None
    deadline = NEVER

    def __init__(
        self,
        connection: socket.socket,
        terms: Terms,
    ) -> None:
        conversation = converse(connection, terms)
        super().__init__(connection, conversation)
        prepare(connection, conversation)
        self.running: dict[float, bytes | bytearray] = {}


class Parking:
    """Connections that wait for their clients.

    A connection is the poller's while it is watched, and is watched for one event at a time (EPOLLONESHOT); else it
    is the thread's that runs its requests, until that calls `settle`. So neither touches what is the other's.

    Args:
        terms: what all conversations of the worker have in common.
        submit: called in the poller's thread, and from `settle`, with a connection that has requests to run;
            whether they are new tells the second argument.
        closed: called in any thread after a connection has been closed.
    """

    def __init__(
        self,
        terms: Terms,
        submit: Callable[[PooledConnection, bool], None],
        closed: Callable[[], None],
    ) -> None:
        settings = terms.settings
        self._terms = terms
        self._submit = submit
        self._closed = closed
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._connections: dict[int, PooledConnection] = {}
        # Held while a connection is put under watch, and while the poller looks for those that are.
        self._handing = threading.Lock()
        self._leave_by = NEVER
        limits = (settings.idle_timeout, settings.read_timeout, settings.write_timeout, settings.drain_grace)
        self._tick = min(TICK, settings.max_connection_age or TICK, *(limit or TICK for limit in limits))

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, accepted: socket.socket) -> bool:
        """Take a connection in; False if its client has gone already."""
        try:
            connection = PooledConnection(accepted, self._terms)
        except OSError as error:
            logger.debug("a connection was lost before it was served: %s", error.strerror)
            accepted.close()
            return False
        self._connections[connection.fileno()] = connection
        with self._handing:
            self._hand_over(connection, connection.advance())
            self._epoll.register(connection, select.EPOLLIN | select.EPOLLONESHOT)
        return True

    def drain(self) -> None:
        """Ask every connection, and those that come, for an end without loss; safe in any thread."""
        self._leave_by = monotonic() + self._terms.settings.drain_grace
        self._wake()

    def reclaim(self, choose: Callable[[list[PooledConnection]], list[PooledConnection]]) -> None:
        """Ask some of the connections that wait for an end without loss; safe in any thread.

        Args:
            choose: says which ones.
        """
        with self._handing:
            waiting = [connection for connection in self._connections.copy().values() if connection.awaits is not None]
            for connection in choose(waiting):
                connection.conversation.leave(monotonic() + self._terms.settings.drain_grace)
            for connection in waiting:
                connection.deadline = connection.conversation.deadline
        self._wake()

    def settle(self, connection: PooledConnection, *, new: bool = False) -> None:
        """Go on with a connection; called by the thread that has it, which has it no more after this.

        Its requests, if there are any, may be turned away where they are new.
        """
        following = connection.advance()
        if following is ANSWER:
            self._submit(connection, new)
        elif following is CLOSE:
            del self._connections[connection.fileno()]
            connection.close()
            self._closed()
        else:
            events = select.EPOLLOUT if following is WRITE else select.EPOLLIN
            with self._handing:
                self._hand_over(connection, following)
                self._epoll.modify(connection, events | select.EPOLLONESHOT)

    def run(self) -> None:
        """Watch; the poller's thread does nothing else, for as long as the process lives."""
        connections = self._connections
        look_at = 0.0
        while True:
            for descriptor, _ in self._epoll.poll(max(0.0, look_at - monotonic())):
                if descriptor == self._wakeup:
                    os.eventfd_read(self._wakeup)
                    look_at = 0.0
                else:
                    # Not by a name here, which would keep the last one beyond its end.
                    self._on_event(connections.get(descriptor))
            now = monotonic()
            if now >= look_at:
                look_at = now + self._tick
                self._look_after(now)

    def _on_event(self, connection: PooledConnection | None) -> None:
        if connection is None:
            return
        awaited, connection.awaits = connection.awaits, None
        if awaited is None:
            # It was taken at its deadline, and is a thread's. That watches it again for what has come.
            return
        if awaited is not WRITE:
            connection.receive()
        self.settle(connection, new=awaited is READ)

    def _look_after(self, now: float) -> None:
        """See to the deadlines of connections that wait, and to those that shall leave."""
        due: list[PooledConnection] = []
        with self._handing:
            for connection in list(self._connections.values()):
                if self._leave_by < NEVER and not connection.conversation.leaving:
                    connection.conversation.leave(self._leave_by)
                    connection.deadline = connection.conversation.deadline
                connection.conversation.note_age(now)
                if connection.awaits is not None and now >= connection.deadline:
                    due.append(connection)
        for connection in due:
            self._on_deadline(connection)

    def _on_deadline(self, connection: PooledConnection) -> None:
        awaited, connection.awaits = connection.awaits, None
        conversation = connection.conversation
        if awaited is READ and not conversation.mid_frame:
            # What has arrived is answered, even if it came a moment ago.
            conversation.heard = False
            connection.receive()
            if conversation.heard or conversation.lost:
                self.settle(connection, new=True)
                return
        elif awaited is WRITE and (connection.advance() is not awaited or monotonic() < conversation.deadline):
            self.settle(connection)
            return
        conversation.expire()
        self.settle(connection)

    def _hand_over(self, connection: PooledConnection, awaits: Next) -> None:
        """Make a connection the poller's until something comes; `_handing` must be held."""
        conversation = connection.conversation
        now = monotonic()
        if self._leave_by < NEVER and not conversation.leaving:
            conversation.leave(self._leave_by)
        conversation.note_silence(now)
        connection.awaits = awaits
        connection.deadline = conversation.deadline
        if connection.deadline <= now:
            self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)


class PoolWorker(ThreadedWorker):
    """Runs requests in `threads` threads; at most `queue` connections wait with requests for one of these.

    A request that finds the queue full is answered -32001 (busy) at once. No thread ever waits for a client: what
    one does not read is written by the poller when it can be.
    """

    model = "pool"

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._queue: SimpleQueue[PooledConnection] = SimpleQueue()
        self._stuck = False
        self._running: dict[PooledConnection, threading.Thread] = {}
        self._parking = Parking(self.terms, self._submit, self._closed)

    def prepare(self) -> None:
        """Start the poller and the pool, which has fewer threads where there are no more."""
        self._poller = start_thread(self._parking.run, "rpcserver-poller")
        self._add_thread()
        for number in range(1, self.settings.threads):
            try:
                self._add_thread()
            except NoThread as error:
                logger.warning("the pool has %d of %d threads: %s", number, self.settings.threads, error)
                return

    def open_connections(self) -> int:
        """Return how many connections are open, watched or not."""
        return len(self._parking)

    def serve(self, accepted: socket.socket) -> None:
        """Have a connection watched."""
        if self._parking.add(accepted):
            self.board.connection_opened()

    def drain_connections(self) -> None:
        """Ask every connection for an end without loss."""
        self._parking.drain()

    def reclaim_connections(self) -> None:
        """Ask idle connections for an end without loss, and others to hurry."""
        self._parking.reclaim(self.idlest)

    def _closed(self) -> None:
        self.board.connection_closed()
        if self.draining or len(self._parking) == self.settings.max_connections - 1:
            self.wake()

    def _submit(self, connection: PooledConnection, new: bool) -> None:
        """Queue a connection that has requests, or turn these away where too many wait already."""
        if not new or self._queue.qsize() < self.settings.queue or self._has_moved():
            self._stuck = False
            self._queue.put(connection)
            return
        conversation = connection.conversation
        while (request := conversation.next_request()) is not None:
            body, last = request
            reply = refuse_request(body, self.settings.queue, close=last)
            conversation.hold(reply, last=last)
            if self.settings.access_log:
                from rpcserver.service.access import log_refusal

                log_refusal(conversation.peer, body, reply)
        self._parking.settle(connection)

    def _has_moved(self) -> bool:
        """Let the threads run for a moment, while the queue is full; False when all are busy for longer.

        In a burst the poller is awake and the threads are not yet, so that a full queue may mean nothing. Once they
        are known to be busy, others are turned away at once until there is room.
        """
        if self._stuck:
            return False
        for _ in range(_LOOKS):
            # Only that makes a thread let go of the interpreter for others that have yet to wake up.
            time.sleep(_LOOK)
            if self._queue.qsize() < self.settings.queue:
                return True
        self._stuck = True
        return False

    def _add_thread(self) -> None:
        start_thread(self._work, "rpcserver-pool")

    def _work(self) -> None:
        """Be one of the pool's threads, until a request has been given up in it."""
        me = threading.current_thread()
        while True:
            connection = self._queue.get()
            self._running[connection] = me
            try:
                if not self._run(connection):
                    return
            except BaseException:
                # What answers lets nothing of a user's pass; but logging may be a user's too.
                peer = connection.conversation.peer
                logger.critical("%s: this connection is closed after an error", peer.address, exc_info=True)
                connection.running.clear()
                self._running.pop(connection, None)
                connection.conversation.lost = True
            self._parking.settle(connection)
            # Whoever waits for the next one keeps none.
            del connection

    def _run(self, connection: PooledConnection) -> bool:
        """Run a connection's requests, as many as are its share; False when the connection is taken away."""
        answer = self.answer
        conversation = connection.conversation
        running = connection.running
        share = _SHARE
        while (request := conversation.next_request()) is not None:
            body, last = request
            began = monotonic()
            running[began] = body
            reply = answer(body, conversation.peer, last)
            if running.pop(began, None) is None:
                return False
            conversation.hold(reply, last=last)
            share -= 1
            if conversation.held > WRITE_SIZE and connection.advance() is not ANSWER:
                break
            if share <= 0 and not self._queue.empty():
                break
        del self._running[connection]
        return True

    def look_after(self) -> None:
        """See to requests that run too long."""
        super().look_after()
        if not self._poller.is_alive():
            raise RuntimeError("the poller's thread has ended")
        if not self.settings.timeout:
            return
        now = monotonic()
        for connection, thread in list(self._running.items()):
            body = take_overdue(connection.running, now - self.settings.timeout)
            if body is None:
                continue
            del self._running[connection]
            self.note_given_up(connection, thread)
            connection.conversation.refuse(give_up(body, self.settings.timeout))
            self._parking.settle(connection)
            # The others go on with as many threads as before, or else until the worker has been replaced.
            with contextlib.suppress(NoThread):
                self._add_thread()
