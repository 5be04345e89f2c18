"""One connection that speaks TLS on an event loop: what `aio_connection` reads and writes is decrypted here.

The loop's own TLS would do but for the end of a connection: it cannot say that no more comes, and go on reading.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, cast

from rpcserver.workers.aio_connection import AsyncConnection
from rpcserver.workers.aio_stream import NEVER
from rpcserver.workers.refusals import SlowFrame
from rpcserver.workers.tls_session import PIECE, TlsFailure, TlsSession, TruncatedRecord

if TYPE_CHECKING:
    import socket
    import ssl

    from rpcserver.workers.aio_connection import Host

logger = logging.getLogger(__name__)


class TlsTransport(asyncio.Transport):
    """A transport that encrypts what is written, with the methods that connections use.

    Args:
        below: the transport of the socket.
        session: what encrypts.
    """

    def __init__(self, below: asyncio.Transport, session: TlsSession) -> None:
        super().__init__()
        self._below = below
        self._session = session

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and write."""
        if len(data) <= PIECE:
            self._below.write(self._session.write(data))
        else:
            # In one go, so that the transport's back-pressure counts all of it.
            self._below.writelines(self._session.write_all(data))

    def write_eof(self) -> None:
        """Say that no more comes."""
        self._below.write(self._session.end())
        self._below.write_eof()

    def close(self) -> None:
        """Close once everything is written."""
        self._below.write(self._session.end())
        self._below.close()

    def abort(self) -> None:
        """Close at once."""
        self._below.abort()

    def pause_reading(self) -> None:
        """Read nothing more."""
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say from how many bytes on writing is paused."""
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not been taken."""
        return self._below.get_write_buffer_size()


class TlsConnection(AsyncConnection):
    """One connection, from its handshake to its close.

    Args:
        connection: a connected stream socket; it is closed with the transport.
        host: the worker.
        loop: the event loop.
        context: the server's certificate, and what it asks of clients.

    Raises:
        OSError: the client has gone already.
    """

    __slots__ = ("_below", "_opened", "_record_deadline", "_session", "_shaken")

    _below: asyncio.Transport

    def __init__(
        self, connection: socket.socket, host: Host, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext
    ) -> None:
        super().__init__(connection, host, loop)
        self._session = TlsSession(context)
        self._opened = self._shaken = False
        # Until when the handshake may take, or else the record that has begun.
        self._record_deadline = self._deadline(self._settings.read_timeout)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake."""
        self._transport = self._below = cast("asyncio.Transport", transport)
        self._opened = True

    def data_received(self, data: bytes) -> None:
        """Decrypt what a read brought, and answer it."""
        if self._lingering:
            self._discard(data)
            return
        session = self._session
        try:
            plain = session.receive(data)
        except TlsFailure as error:
            self._break_off(error)
            return
        if output := session.output():
            self._below.write(output)
        if not self._shaken:
            if not session.established:
                return
            self._begin_serving()
        if plain:
            super().data_received(plain)
        if session.mid_record:
            self._acknowledge()
            if plain or self._record_deadline == NEVER:
                self._record_deadline = self._deadline(self._settings.read_timeout)
        else:
            self._record_deadline = NEVER
        if session.ended and not (self._eof or self._lingering):
            super().eof_received()

    def eof_received(self) -> bool:
        """Note that the client sends no more, even if it did not say so."""
        if not (self._lingering or self._eof):
            try:
                self._session.receive_eof()
            except (TlsFailure, TruncatedRecord) as error:
                logger.info("%s: %s", self.peer.address, error)
        return self._shaken and super().eof_received()

    def check(self, now: float) -> float:
        """See to the deadlines, that of a record among them."""
        if not (self.ready and self._session.mid_record) or self._decoder.mid_frame:
            return super().check(now)
        if now >= self._record_deadline:
            self._refuse(SlowFrame(self._settings.read_timeout))
        return self._record_deadline

    def _begin_serving(self) -> None:
        self._shaken = True
        self.peer.subject = self._session.subject
        super().connection_made(TlsTransport(self._below, self._session))
        if self._leaving:
            # Its request is on the way.
            self._grace_deadline = max(self._grace_deadline, time.monotonic() + self._settings.drain_grace)

    def _break_off(self, error: TlsFailure) -> None:
        """End a connection whose client does TLS wrong, after answering what came before that."""
        self._below.write(self._session.output())
        self._failure = error
        if not self._shaken:
            logger.info("%s: %s", self.peer.address, error)
            self._close_gently()
        elif self.ready:
            self._rest()

    def _check_stream(self, now: float) -> float:
        if self._shaken or self._lost or self._lingering or not self._opened:
            return super()._check_stream(now)
        deadline = self._record_deadline
        if self._leaving and not self._session.begun:
            deadline = min(deadline, self._grace_deadline)
        if now >= deadline:
            if not self._leaving:
                logger.info("%s: %s", self.peer.address, self._session.give_up(self._settings.read_timeout))
            self._below.abort()
            return NEVER
        return deadline

    def _has_unread(self) -> bool:
        return self._session.mid_record or super()._has_unread()
