"""What is the matter at the other end, in words with a hint: why no connection could be made, and who answers there.

The errors made here are the same for every client, blocking or not.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed, ProtocolError
from rpcshell.client.target import Target, TcpTarget, TlsTarget, UnixTarget
from rpcwire import FrameTooLarge, RemoteError
from rpcwire.framing import PREFIX_SIZE

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.dialects.native import Native

NO_TLS: Final = "is this its TLS port? Without tls:// the connection is not encrypted"
"""The hint where a server does not seem to speak TLS."""

SHOWN: Final = 24
"""How many of the first bytes a message shows."""

HTTP_SERVER: Final = "an HTTP server"
_TLS: Final = "a TLS server"
_OTHER_PROTOCOLS: Final = (
    (b"HTTP/", HTTP_SERVER),
    # What is no request of any version may be answered as one of HTTP/0.9 was, without a status.
    (b"<!DOCTYPE", HTTP_SERVER),
    (b"<html", HTTP_SERVER),
    (b"SSH-", "an SSH server"),
    (b"220", "a mail or FTP server"),
    (b"-ERR", "a Redis server"),
    (b"-NOAUTH", "a Redis server"),
    (b"-DENIED", "a Redis server"),
    (b"ERROR\r\n", "a memcached server"),
    (b"+OK ", "a POP3 server"),
    (b"* OK", "an IMAP server"),
    (b"AMQP", "an AMQP server"),
    (b"RFB ", "a VNC server"),
    (b"@RSYNCD:", "an rsync server"),
    (b"INFO {", "a NATS server"),
    (b"<?xml", "a server of XML, such as XMPP"),
    # Records of an alert and of a handshake (RFC 8446, section 5.1).
    (b"\x15\x03", _TLS),
    (b"\x16\x03", _TLS),
)
_OTHER_PACKETS: Final = (
    # Its length, the number 0, and what greets: version 10 of the protocol, or an error.
    (rb"...\0(?:\x0a\d|\xff)", "a MySQL server"),
    # An error, and how grave it is.
    (rb"E\0\0..S[A-Z]", "a PostgreSQL server"),
    # Options are negotiated (RFC 854): IAC, and WILL, WONT, DO or DONT.
    (rb"\xff[\xfb-\xfe].\xff", "a Telnet server"),
    # The frame SETTINGS (RFC 9113, section 3.4).
    (rb"\0\0.\x04\0\0\0\0\0", "an HTTP/2 or gRPC server"),
)


def lookup_failed(target: TcpTarget | TlsTarget, error: OSError | UnicodeError) -> ConnectionFailed:
    """The error for a host without an address."""
    if isinstance(error, UnicodeError):
        return ConnectionFailed(target, "this is no valid host name")
    if error.errno == socket.EAI_AGAIN:
        return ConnectionFailed(target, "the name lookup failed", hint="is the network up?")
    return ConnectionFailed(target, "no such host", hint="check the spelling of the name")


def tcp_failed(target: TcpTarget | TlsTarget, error: OSError, timeout: float) -> ConnectionFailed:
    """The error for a host none of whose addresses took a connection."""
    match error:
        case ConnectionRefusedError():
            return ConnectionFailed(target, "connection refused", hint="is the server running, and is this its port?")
        case TimeoutError():
            hint = "the host may be down, or a firewall drops the packets"
            return ConnectionFailed(target, f"no answer within {timeout:g} s", hint=hint)
    return ConnectionFailed(target, system_reason(error))


def unix_failed(target: UnixTarget, error: OSError, timeout: float) -> ConnectionFailed:
    """The error for a Unix socket that took no connection."""
    match error:
        case FileNotFoundError():
            return ConnectionFailed(target, "no such socket file", hint="is the server running?")
        case PermissionError():
            hint = "the socket file, or its folder, is for another user"
            return ConnectionFailed(target, "permission denied", hint=hint)
        case ConnectionRefusedError() if target.abstract:
            return ConnectionFailed(target, "nothing listens there", hint="is the server running?")
        case ConnectionRefusedError():
            hint = "the server that made it has gone, or the path names an ordinary file"
            return ConnectionFailed(target, "nothing listens on it", hint=hint)
        case BlockingIOError():
            hint = "all of its workers are busy, or it serves one client at a time, as a QMP monitor does"
            return ConnectionFailed(target, f"no room in its queue within {timeout:g} s", hint=hint)
    return ConnectionFailed(target, system_reason(error))


def system_reason(error: OSError) -> str:
    """What the system says, as part of a sentence."""
    text = error.strerror or str(error) or type(error).__name__
    return text[0].lower() + text[1:]


def not_rpc(first: bytes) -> str | None:
    """What a server is that speaks no RPC in JSON, where its first bytes tell."""
    known = (name for start, name in _OTHER_PROTOCOLS if first.startswith(start))
    return next(known, None) or next(
        (name for packet, name in _OTHER_PACKETS if re.match(packet, first, re.DOTALL)), None
    )


def other_protocol(target: Target, first: bytes) -> ProtocolError | None:
    """The error for a server of another protocol, or None where the bytes tell of none."""
    name = not_rpc(first)
    if name is None:
        return None if target.dialect else _other_framing(target, first)
    if name == _TLS:
        hint = f"connect to {_with_tls(target)}" if isinstance(target, TcpTarget) else "connect without TLS before it"
        return ProtocolError(f"{target} is a TLS server, and this connection is not encrypted", hint=hint)
    return ProtocolError(f"{target} is {name}, not an RPC server: it answered {seen(first)}", hint="check the port")


def _other_framing(target: Target, first: bytes) -> ProtocolError | None:
    """The error for a server of JSON that does not begin its replies with their length, as the native protocol does."""
    if first.lstrip().startswith((b'{"', b"[{")):
        framing = "line"
    elif first[:14].lower() == b"content-length":
        framing = "content-length"
    elif first.startswith(b"\0\0") and first[PREFIX_SIZE : PREFIX_SIZE + 2] == b'{"':
        framing = "u32be"
    else:
        return None
    hint = f"name what it speaks, such as jsonrpc+{framing}:{target}"
    return ProtocolError(f"{target} speaks JSON in another way: it began with {seen(first)}", hint=hint)


def silence_hint(target: Target) -> str | None:
    """A hint for a server that has ended the connection without a word."""
    match target:
        case TcpTarget():
            # A TLS server may leave without a word when it is not greeted as one.
            return f"if it is a TLS server, connect to {_with_tls(target)}"
        case TlsTarget():
            return "it may want a client certificate: --tls-cert FILE and --tls-key FILE"
    return None


def _with_tls(target: TcpTarget) -> TlsTarget:
    return TlsTarget(target.host, target.port, dialect=target.dialect)


def not_a_reply(target: Target, error: RemoteError, first: bytes) -> ProtocolError:
    """The error for an answer that is no reply."""
    if (known := other_protocol(target, first)) is not None:
        return known
    what = str(error)
    if isinstance(error, FrameTooLarge):
        what = f"it announced a reply of {error.length} bytes and the limit is {error.limit}"
    return ProtocolError(f"{target} does not answer as an RPC server: {what}", hint=f"it began with {seen(first)}")


def unfinished(dialect: Native | FramedDialect) -> str:
    """A hint for a reply that has begun to come, and is not whole when it should be; "" where none has."""
    return f"part of a message has come: {seen(dialect.beginning(SHOWN))}" if dialect.mid_frame else ""


def seen(data: bytes) -> str:
    """The first bytes of what was said, as a message shows them."""
    text = data[:SHOWN].decode("latin-1")
    return '"' + "".join(c if c.isascii() and c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'


def gone(where: Target, reason: str) -> ProtocolError:
    """The error for a server that takes no connection any more after it has taken one."""
    what = f"{where} took one connection, and now: {reason}; it may serve a single client and end"
    return ProtocolError(what, hint=f"start it again, and name what it speaks, as in lsp:{where} or dap:{where}")
