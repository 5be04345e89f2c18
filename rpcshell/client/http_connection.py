"""A connection to a server of HTTP: how it is made, whether its server has ended it, and how it is shut down."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rpcshell.client.dialling import dial

if TYPE_CHECKING:
    from rpcshell.client.target import HttpTarget, TlsFiles


def open_connection(target: HttpTarget, timeout: float, tls: TlsFiles | None) -> http.client.HTTPConnection:
    """Connect within `timeout` seconds, the handshake of TLS among them.

    Raises:
        ConnectionFailed: No connection could be made.
    """
    parts = urlsplit(target.url)
    where = target.address
    stream = dial(where, timeout, tls)
    sock = stream if isinstance(stream, socket.socket) else stream.socket
    sock.settimeout(None)
    # Said without a port where that is the usual one, as a browser does.
    connection = http.client.HTTPConnection(parts.netloc.rpartition("@")[2] if parts.port else where.host)
    connection.sock = sock
    connection.auto_open = 0
    return connection


def is_readable(sock: Any) -> bool:
    """Whether the socket of an idle connection can be read: then its server has ended it."""
    if sock is None:
        return True
    sock.settimeout(0)
    try:
        # TLS has nothing to peek with: what it could read, an alert or a ticket, is no reason to keep it either.
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        sock.settimeout(None)
        return False
    except OSError:
        pass
    return True


def shut_down(connection: http.client.HTTPConnection) -> None:
    """End what goes on over a connection, for whichever thread waits for it."""
    if (sock := connection.sock) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
