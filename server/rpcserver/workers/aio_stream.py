"""One connection's bytes on an event loop: back-pressure, the write deadline, and the way to its close.

What the bytes say is the business of `aio_connection`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import socket
import time
from typing import TYPE_CHECKING, Final, cast

from rpcserver.service.context import Peer
from rpcserver.system.sockets import peer_address
from rpcserver.workers.refusals import LINGER_BYTES, LINGER_SECONDS, PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcserver.system.settings import Settings

RESET_ON_CLOSE = __import__("struct").pack("ii", 1, 0)
logger = logging.getLogger(__name__)

NEVER: Final = float("inf")
"""The deadline of what may take as long as it likes."""


class AsyncStream(asyncio.Protocol):
    """A connection as far as it is a stream; a subclass says what is read and written.

    While the client has not taken all that it was sent, nothing is read, and `ready` is false.

    Args:
        connection: a connected stream socket; it is closed with the transport.
        settings: limits and deadlines.
        loop: the event loop.

    Attributes:
        peer: who is at the other end.
        ready: whether what is read can be looked at: the connection is open, and nothing is to be waited for first.

    Raises:
        OSError: the client has gone already.
    """

    __slots__ = (
        "_discarded",
        "_eof",
        "_linger_deadline",
        "_lingering",
        "_loop",
        "_lost",
        "_settings",
        "_socket",
        "_transport",
        "_unsent",
        "_writable",
        "_write",
        "_write_deadline",
        "peer",
        "ready",
    )

    _transport: asyncio.Transport
    _write: Callable[[bytes], None]

    def __init__(self, connection: socket.socket, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.peer = Peer(peer_address(connection))
        self.ready = False
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connection
        self._settings = settings
        self._loop = loop
        self._eof = False
        self._lost = False
        self._writable = True
        self._unsent = 0
        self._write_deadline = NEVER
        self._lingering = False
        self._linger_deadline = NEVER
        self._discarded = 0

    @abc.abstractmethod
    def _go_on(self) -> None:
        """Look at what was read meanwhile: the client has taken all that it was sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve; TCP_NODELAY is set by the transport."""
        # uvloop's transports have the methods of asyncio's, and not their base.
        self._transport = stream = cast("asyncio.Transport", transport)
        self._write = stream.write
        # Any byte that the client does not take at once counts as back-pressure.
        stream.set_write_buffer_limits(high=0)
        self.ready = True

    def pause_writing(self) -> None:
        """Read nothing more until the client has taken what it was sent."""
        self._writable = self.ready = False
        self._unsent = self._transport.get_write_buffer_size()
        self._write_deadline = self._deadline(self._settings.write_timeout)
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with what was put off."""
        self._writable = True
        if self._lingering:
            self._linger()
        else:
            self._go_on()

    def _discard(self, data: bytes) -> None:
        """Throw away what comes after the last reply, and no end of it."""
        self._discarded += len(data)
        if self._discarded >= LINGER_BYTES:
            self._transport.abort()

    def _check_stream(self, now: float) -> float:
        """See to the deadlines of a stream that is not ready, and return when to look again at the latest."""
        if self._lost:
            return NEVER
        if not self._writable:
            return self._check_progress(now)
        if now >= self._linger_deadline:
            self._transport.abort()
            return NEVER
        return self._linger_deadline

    def _check_progress(self, now: float) -> float:
        pending = self._transport.get_write_buffer_size()
        if self._unsent - pending >= PROGRESS:
            self._unsent = pending
            self._write_deadline = self._deadline(self._settings.write_timeout)
        elif now >= self._write_deadline:
            logger.info("%s: closed, because the client does not read its replies", self.peer.address)
            # Nobody reads what the kernel still holds.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()
            return NEVER
        return self._write_deadline

    def _has_unread(self) -> bool:
        """Whether something waits in the kernel to be read at the loop's next turn."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def _acknowledge(self) -> None:
        """Have what was read acknowledged at once, because a read has ended inside a frame.

        A client that writes the prefix and the body apart, with Nagle's algorithm on, holds the body back until the
        prefix is acknowledged, and a delayed acknowledgement takes 40 ms: tcp(7).
        """
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _close_gently(self) -> None:
        """Say that no more comes, and read to the client's end for a while: closing over unread data resets the
        connection, and a reset may destroy replies that the client has not read yet (RFC 1122, 4.2.2.13).
        """
        self.ready = False
        self._lingering = True
        if self._eof:
            self._transport.close()
            return
        self._transport.write_eof()
        if self._writable:
            self._linger()

    def _linger(self) -> None:
        self._linger_deadline = time.monotonic() + LINGER_SECONDS
        self._transport.resume_reading()

    def _deadline(self, limit: float) -> float:
        """Return when that many seconds are over; 0 is without end."""
        # Not the loop's own time, which stands still while a callback runs.
        return time.monotonic() + limit if limit else NEVER
