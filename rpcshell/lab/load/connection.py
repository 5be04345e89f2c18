"""One connection of a load process, and the thread that makes new ones beside the load."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcshell.client.diagnosis import system_reason
from rpcshell.client.dialling import dial
from rpcshell.client.errors import ConnectionFailed
from rpcwire import MAX_REPLY, FrameDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.client.tls import TlsStream

    Made = socket.socket | TlsStream | ConnectionFailed
    Dialled = tuple["LoadConnection", Made]

_NOTHING: Final = memoryview(b"")

_READ: Final = 64 * 1024
_READ_LARGE: Final = 1024 * 1024
"""Bytes to read in the middle of a reply; as a rule too many, as the memory for them is fetched anew each time."""

_OUT: Final = b'{"out"'
_ERROR: Final = b'"error"'
_HEAD: Final = 32
"""Bytes of a reply where its name is."""

_CLOSE: Final = b'"close"'
_TAIL: Final = -24

_LONGEST_USUAL: Final = 4096
_STACK: Final = 256 * 1024


class LoadConnection:
    """A connection, and the calls that are under way on it. They outlive its socket where they did not run.

    It is none of the clients' exchanges: requests are encoded once for all calls, and a reply like the one before it is
    counted without being decoded, so that the load takes less than the server.
    """

    recv: Callable[[int], bytes]
    send: Callable[[memoryview], int]

    def __init__(self) -> None:
        self.stream: socket.socket | TlsStream | None = None
        self.due: deque[int] = deque()
        """When the calls under way were due, the oldest first."""
        self.listed = False
        """Whether it waits for a call that is due."""
        self.dialling = False
        self.retry_at = 0
        """Before then no connection is made."""
        self.seen_at = 0
        """Since when `answered` is `seen`."""
        self._reset()

    def _reset(self) -> None:
        self._decoder = FrameDecoder(MAX_REPLY)
        self.read_size = _READ
        self.unsent = _NOTHING
        """What the socket has not taken yet."""
        self.usual: bytes | None = None
        """What the last read brought, if that was one reply with nothing to look into: it mostly comes again."""
        self.worker = 0
        """Who serves it: 0 while that is not known, -1 where it is not told."""
        self.answered = 0
        """Calls that were answered since it was opened."""
        self.seen = -1

    def open(self, stream: socket.socket | TlsStream) -> None:
        """Begin anew with a socket, but for the calls that are under way."""
        self._reset()
        self.stream = stream
        self.recv = stream.recv
        self.send = stream.send

    def close(self) -> None:
        """Close the socket."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def frames(self, data: bytes) -> list[bytes | bytearray]:
        """The replies that a read has made whole; raises `FrameError` where what came are no frames."""
        decoder = self._decoder
        body = decoder.sole_frame(data)
        if body is not None:
            # Once it is known who serves the connection, replies need not be looked into.
            plain = self.worker and len(data) <= _LONGEST_USUAL and self.is_plain(body)
            self.usual = data if plain else None
            return [body]
        self.usual = None
        decoder.feed(data)
        found: list[bytes | bytearray] = []
        while (more := decoder.next_frame()) is not None:
            found.append(more)
        self.read_size = _READ_LARGE if decoder.mid_frame else _READ
        return found

    @staticmethod
    def is_plain(body: bytes | bytearray) -> bool:
        """Whether the first and last bytes of a reply prove that it is neither an error nor the connection's last."""
        return body.startswith(_OUT) and body.find(_ERROR, 0, _HEAD) < 0 and body.find(_CLOSE, _TAIL) < 0


class Dialler:
    """Makes connections in threads: a load process that waited itself would send nothing, and blame the server.

    No more than `threads` connections are made at once, each within `timeout` seconds.
    """

    def __init__(self, target: Target, tls: TlsFiles, *, timeout: float, threads: int) -> None:
        self._target = target
        self._tls = tls
        self._timeout = timeout
        self._wanted: queue.SimpleQueue[LoadConnection] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Dialled] = queue.SimpleQueue()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        threading.stack_size(_STACK)
        for _ in range(threads):
            threading.Thread(target=self._work, name="dialler", daemon=True).start()

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._bell

    def want(self, whose: LoadConnection) -> None:
        """Ask for a socket."""
        self._wanted.put(whose)

    def take(self) -> list[Dialled]:
        """The non-blocking sockets that were made since, and why others could not be."""
        try:
            count = len(os.read(self._bell, _READ))
        except BlockingIOError:
            return []
        return [self._made.get() for _ in range(count)]

    def _work(self) -> None:
        while True:
            whose = self._wanted.get()
            made: Made
            try:
                made = dial(self._target, self._timeout, self._tls)
                if isinstance(made, socket.socket):
                    made.setblocking(False)
            except ConnectionFailed as error:
                made = error
            except OSError as error:
                # Before there is a socket, such as for want of descriptors.
                made = ConnectionFailed(self._target, system_reason(error))
            self._made.put((whose, made))
            os.write(self._ring, b".")
