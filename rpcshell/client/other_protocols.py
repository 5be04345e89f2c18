"""What answers where an RPC server was expected: other protocols known by how they begin, and bytes that are none.

The errors made here are the same for every client, blocking or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ProtocolError
from rpcshell.client.target import TcpTarget, TlsTarget
from rpcwire import FrameTooLarge

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcwire import RemoteError

__all__ = ["SHOWN", "not_a_reply", "silence", "stranger"]

SHOWN: Final = 24
"""How many of the first bytes a message shows."""

_OTHER_PROTOCOLS: Final = (
    (b"HTTP/", "an HTTP server"),
    (b"SSH-", "an SSH server"),
    (b"220", "a mail or FTP server"),
    (b"-ERR", "a Redis server"),
    (b"\x15\x03", "a TLS server"),
)


def stranger(target: Target, first: bytes) -> ProtocolError | None:
    """The error for a server of another protocol, or None where the bytes tell of none.

    Args:
        target: Where it is.
        first: How its answer began.
    """
    name = next((name for start, name in _OTHER_PROTOCOLS if first.startswith(start)), None)
    if name is None:
        return None
    if name == "a TLS server":
        hint = f"connect to tls://{target}" if isinstance(target, TcpTarget) else "connect without TLS before it"
        return ProtocolError(f"{target} is a TLS server, and this connection is not encrypted", hint=hint)
    return ProtocolError(f"{target} is {name}, not an RPC server: it answered {_seen(first)}", hint="check the port")


def silence(target: Target) -> str | None:
    """A hint for a server that has ended the connection without a word.

    Args:
        target: Where it is.
    """
    match target:
        case TcpTarget():
            # A TLS server may leave without a word when it is not greeted as one.
            return f"if it is a TLS server, connect to tls://{target}"
        case TlsTarget():
            return "it may want a client certificate: --tls-cert FILE and --tls-key FILE"
    return None


def not_a_reply(target: Target, error: RemoteError, first: bytes) -> ProtocolError:
    """The error for an answer that is no reply.

    Args:
        target: Where it came from.
        error: What is wrong with it.
        first: How it began.
    """
    if (known := stranger(target, first)) is not None:
        return known
    what = str(error)
    if isinstance(error, FrameTooLarge):
        what = f"it announced a reply of {error.length} bytes and the limit is {error.limit}"
    return ProtocolError(f"{target} does not answer as an RPC server: {what}", hint=f"it began with {_seen(first)}")


def _seen(data: bytes) -> str:
    text = data[:SHOWN].decode("latin-1")
    return '"' + "".join(c if c.isascii() and c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'
