"""A connection to a server of HTTP: how it is made, whether its server has ended it, and how it is shut down."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from rpcshell.client.dialling import dial_tcp
from rpcshell.client.target import HttpTarget, TlsFiles, TlsTarget
from rpcshell.client.tls import client_context, handshake_failed, server_name


def open_connection(target: HttpTarget, timeout: float, tls: TlsFiles | None) -> http.client.HTTPConnection:
    """Connect within `timeout` seconds, and as many again for the handshake of TLS.

    Raises:
        ConnectionFailed: No connection could be made.
    """
    parts = urlsplit(target.url)
    where = target.address
    sock = dial_tcp(where, timeout)
    if isinstance(where, TlsTarget):
        sock = _secure(sock, where, timeout, tls)
    sock.settimeout(None)
    # Said without a port where that is the usual one, as a browser does.
    connection = http.client.HTTPConnection(parts.netloc.rpartition("@")[2] if parts.port else where.host)
    connection.sock = sock
    connection.auto_open = 0
    return connection


def _secure(sock: socket.socket, where: TlsTarget, timeout: float, tls: TlsFiles | None) -> socket.socket:
    try:
        context = client_context(tls or TlsFiles(), where)
        sock.settimeout(timeout)
        return context.wrap_socket(sock, server_hostname=server_name(where))
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError | ValueError):
            raise handshake_failed(where, error, timeout, partial(dial_tcp, where)) from error
        raise


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
