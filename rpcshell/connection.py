"""One connected stream socket with a deadline on every step: connect, exchange a request for a reply, look if idle.

Whether to reconnect or to send again is not decided here but in `rpcshell.client`; what the bytes mean is rpcwire's.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from rpcshell.errors import ConnectionFailed, ProtocolError
from rpcshell.target import Target, TcpTarget, UnixTarget
from rpcwire import ClientConnection, FrameTooLarge, Goodbye, RemoteError, Reply, TruncatedFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Connection", "Dropped"]

_READ: Final = 64 * 1024
_READ_LARGE: Final = 1024 * 1024
_SHOWN: Final = 24

# Seconds until a silent peer is probed, seconds between probes, probes: a dead network ends a call in two minutes.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

# Only Linux has it.
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)

# What the system's own clocks take, in seconds.
_LONGEST_WAIT: Final = 86_400.0

_OTHER_PROTOCOLS: Final = (
    (b"HTTP/", "an HTTP server"),
    (b"SSH-", "an SSH server"),
    (b"220", "a mail or FTP server"),
    (b"-ERR", "a Redis server"),
    (b"\x15\x03", "a TLS server"),
)


class Dropped(Exception):
    """The connection ended before the reply.

    Attributes:
        reason: How, in a few words.
        not_run: Whether the server provably did not execute the request.
    """

    def __init__(self, reason: str, *, not_run: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_run = not_run


class Connection:
    """A connected socket with at most one request on it.

    Args:
        sock: The connected socket; owned from now on.
        target: Where it leads, for messages.
        max_reply: The largest reply accepted, in bytes.
    """

    __slots__ = ("_first", "_poll", "_quick_ack", "_socket", "_wire", "target")

    def __init__(self, sock: socket.socket, target: Target, max_reply: int) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._wire = ClientConnection(max_reply)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._quick_ack: int | None = _QUICK_ACK if isinstance(target, TcpTarget) else None
        self._first = b""
        self.target = target

    @classmethod
    def open(cls, target: Target, *, timeout: float, max_reply: int) -> Connection:
        """Connect.

        Args:
            target: Where to.
            timeout: Seconds for all addresses of the target together.
            max_reply: The largest reply accepted, in bytes.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        return cls(_connected_socket(target, min(timeout, _LONGEST_WAIT)), target, max_reply)

    def close(self) -> None:
        """Close the socket; what still arrives for it is lost."""
        self._socket.close()

    def usable(self) -> bool:
        """Whether an idle connection can take a request: no end, no goodbye and nothing unasked has arrived."""
        if self._wire.closing or self._wire.mid_frame:
            return False
        try:
            self._socket.recv(_READ)
        except BlockingIOError:
            return True
        except OSError:
            return False
        # Nothing is due, so a goodbye, an end and a reply to nobody all mean: not this connection.
        return False

    def exchange(
        self, method: str, params: object, *, meta: bool, close: bool, deadline: float | None
    ) -> tuple[Reply, bool]:
        """Send a request and wait for its reply.

        Args:
            method: The method's name.
            params: Its params.
            meta: Whether to ask who served it.
            close: Whether to tell the server that this side heeds `close`.
            deadline: When to stop waiting, on `time.monotonic`'s clock, or None.

        Returns:
            The reply, and whether the connection can take another request.

        Raises:
            EncodeError: JSON cannot carry the params; nothing was sent.
            FrameTooLarge: The params are over 4 GiB; nothing was sent.
            Dropped: The connection ended first.
            ProtocolError: Something came that is no reply.
            TimeoutError: The deadline passed.
        """
        request = self._wire.request(method, params, meta=meta, close=close)
        try:
            if self._send(request, deadline):
                reply = self._reply(deadline)
                return reply, not (reply.close or self._wire.mid_frame)
            return self._reply_to_part(deadline), False
        except RemoteError as error:
            raise self._protocol_error(error) from None

    def _send(self, request: bytes, deadline: float | None) -> bool:
        """Send; False when the peer ended the connection, or spoke, before it had taken everything."""
        rest = memoryview(request)
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                pass
            except OSError:
                return False
            if not rest:
                return True
            # A server that refuses a large request says so while it is still being sent.
            self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
            try:
                ready = self._wait(deadline)
            finally:
                self._poll.modify(self._socket, select.POLLIN)
            if ready & select.POLLIN:
                return False

    def _reply(self, deadline: float | None) -> Reply:
        while (reply := self._event()) is None:
            if self._quick_ack is not None and self._wire.mid_frame:
                # A peer that writes prefix and body separately may wait for the first to be acknowledged before it
                # sends the second (Nagle, RFC 896), and acknowledgements are delayed by up to 40 ms (tcp(7)).
                self._socket.setsockopt(socket.IPPROTO_TCP, self._quick_ack, 1)
            self._receive(deadline)
        return reply

    def _reply_to_part(self, deadline: float | None) -> Reply:
        """What a peer says that did not take the whole request: it has run nothing."""
        try:
            return self._reply(deadline)
        except Dropped as dropped:
            raise Dropped(dropped.reason, not_run=True) from dropped

    def _event(self) -> Reply | None:
        event = self._wire.next_event()
        if isinstance(event, Goodbye):
            raise Dropped("the server is closing it", not_run=True)
        return event

    def _receive(self, deadline: float | None) -> None:
        self._wait(deadline)
        try:
            data = self._socket.recv(_READ_LARGE if self._wire.mid_frame else _READ)
        except BlockingIOError:
            return
        except OSError as error:
            raise Dropped(_reason(error), not_run=False) from error
        if data:
            self._take(data)
            return
        try:
            self._wire.receive_eof()
        except TruncatedFrame as error:
            if peer := _other_protocol(self._first):
                raise self._wrong_peer(peer) from None
            raise Dropped(f"inside the reply, {error}", not_run=False) from None
        raise Dropped("the server closed it without a reply", not_run=False)

    def _take(self, data: bytes) -> None:
        if len(self._first) < _SHOWN:
            self._first += data[:_SHOWN]
        self._wire.receive(data)

    def _wait(self, deadline: float | None) -> int:
        events = self._poll.poll() if deadline is None else []
        while not events:
            remaining = (deadline or 0.0) - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            events = self._poll.poll(math.ceil(min(remaining, _LONGEST_WAIT) * 1000))
        return events[0][1]

    def _protocol_error(self, error: RemoteError) -> ProtocolError:
        if peer := _other_protocol(self._first):
            return self._wrong_peer(peer)
        what = str(error)
        if isinstance(error, FrameTooLarge):
            what = f"it announced a reply of {error.length} bytes and the limit is {error.limit}"
        return ProtocolError(
            f"{self.target} does not answer as an RPC server: {what}",
            hint=f"it began with {_seen(self._first)}",
        )

    def _wrong_peer(self, peer: str) -> ProtocolError:
        return ProtocolError(
            f"{self.target} is {peer}, not an RPC server: it answered {_seen(self._first)}",
            hint="check the port",
        )


