"""The clients of a flood, in a process of their own, so that what the shell measures meanwhile is not its own work.

Run as a module it reads one order from standard input and writes what came of it so far to standard output, a line of
JSON ten times a second. It ends by itself: at its time, at its bytes, or when standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.dialling import dial
from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.target import Target
from rpcshell.client.tls import TlsFiles  # noqa: TC001  (an order is decoded by its annotations)
from rpcwire import MAX_REPLY, ClientConnection, ErrorCode, Goodbye, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.tls import TlsStream
    from rpcwire import Reply

__all__ = ["MOST_BYTES", "MOST_CONNECTIONS", "MOST_SECONDS", "FloodOrder", "FloodReport"]

MOST_CONNECTIONS: Final = 2000
MOST_SECONDS: Final = 30.0
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of requests, all together."""

_DEPTH: Final = 8
"""Requests that a client has on their way."""

_CONNECT: Final = 2.0
_REST: Final = 0.02
"""Seconds that a client which was turned away waits before it comes again."""

_PERIOD: Final = 0.1
_READ: Final = 256 * 1024
_STACK: Final = 256 * 1024


class FloodOrder(msgspec.Struct, frozen=True):
    """What to do.

    Attributes:
        target: Where to call.
        connections: How many clients.
        seconds: For how long.
        method: What to call.
        params: Its params.
        tls: Files of TLS.
    """

    target: str
    connections: int
    seconds: float
    method: str
    params: Any = None
    tls: TlsFiles | None = None


class FloodReport(msgspec.Struct):
    """What came of it so far.

    Attributes:
        open: Connections that are open.
        connected: Connections that were made.
        refused: Connections that were refused, or reset.
        timeouts: Connections that were not made in time.
        sent: Requests that were sent.
        answered: Requests that were answered with a result.
        busy: Requests, or connections, that were answered -32001.
        errors: Requests that were answered another error.
        unanswered: Requests whose connection ended first.
        bytes: Size of all requests.
        over: Whether nothing more is sent.
    """

    open: int = 0
    connected: int = 0
    refused: int = 0
    timeouts: int = 0
    sent: int = 0
    answered: int = 0
    busy: int = 0
    errors: int = 0
    unanswered: int = 0
    bytes: int = 0
    over: bool = False


class _Client:
    """One client: a thread that connects again and again, and the connection that the flood's loop calls on.

    Attributes:
        stream: The connection, while there is one.
        wire: What is on its way on it.
        rest: What is still to be sent.
    """

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._ended = threading.Event()
        self._pause = 0.0
        self.stream: socket.socket | TlsStream | None = None
        self.wire = ClientConnection(MAX_REPLY)
        self.rest = memoryview(b"")

    def run(self) -> None:
        """Connect whenever there is no connection."""
        while not self._flood.over:
            try:
                stream = self._flood.dial()
            except ConnectionFailed as error:
                self._flood.not_connected(timed_out=isinstance(error.__cause__, TimeoutError))
                self._ended.wait(_REST)
                continue
            if isinstance(stream, socket.socket):
                stream.setblocking(False)
            self.wire = ClientConnection(MAX_REPLY)
            self.stream = stream
            self._ended.clear()
            self._flood.adopt(self)
            self._ended.wait()
            threading.Event().wait(self._pause)

    def end(self, *, busy: bool) -> None:
        """Have the thread connect anew; after a rest where the server was busy."""
        if self.stream is not None:
            self.stream.close()
        self._pause = _REST if busy else 0.0
        self._ended.set()


