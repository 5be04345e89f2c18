"""A connection of the pool model that speaks TLS: what is whole frames in `pooled` must be whole records first."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rpcserver.workers.pooled import NEVER, PooledConnection
from rpcserver.workers.tls_socket import TlsSocket
from rpcwire import FrameError, TruncatedFrame

if TYPE_CHECKING:
    import socket
    import ssl

    from rpcserver.system.settings import Settings

logger = logging.getLogger(__name__)


class TlsPooledConnection(PooledConnection):
    """A connection on a non-blocking socket that speaks TLS.

    Args:
        connection: a connected stream socket.
        settings: limits and deadlines.
        context: the server's certificate, and what it asks of clients.
    """

    def __init__(self, connection: socket.socket, settings: Settings, context: ssl.SSLContext) -> None:
        super().__init__(connection, settings)
        self._socket = self._tls = TlsSocket(connection, context, self.peer, settings.read_timeout)
        self._shaken = False

    def receive(self) -> None:
        """Read once, and cut what came into requests."""
        try:
            super().receive()
            if self._tls.ended and not self.ended:
                # It came with the requests before it, and epoll will not report it.
                super().receive()
        except TruncatedFrame as error:
            logger.info("%s: %s", self.peer.address, error)
            self.ended = True
        except FrameError as error:
            self.fail(error)
        if self._frames or not self.mid_frame:
            self._frame_deadline = 0.0
        if self._tls.established and not self._shaken:
            self._shaken = True
            if self.leaving:
                # Its request is on the way.
                self._grace_deadline = max(self._grace_deadline, time.monotonic() + self._settings.drain_grace)

    def fail(self, failure: FrameError) -> None:
        """Note that no further request can be found in the stream; before its handshake, that this took too long."""
        super().fail(failure if self._tls.established or self._tls.failed else self._tls.give_up())

    def flush(self) -> bool:
        """Write what is held and what TLS itself has to say, as far as the client takes it."""
        try:
            if not self._tls.flush():
                return False
        except OSError as error:
            self._lose(error)
            return False
        return super().flush()

    @property
    def mid_frame(self) -> bool:
        """Whether part of a request, of a record or of the handshake has arrived."""
        return self._tls.unfinished or super().mid_frame

    def reading_deadline(self, now: float) -> float:
        """Until when the client may take for its next bytes, now that the connection waits for them."""
        if self._tls.established or self.mid_frame or self.leaving:
            return super().reading_deadline(now)
        return now + (self._settings.read_timeout or NEVER)

    def say_goodbye(self) -> None:
        """End a connection between two requests, or one whose client never spoke."""
        if self._tls.established or self._tls.failed or self.leaving:
            super().say_goodbye()
        else:
            self.fail(self._tls.give_up())
