"""One of the connections of a load process, and what has come on it. What is sent when is the generator's business."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from rpcwire import MAX_REPLY, FrameDecoder

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcshell.client.tls import TlsStream

__all__ = ["Lane"]

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


class Lane:
    """A connection.

    Attributes:
        stream: The socket, or None while there is none.
        recv: Its own.
        send: Its own.
        size: How many bytes to ask it for.
        due: When the calls that are under way were due, oldest first.
        unsent: What the socket has not taken yet.
        usual: What the last read brought, if that was one reply with nothing to look into: it mostly comes again.
        worker: Who serves it: 0 while that is not known, -1 where it is not told.
        answered: How many calls were answered on this connection.
        listed: Whether it waits for a call that is due.
        dialling: Whether a connection is being made.
        retry_at: Before then no connection is made.
        seen: How far it was when it was last looked at.
        seen_at: Since when it has been as far as that.
    """

    __slots__ = (
        "_decoder",
        "answered",
        "dialling",
        "due",
        "listed",
        "recv",
        "retry_at",
        "seen",
        "seen_at",
        "send",
        "size",
        "stream",
        "unsent",
        "usual",
        "worker",
    )

    recv: Callable[[int], bytes]
    send: Callable[[memoryview], int]

    def __init__(self) -> None:
        self.stream: socket.socket | TlsStream | None = None
        self.due: deque[int] = deque()
        self.listed = False
        self.dialling = False
        self.retry_at = 0
        self.seen_at = 0
        self._reset()

    def _reset(self) -> None:
        self._decoder = FrameDecoder(MAX_REPLY)
        self.size = _READ
        self.unsent = _NOTHING
        self.usual: bytes | None = None
        self.worker = 0
        self.answered = 0
        self.seen = -1

    def open(self, stream: socket.socket | TlsStream) -> None:
        """Take a connection, with which everything begins anew but the calls that are under way."""
        self._reset()
        self.stream = stream
        self.recv = stream.recv
        self.send = stream.send

    def close(self) -> None:
        """Close the connection."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def frames(self, data: bytes) -> list[bytes | bytearray]:
        """The replies that a read has made whole.

        Raises:
            FrameError: What came are no frames.
        """
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
        self.size = _READ_LARGE if decoder.mid_frame else _READ
        return found

    @staticmethod
    def is_plain(body: bytes | bytearray) -> bool:
        """Whether a reply says by its first and last bytes that it is neither an error nor the connection's last one.

        Where that is not sure, the answer is no.
        """
        return body.startswith(_OUT) and body.find(_ERROR, 0, _HEAD) < 0 and body.find(_CLOSE, _TAIL) < 0