class Flood:
    """The clients: a thread for each, to connect, and one loop that does everything else.

    Args:
        order: What they do.
    """

    def __init__(self, order: FloodOrder) -> None:
        self._order = order
        self._target = Target.parse(order.target)
        self._until = time.monotonic() + min(order.seconds, MOST_SECONDS)
        self._lock = threading.Lock()
        self._report = FloodReport()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._new: deque[_Client] = deque()

    @property
    def over(self) -> bool:
        """Whether the time, or what may be sent, is used up."""
        return time.monotonic() >= self._until or self._report.bytes >= MOST_BYTES

    def run(self, stop: int, write: Callable[[bytes], object]) -> None:
        """Flood.

        Args:
            stop: A descriptor that is readable when it shall end early.
            write: Takes what came of it so far, again and again.
        """
        threading.stack_size(_STACK)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(stop, selectors.EVENT_READ)
        for _ in range(min(self._order.connections, MOST_CONNECTIONS)):
            threading.Thread(target=_Client(self).run, daemon=True).start()
        due = 0.0
        while not self.over:
            if time.monotonic() >= due:
                due = time.monotonic() + _PERIOD
                write(self._line())
            for key, _ in self._selector.select(_PERIOD):
                if key.fd == stop:
                    return
                if isinstance(key.data, _Client):
                    self._serve(key.data)
                else:
                    self._take_new()
        write(self._line())

    def dial(self) -> socket.socket | TlsStream:
        """Connect; for a client's thread.

        Raises:
            ConnectionFailed: The server does not let it in.
        """
        seconds = min(_CONNECT, max(self._until - time.monotonic(), 0.001))
        return dial(self._target, seconds, self._order.tls)

    def not_connected(self, *, timed_out: bool) -> None:
        """Count a connection that was not made; for a client's thread."""
        with self._lock:
            if not self.over:
                self._report.timeouts += timed_out
                self._report.refused += not timed_out

    def adopt(self, client: _Client) -> None:
        """Call on a new connection; for a client's thread."""
        self._new.append(client)
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b".")

    def _line(self) -> bytes:
        with self._lock:
            self._report.over = self.over
            return msgspec.json.encode(self._report) + b"\n"

    def _take_new(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(_READ)
        while self._new:
            client = self._new.popleft()
            if client.stream is not None:
                self._report.connected += 1
                self._report.open += 1
                self._selector.register(client.stream, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
                self._ask(client)

    def _ask(self, client: _Client) -> None:
        """Have as many calls on their way as there may be."""
        order = self._order
        batch = b"".join(client.wire.request(order.method, order.params, close=True) for _ in range(_DEPTH))
        client.rest = memoryview(batch)
        self._report.sent += _DEPTH
        self._report.bytes += len(batch)

    def _serve(self, client: _Client) -> None:
        stream = client.stream
        if stream is None:
            return
        try:
            over, busy = self._converse(client, stream)
        except (OSError, RemoteError):
            over, busy = True, False
        if over:
            self._selector.unregister(stream)
            self._report.open -= 1
            self._report.unanswered += client.wire.outstanding
            client.end(busy=busy)

    def _converse(self, client: _Client, stream: socket.socket | TlsStream) -> tuple[bool, bool]:
        """Send and receive what can be; whether the connection is over, and whether since the server is busy."""
        if client.rest:
            with contextlib.suppress(BlockingIOError):
                client.rest = client.rest[stream.send(client.rest) :]
        received: bytes | None = None
        with contextlib.suppress(BlockingIOError):
            received = stream.recv(_READ)
        if received is not None:
            if not received:
                return True, False
            client.wire.receive(received)
            while (event := client.wire.next_event()) is not None:
                if isinstance(event, Goodbye):
                    return True, False
                self._count(event)
                if event.close:
                    return True, event.fault is not None
            if not client.wire.outstanding and not client.rest:
                self._ask(client)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.rest else 0)
        self._selector.modify(stream, events, client)
        return False, False

    def _count(self, reply: Reply) -> None:
        code = None if reply.fault is None else reply.fault.code
        self._report.answered += code is None
        self._report.busy += code == ErrorCode.BUSY
        self._report.errors += code not in {None, ErrorCode.BUSY}


def main() -> None:
    """Take the order, and carry it out."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=FloodOrder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    # The end of the input, or of whoever reads the output, means that enough is enough.
    with contextlib.suppress(OSError):
        Flood(order).run(sys.stdin.fileno(), write)
    # Threads that still connect are left where they are.
    os._exit(0)


if __name__ == "__main__":
    main()
