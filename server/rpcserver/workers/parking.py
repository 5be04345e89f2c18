"""Where connections of the pool model wait for their clients: in one epoll, watched by one thread, without a cost
but memory. Whole batches of requests leave it for the pool; halves of requests, slow readers and ends do not.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from socket import AF_UNIX
from typing import TYPE_CHECKING

from rpcserver.workers.acceptor import TICK
from rpcserver.workers.pooled import NEVER, PooledConnection, State
from rpcserver.workers.refusals import LINGER_SECONDS, SlowFrame

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import Settings

logger = logging.getLogger(__name__)


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

    def connections(self) -> list[PooledConnection]:
        """Every open connection, the pool's too."""
        return list(self._connections.values())

    def add(self, accepted: socket.socket) -> bool:
        """Take a connection in; False if its client has gone already."""
        try:
            connection = self._connection(accepted)
        except OSError as error:
            logger.debug("a connection was lost before it was served: %s", error.strerror)
            accepted.close()
            return False
        self._connections[connection.fileno()] = connection
        with self._handing:
            self._wait_for_bytes(connection)
            self._epoll.register(connection, select.EPOLLIN | select.EPOLLONESHOT)
        return True

    def drain(self) -> None:
        """Ask every connection, and those that come, for an end without loss; safe in any thread."""
        self._leave_by = time.monotonic() + self._settings.drain_grace
        self._wake()

    def settle(self, connection: PooledConnection) -> None:
        """Give a connection back; called by the thread that has it, with nothing left to do for that."""
        if not connection.has_requests:
            connection.conclude()
        if not connection.flush():
            if connection.lost:
                self._close(connection)
            else:
                self._watch(connection, State.WRITING)
        elif connection.has_requests:
            self._submit(connection, False)
        elif connection.last_said:
            connection.end_writing()
            self._watch(connection, State.LINGERING)
        elif connection.ended or connection.lost:
            self._close(connection)
        else:
            self._watch(connection, State.READING)

    def run(self) -> None:
        """Watch; the poller's thread does nothing else, for as long as the process lives."""
        connections = self._connections
        look_at = 0.0
        while True:
            for descriptor, _ in self._epoll.poll(max(0.0, look_at - time.monotonic())):
                if descriptor == self._wakeup:
                    os.eventfd_read(self._wakeup)
                    look_at = 0.0
                else:
                    self._on_event(connections[descriptor])
            now = time.monotonic()
            if now >= look_at:
                look_at = now + self._tick
                self._look_after(now)

    def _connection(self, accepted: socket.socket) -> PooledConnection:
        if self._tls is None or accepted.family == AF_UNIX:
            return PooledConnection(accepted, self._settings)
        from rpcserver.workers.tls_pooled import TlsPooledConnection

        return TlsPooledConnection(accepted, self._settings, self._tls)

    def _on_event(self, connection: PooledConnection) -> None:
        state, connection.state = connection.state, State.TAKEN
        if state is State.READING:
            connection.receive()
            self._go_on(connection)
        elif state is State.WRITING:
            self.settle(connection)
        elif connection.discard():
            self._close(connection)
        else:
            self._watch(connection, State.LINGERING)

    def _go_on(self, connection: PooledConnection) -> None:
        if connection.has_requests:
            self._submit(connection, True)
        else:
            self.settle(connection)

    def _look_after(self, now: float) -> None:
        """See to the deadlines of connections that wait, and to those that shall leave."""
        due: list[tuple[PooledConnection, State]] = []
        with self._handing:
            for connection in self.connections():
                if self._leave_by < NEVER and not connection.leaving:
                    if connection.state is State.READING:
                        self._wait_for_bytes(connection)
                    else:
                        connection.leave(self._leave_by)
                if connection.state is not State.TAKEN and now >= connection.deadline:
                    due.append((connection, connection.state))
                    connection.state = State.TAKEN
        for connection, state in due:
            self._on_deadline(connection, state)

    def _on_deadline(self, connection: PooledConnection, state: State) -> None:
        if state is State.LINGERING:
            self._close(connection)
        elif state is State.WRITING:
            if connection.flush():
                self.settle(connection)
                return
            logger.info("%s: closed, because the client does not read its replies", connection.peer.address)
            connection.reset()
            self._close(connection)
        elif connection.mid_frame:
            connection.fail(SlowFrame(self._settings.read_timeout))
            self.settle(connection)
        else:
            # What has arrived is answered, even if it came a moment ago.
            connection.receive()
            if connection.is_silent:
                if not connection.leaving:
                    limit = self._settings.idle_timeout
                    logger.info("%s: closed after %g s of silence", connection.peer.address, limit)
                connection.say_goodbye()
            self._go_on(connection)

    def _watch(self, connection: PooledConnection, state: State) -> None:
        """Let the poller have a connection; after this the caller has it no more."""
        events = select.EPOLLOUT if state is State.WRITING else select.EPOLLIN
        with self._handing:
            if state is State.READING:
                self._wait_for_bytes(connection)
            else:
                now = time.monotonic()
                connection.state = state
                lingering = state is State.LINGERING
                connection.deadline = now + LINGER_SECONDS if lingering else connection.writing_deadline(now)
            self._epoll.modify(connection, events | select.EPOLLONESHOT)

    def _wait_for_bytes(self, connection: PooledConnection) -> None:
        """Make it the poller's until something comes; `_handing` must be held."""
        now = time.monotonic()
        if self._leave_by < NEVER and not connection.leaving:
            connection.leave(self._leave_by)
        connection.state = State.READING
        connection.deadline = connection.reading_deadline(now)
        if connection.deadline <= now:
            self._wake()

    def _close(self, connection: PooledConnection) -> None:
        del self._connections[connection.fileno()]
        connection.close()
        self._closed()

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)
