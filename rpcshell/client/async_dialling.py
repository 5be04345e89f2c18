"""Making a connection without blocking the event loop; errors and options are those of `rpcshell.client.dialling`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from rpcshell.client.async_connection import AsyncConnection
from rpcshell.client.dialling import dial_tcp, encoded_host, streams, tune
from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.target import Target, TcpTarget, TlsTarget, UnixTarget
from rpcshell.client.tls import INSPECTION, TlsFiles, client_context, explained, server_name
from rpcshell.client.unreachable import handshake_failed, lookup_failed, tcp_failed, unix_failed

__all__ = ["dial_async"]

if TYPE_CHECKING:
    from rpcshell.client.dialling import Address

_ROOM: Final = 0.02
"""Seconds between looks for room in the queue of a Unix socket, of which the system does not tell."""


async def dial_async(target: Target, timeout: float, max_reply: int, tls: TlsFiles | None) -> AsyncConnection:
    """Connect.

    Args:
        target: Where to.
        timeout: Seconds for all of its addresses together, and for the handshake.
        max_reply: The largest reply accepted, in bytes.
        tls: What a TLS target is verified with, and what it is shown.

    Raises:
        ConnectionFailed: No connection could be made.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    match target:
        case UnixTarget():
            return await _adopt(await _dial_unix(target, deadline, timeout), target, max_reply)
        case TcpTarget():
            return await _adopt(await _dial_tcp(target, deadline, timeout), target, max_reply)
        case TlsTarget():
            context = client_context(tls or TlsFiles(), target)
            sock = await _dial_tcp(target, deadline, timeout)
            return await _secure(sock, target, context, max_reply, deadline, timeout)
    raise TypeError(f"not a target: {target!r}")


async def _dial_tcp(target: TcpTarget | TlsTarget, deadline: float, timeout: float) -> socket.socket:
    failure: OSError = ConnectionRefusedError()
    try:
        async with asyncio.timeout_at(deadline):
            for address in await _addresses(target):
                try:
                    return await _connect(address)
                except OSError as error:
                    failure = error
    except TimeoutError as error:
        failure = error
    raise tcp_failed(target, failure, timeout) from failure


async def _addresses(target: TcpTarget | TlsTarget) -> list[Address]:
    try:
        loop = asyncio.get_running_loop()
        return streams(await loop.getaddrinfo(encoded_host(target), target.port, type=socket.SOCK_STREAM))
    except (UnicodeError, socket.gaierror) as error:
        raise lookup_failed(target, error) from error


async def _connect(where: Address) -> socket.socket:
    family, address = where
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        # A free local port can be drawn as one's own: TCP then connects to itself (RFC 9293, section 3.5).
        if sock.getsockname() == sock.getpeername():
            raise ConnectionRefusedError
        tune(sock)
    except BaseException:
        sock.close()
        raise
    return sock


async def _dial_unix(target: UnixTarget, deadline: float, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(target.path)
            except BlockingIOError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_ROOM)
            else:
                return sock
    except OSError as error:
        sock.close()
        raise unix_failed(target, error, timeout) from error
    except BaseException:
        sock.close()
        raise


async def _secure(
    sock: socket.socket, target: TlsTarget, context: ssl.SSLContext, max_reply: int, deadline: float, timeout: float
) -> AsyncConnection:
    try:
        async with asyncio.timeout_at(deadline):
            return await _adopt(sock, target, max_reply, context)
    except ssl.SSLCertVerificationError as error:
        # Looking at it blocks, for a moment.
        raise await asyncio.to_thread(explained, target, error, partial(dial_tcp, target, INSPECTION)) from error
    except ssl.SSLError as error:
        raise explained(target, error) from error
    except OSError as error:
        raise handshake_failed(target, error, timeout) from error
    except ValueError as error:
        raise ConnectionFailed(target, "no certificate can be for such a host name") from error


async def _adopt(
    sock: socket.socket, target: Target, max_reply: int, context: ssl.SSLContext | None = None
) -> AsyncConnection:
    name = server_name(target) if isinstance(target, TlsTarget) else None
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: AsyncConnection(target, max_reply), sock=sock, ssl=context, server_hostname=name
        )
    except BaseException:
        sock.close()
        raise
    return connection
