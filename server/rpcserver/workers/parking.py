"""Where connections of the pool model wait for their clients: in one epoll, watched by one thread, without a cost
but memory. Whole batches of requests leave it for the pool; halves of requests, slow readers and ends do not.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from time import monotonic
from typing import TYPE_CHECKING

from rpcserver.workers.acceptor import TICK
from rpcserver.workers.conversation import NEVER, Next
from rpcserver.workers.nonblocking import NonBlockingConnection, converse, prepare

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import Settings

logger = logging.getLogger(__name__)


class PooledConnection(NonBlockingConnection):
    """A connection that belongs to one thread at a time; nothing in it is locked.

    Attributes:
        awaits: what the poller watches it for; None while another thread has it.
        deadline: until when the poller does so, in monotonic seconds.
        running: the request that runs, by its start. Whoever pops it has the right to answer: one step under the GIL.
    """

    awaits: Next | None = None
    deadline = NEVER

    def __init__(self, connection: socket.socket, settings: Settings, tls: ssl.SSLContext | None) -> None:
        conversation = converse(connection, settings, tls)
        super().__init__(connection, conversation)
        prepare(connection, conversation)
        self.running: dict[float, bytes | bytearray] = {}


class Parking:
    """Connections that wait for their clients.

    A connection is the poller's while it is watched, and is watched for one event at a time (EPOLLONESHOT); else it
    is the thread's that runs its requests, until that calls `settle`. So neither touches what is the other's.

    Args:
        settings: limits and deadlines.
        submit: called in the poller's thread, and from `settle`, with a connection that has requests to run;
            whether they are new tells the second argument.
        closed: called in any thread after a connection has been closed.
        tls: the server's certificate, where TLS is spoken on TCP addresses.
    """

    def __init__(
        self,
        settings: Settings,
        submit: Callable[[PooledConnection, bool], None],
        closed: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._submit = submit
        self._closed = closed
        self._tls = tls
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._connections: dict[int, PooledConnection] = {}
        # Held while a connection is put under watch, and while the poller looks for those that are.
        self._handing = threading.Lock()
        self._leave_by = NEVER
        limits = (settings.idle_timeout, settings.read_timeout, settings.write_timeout, settings.drain_grace)
        self._tick = min(TICK, *(limit or TICK for limit in limits))

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, accepted: socket.socket) -> bool:
        """Take a connection in; False if its client has gone already."""
        try:
            connection = PooledConnection(accepted, self._settings, self._tls)
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
        self._leave_by = monotonic() + self._settings.drain_grace
        self._wake()

    def settle(self, connection: PooledConnection, *, new: bool = False) -> None:
        """Go on with a connection; called by the thread that has it, which has it no more after this.

        Args:
            connection: the connection.
            new: whether its requests, if there are any, have just come.
        """
        following = connection.advance()
        if following is Next.ANSWER:
            self._submit(connection, new)
        elif following is Next.CLOSE:
            del self._connections[connection.fileno()]
            connection.close()
            self._closed()
        else:
            events = select.EPOLLOUT if following is Next.WRITE else select.EPOLLIN
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
                elif (connection := connections.get(descriptor)) is not None:
                    self._on_event(connection)
            now = monotonic()
            if now >= look_at:
                look_at = now + self._tick
                self._look_after(now)

    def _on_event(self, connection: PooledConnection) -> None:
        awaited, connection.awaits = connection.awaits, None
        if awaited is None:
            # It was taken at its deadline, and is a thread's. That watches it again for what has come.
            return
        if awaited is not Next.WRITE:
            connection.receive()
        self.settle(connection, new=awaited is Next.READ)

    def _look_after(self, now: float) -> None:
        """See to the deadlines of connections that wait, and to those that shall leave."""
        due: list[PooledConnection] = []
        with self._handing:
            for connection in list(self._connections.values()):
                if self._leave_by < NEVER and not connection.conversation.leaving:
                    connection.conversation.leave(self._leave_by)
                    connection.deadline = connection.conversation.deadline
                if connection.awaits is not None and now >= connection.deadline:
                    due.append(connection)
        for connection in due:
            self._on_deadline(connection)

    def _on_deadline(self, connection: PooledConnection) -> None:
        awaited, connection.awaits = connection.awaits, None
        conversation = connection.conversation
        if awaited is Next.READ and not conversation.mid_frame:
            # What has arrived is answered, even if it came a moment ago.
            conversation.heard = False
            connection.receive()
            if conversation.heard or conversation.lost:
                self.settle(connection, new=True)
                return
        elif awaited is Next.WRITE and (connection.advance() is not awaited or monotonic() < conversation.deadline):
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
