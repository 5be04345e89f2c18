"""The connections of a load process: waited for, made, written to, read from, lost and made again.

Which call is begun when is the generator's business.
"""

from __future__ import annotations

import contextlib
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.lab.load.connection import Dialler, LoadConnection
from rpcwire import Goodbye, Reply, WireError, decode_reply, frame

if TYPE_CHECKING:
    import socket

    from rpcshell.client.tls import TlsStream
    from rpcshell.lab.load.messages import Tally, Task

LOST: Final = "connection lost"
NO_CONNECTION: Final = "no connection"
NOT_MADE_IN_TIME: Final = "no connection in time"
NOT_ANSWERED: Final = "no reply when it was stopped"
NOT_UNDERSTOOD: Final = "reply not understood"
TIMED_OUT: Final = "no reply in time"

WRITABLE: Final = select.POLLOUT
"""Of an event: the descriptor takes data again."""

_REST: Final = 50_000_000
"""Nanoseconds between two attempts at a connection that was refused, or brought nothing."""

_BATCH: Final = 64 * 1024
_MOST_DIALLED: Final = 2000

_FINE: Final = 0.002
"""Seconds below which poll(2) and epoll_wait(2), which know no less than a millisecond, would be too late."""


class Poller:
    """A set of descriptors to wait for, with a time that may be shorter than a millisecond."""

    def __init__(self, *, exact: bool) -> None:
        if sys.platform == "linux":
            self._epoll: select.epoll | None = select.epoll() if exact else None
            self._poll: select.epoll | select.poll = self._epoll or select.epoll()
        else:
            self._epoll = None
            self._poll = select.poll()
        self._unit = 1.0 if sys.platform == "linux" else 1000.0
        if exact:
            _wake_in_time()

    def register(self, descriptor: int) -> None:
        """Wait for a descriptor to become readable."""
        self._poll.register(descriptor, select.POLLIN)

    def modify(self, descriptor: int, *, writing: bool) -> None:
        """Wait for a descriptor to become writable too, or no longer."""
        self._poll.modify(descriptor, select.POLLIN | WRITABLE if writing else select.POLLIN)

    def unregister(self, descriptor: int) -> None:
        """Wait for a descriptor no longer."""
        self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Wait for an event, so long at most, and return all there are."""
        if seconds <= 0.0:
            return self._poll.poll(0)
        if self._epoll is not None:
            if seconds < _FINE:
                # An epoll descriptor is readable itself, and select(2) waits for microseconds.
                if not select.select([self._epoll], (), (), seconds)[0]:
                    return []
                seconds = 0.0
            else:
                # Who wakes too early waits again.
                seconds -= 0.001
        return self._poll.poll(seconds * self._unit)


class ConnectionPool:
    """All connections of a task."""

    def __init__(self, task: Task, poller: Poller, tally: Tally) -> None:
        self.all = [LoadConnection() for _ in range(task.connections)]
        self.by_descriptor: dict[int, LoadConnection] = {}
        threads = min(task.connections, _MOST_DIALLED) if task.insistent else 1
        self._dialler = Dialler(task.destination, task.tls, timeout=task.connect_timeout, threads=threads)
        self._insistent = task.insistent
        self._poller = poller
        self._tally = tally
        # Several calls that begin together are sent together.
        self._batch = max(1, min(task.pipeline, _BATCH // len(task.body)))
        self._usual = memoryview(frame(task.body) * self._batch)
        self._first = memoryview(frame(task.first) * self._batch)
        poller.register(self._dialler.fileno())

    @property
    def under_way(self) -> bool:
        """Whether any call is."""
        return any(connection.due for connection in self.all)

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self.by_descriptor)

    def dial(self, connection: LoadConnection) -> None:
        """Have a connection made, unless that is under way."""
        if not connection.dialling:
            connection.dialling = True
            self._dialler.want(connection)

    def take(self, now: int, *, first: bool = False) -> list[LoadConnection]:
        """Take the connections that were made, and send on them what is known not to have run.

        Raises:
            ConnectionFailed: One of the `first` connections could not be made.
        """
        opened = []
        for connection, made in self._dialler.take():
            connection.dialling = False
            if isinstance(made, ConnectionFailed):
                if first:
                    raise made
                if self._insistent:
                    timed_out = isinstance(made.__cause__, TimeoutError)
                    self._tally.problem(NOT_MADE_IN_TIME if timed_out else NO_CONNECTION)
                connection.retry_at = now + _REST
            else:
                self._open(connection, made)
                opened.append(connection)
        return opened

    def _open(self, connection: LoadConnection, stream: socket.socket | TlsStream) -> None:
        connection.open(stream)
        self._tally.connected += 1
        self.by_descriptor[stream.fileno()] = connection
        self._poller.register(stream.fileno())
        self.send(connection, len(connection.due))

    def close(self, connection: LoadConnection) -> None:
        """Close a connection."""
        if (stream := connection.stream) is not None:
            self._poller.unregister(stream.fileno())
            del self.by_descriptor[stream.fileno()]
            connection.close()
            self._tally.credit(connection.worker, connection.answered)

    def drop(self, connection: LoadConnection, kind: str, now: int) -> None:
        """Give up a connection, and the calls on it."""
        self._tally.problem(kind, len(connection.due))
        connection.due.clear()
        self._renew(connection, now)

    def _renew(self, connection: LoadConnection, now: int, *, turned_away: bool = False) -> None:
        fruitful = connection.answered > 0 and not turned_away
        self.close(connection)
        if fruitful:
            self.dial(connection)
        else:
            # One that brings nothing would be made and lost without end.
            connection.retry_at = now + _REST

    def send(self, connection: LoadConnection, count: int) -> None:
        """Send a number of calls."""
        batch = self._batch
        while count > batch:
            self.send(connection, batch)
            count -= batch
        if connection.stream is None or not count:
            return
        data = self._usual if connection.worker else self._first
        if count != batch:
            data = data[: len(data) // batch * count]
        if connection.unsent:
            connection.unsent = memoryview(bytes(connection.unsent) + bytes(data))
            return
        try:
            sent = connection.send(data)
        except BlockingIOError:
            sent = 0
        except (OSError, ConnectionFailed):
            # The next read meets the same error, and tells it.
            return
        self._tally.bytes_out += sent
        if sent < len(data):
            connection.unsent = data[sent:]
            self._poller.modify(connection.stream.fileno(), writing=True)

    def flush(self, connection: LoadConnection) -> None:
        """Send what was not taken before."""
        if connection.stream is None or not connection.unsent:
            return
        try:
            sent = connection.send(connection.unsent)
        except BlockingIOError:
            return
        except (OSError, ConnectionFailed):
            sent = len(connection.unsent)
        self._tally.bytes_out += sent
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            self._poller.modify(connection.stream.fileno(), writing=False)

    def look_into(self, connection: LoadConnection, data: bytes, now: int) -> None:
        """Count the replies of a read, or of the end of the connection, and do what they say beside that."""
        if not data:
            self.drop(connection, LOST, now)
            return
        stream = connection.stream
        try:
            for body in connection.frames(data):
                if connection.worker and connection.due and connection.is_plain(body):
                    self._count(connection, now)
                elif connection.stream is stream:
                    self._heed(connection, decode_reply(body, "text"), now)
        except WireError:
            if connection.stream is stream:
                self._tally.problem(NOT_UNDERSTOOD, not connection.due)
                self.drop(connection, NOT_UNDERSTOOD, now)

    def _count(self, connection: LoadConnection, now: int) -> None:
        self._tally.reply(connection.due.popleft(), now)
        connection.answered += 1

    def _heed(self, connection: LoadConnection, reply: Reply | Goodbye, now: int) -> None:
        """Take a reply that may be an error, or the last one of its connection."""
        if isinstance(reply, Goodbye):
            # What was not answered has not been run, and is sent again.
            self._renew(connection, now)
            return
        if not connection.due:
            self._tally.problem(NOT_UNDERSTOOD)
            self._renew(connection, now)
            return
        if reply.meta is not None:
            connection.worker = reply.meta.worker
        elif not connection.worker:
            # A server that does not tell is not asked again.
            connection.worker = -1
        if (fault := reply.fault) is not None:
            self._tally.fault(fault)
        self._count(connection, now)
        if reply.close:
            self._renew(connection, now, turned_away=fault is not None)

    def look_after(self, now: int, patience: int, *, over: bool) -> None:
        """Give up calls that took longer than `patience`, in nanoseconds, and connect again where that failed.

        Where it is `over`, no calls are begun any more.
        """
        for connection in self.all:
            if not connection.due or connection.answered != connection.seen:
                connection.seen, connection.seen_at = connection.answered, now
            elif now - connection.seen_at > patience:
                self.drop(connection, TIMED_OUT, now)
            if connection.stream is None and now >= connection.retry_at and (connection.due or not over):
                self.dial(connection)


def _wake_in_time() -> None:
    """Have the system end waits when they are over, and not up to 50 us later (PR_SET_TIMERSLACK in prctl(2))."""
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1")
