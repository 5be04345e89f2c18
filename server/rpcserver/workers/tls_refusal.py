"""Turning a client away that expects TLS: only after the handshake can it be told why."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rpcserver.service.context import Peer
from rpcserver.workers.tls_socket import TlsSocket
from rpcwire import FrameError

if TYPE_CHECKING:
    import ssl


class TlsRefusal:
    """A connection whose client is told no more than that it is refused, as soon as that is possible.

    It is read without waiting, as `lingering` does with every connection that has had its last word.

    Args:
        connection: a connected stream socket.
        context: the server's certificate, and what it asks of clients.
        reply: what the client is told, as a frame.
        limit: how long the handshake may take, in seconds.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, reply: bytes, limit: float) -> None:
        self._tls = TlsSocket(connection, context, Peer("unknown"), limit)
        self._reply = reply

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self._tls.fileno()

    def setblocking(self, blocking: bool, /) -> None:
        """Have the kernel wait, or not."""
        self._tls.setblocking(blocking)

    def recv(self, size: int, /) -> bytes:
        """Read what comes, which is thrown away, and tell the client once the handshake is done.

        Raises:
            BlockingIOError: nothing came.
            OSError: the connection is lost, or its client does not speak TLS.
        """
        try:
            return self._tls.recv(size)
        except FrameError as error:
            raise ConnectionAbortedError(str(error)) from error
        finally:
            if self._tls.established and self._reply:
                reply, self._reply = self._reply, b""
                self._tls.send(reply)
                self._tls.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._tls.close()