def _other_protocol(first: bytes) -> str | None:
    return next((name for start, name in _OTHER_PROTOCOLS if first.startswith(start)), None)


def _seen(data: bytes) -> str:
    text = data[:_SHOWN].decode("latin-1")
    return '"' + "".join(c if c.isascii() and c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'


def _connected_socket(target: Target, timeout: float) -> socket.socket:
    if isinstance(target, UnixTarget):
        return _connect_unix(target, timeout)
    if isinstance(target, TcpTarget):
        return _connect_tcp(target, timeout)
    raise TypeError(f"not a target: {target!r}")


def _connect_tcp(target: TcpTarget, timeout: float) -> socket.socket:
    deadline = time.monotonic() + timeout
    failure: OSError = ConnectionRefusedError()
    for family, address in _addresses(target):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.connect(address)
            # A free local port can be drawn as one's own: TCP then connects to itself (RFC 9293, section 3.5).
            if sock.getsockname() != sock.getpeername():
                _tune(sock)
                return sock
            failure = ConnectionRefusedError()
        except OSError as error:
            failure = error
        except BaseException:
            sock.close()
            raise
        sock.close()
    if isinstance(failure, ConnectionRefusedError):
        hint = "is the server running, and is this its port?"
        raise ConnectionFailed(target, "connection refused", hint=hint) from failure
    if isinstance(failure, TimeoutError):
        hint = "the host may be down, or a firewall drops the packets"
        raise ConnectionFailed(target, f"no answer within {timeout:g} s", hint=hint) from failure
    raise ConnectionFailed(target, _reason(failure)) from failure


def _addresses(target: TcpTarget) -> Iterator[tuple[int, tuple[str, int] | tuple[str, int, int, int]]]:
    try:
        # As bytes, an ASCII name spares the import of the IDNA codec.
        host = target.host.encode("ascii") if target.host.isascii() else target.host
        found = socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise ConnectionFailed(target, "this is no valid host name") from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise ConnectionFailed(target, "the name lookup failed", hint="is the network up?") from error
        raise ConnectionFailed(target, "no such host", hint="check the spelling of the name") from error
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            yield family, address  # type: ignore[misc]  # typeshed unites the shapes of builds without IPv6


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _connect_unix(target: UnixTarget, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Non-blocking, a full backlog would fail at once (connect(2), EAGAIN); with this, connect waits for room.
        whole = int(timeout)
        limit = struct.pack("@ll", whole, max(int((timeout - whole) * 1_000_000), 1))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.connect(target.path)
    except OSError as error:
        sock.close()
        raise _unix_failure(target, error, timeout) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _unix_failure(target: UnixTarget, error: OSError, timeout: float) -> ConnectionFailed:
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
    return ConnectionFailed(target, _reason(error))


def _reason(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return text[0].lower() + text[1:]
