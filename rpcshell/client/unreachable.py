"""Why no connection could be made, in words with a hint; the same for every client, blocking or not."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed

if TYPE_CHECKING:
    from rpcshell.client.target import TcpTarget, TlsTarget, UnixTarget

__all__ = ["NO_TLS", "handshake_failed", "lookup_failed", "system_reason", "tcp_failed", "unix_failed"]

NO_TLS: Final = "is this its TLS port? Without tls:// the connection is not encrypted"
"""The hint where a server does not seem to speak TLS."""


def lookup_failed(target: TcpTarget | TlsTarget, error: OSError | UnicodeError) -> ConnectionFailed:
    """The error for a host without an address.

    Args:
        target: Where to.
        error: What getaddrinfo(3) said, or the codec of host names before it.
    """
    if isinstance(error, UnicodeError):
        return ConnectionFailed(target, "this is no valid host name")
    if error.errno == socket.EAI_AGAIN:
        return ConnectionFailed(target, "the name lookup failed", hint="is the network up?")
    return ConnectionFailed(target, "no such host", hint="check the spelling of the name")


def tcp_failed(target: TcpTarget | TlsTarget, error: OSError, timeout: float) -> ConnectionFailed:
    """The error for a host none of whose addresses took a connection.

    Args:
        target: Where to.
        error: Why the last one did not.
        timeout: Seconds that all of them had.
    """
    match error:
        case ConnectionRefusedError():
            hint = "is the server running, and is this its port?"
            return ConnectionFailed(target, "connection refused", hint=hint)
        case TimeoutError():
            hint = "the host may be down, or a firewall drops the packets"
            return ConnectionFailed(target, f"no answer within {timeout:g} s", hint=hint)
    return ConnectionFailed(target, system_reason(error))


def handshake_failed(target: TlsTarget, error: OSError, timeout: float) -> ConnectionFailed:
    """The error for a connection that broke before TLS could say why.

    Args:
        target: Where to.
        error: How it broke.
        timeout: Seconds that the handshake had.
    """
    if isinstance(error, TimeoutError):
        return ConnectionFailed(target, f"no TLS handshake within {timeout:g} s", hint=NO_TLS)
    if isinstance(error, ConnectionError):
        return ConnectionFailed(target, "it ended the connection during the TLS handshake", hint=NO_TLS)
    return ConnectionFailed(target, f"{system_reason(error)} during the TLS handshake")


def unix_failed(target: UnixTarget, error: OSError, timeout: float) -> ConnectionFailed:
    """The error for a Unix socket that took no connection.

    Args:
        target: Where to.
        error: What connect(2) said.
        timeout: Seconds that it had.
    """
    match error:
        case FileNotFoundError():
            return ConnectionFailed(target, "no such socket file", hint="is the server running?")
        case PermissionError():
            hint = "the socket file, or its folder, is for another user"
            return ConnectionFailed(target, "permission denied", hint=hint)
        case ConnectionRefusedError():
            hint = "the server that made it has gone, or the path names an ordinary file"
            return ConnectionFailed(target, "nothing listens on it", hint=hint)
        case BlockingIOError():
            hint = "the server's queue is full: all of its workers are busy"
            return ConnectionFailed(target, f"no room in its queue within {timeout:g} s", hint=hint)
    return ConnectionFailed(target, system_reason(error))


def system_reason(error: OSError) -> str:
    """What the system says, as part of a sentence."""
    text = error.strerror or str(error) or type(error).__name__
    return text[0].lower() + text[1:]
