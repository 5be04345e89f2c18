"""Making a connection: addresses, sockets and their options, and what a failure means in words.

What goes over a connection is `rpcshell.client.connection`'s, the handshake of TLS `rpcshell.client.tls`'s.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.diagnosis import lookup_failed, tcp_failed, unix_failed
from rpcshell.client.errors import UsageError
from rpcshell.client.target import FleetTarget, Target, TcpTarget, TlsFiles, TlsTarget, UnixTarget

if TYPE_CHECKING:
    from rpcshell.client.tls import TlsStream
    from rpcshell.client.trace import Ends

Address = tuple[int, tuple[Any, ...]]
"""A family, and what connect(2) takes in it."""

ATTEMPT_DELAY: Final = 0.25
"""Seconds that an address of several has to itself, until the next one is tried beside it (RFC 8305, section 5)."""

LONGEST_WAIT: Final = 86_400.0
"""What the system's own clocks take, in seconds."""

_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)

PARTING: Final = 0.25
"""Seconds that a server which has not understood what was said to it has to finish, before it is left."""

_MOST_PARTING: Final = 64 * 1024

QUIET: Final = 0.1
"""Seconds without a word after which a server is taken to have ended what it said."""

NAP: Final = 1.0
"""Seconds of the machine's sleep that no peer notices; the clocks differ by less while it is awake."""

# Seconds until a silent peer is probed, seconds between probes, probes, and milliseconds that what was sent may stay
# unacknowledged (tcp(7), RFC 5482): a dead network ends a call in two minutes.
_OPTIONS: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 120_000))


def dial(target: Target, timeout: float, tls: TlsFiles | None = None) -> socket.socket | TlsStream:
    """Connect within `timeout` seconds for all addresses of a target together, and for the handshake.

    Raises:
        ConnectionFailed: No connection could be made.
    """
    timeout = min(timeout, LONGEST_WAIT)
    match target:
        case UnixTarget():
            return _connect_unix(target, timeout)
        case TcpTarget():
            return dial_tcp(target, timeout)
        case TlsTarget():
            return _connect_tls(target, timeout, tls)
        case FleetTarget():
            raise UsageError(f"{target} names several servers", hint="name one of them")
    raise TypeError(f"not a target: {target!r}")


def seconds_asleep() -> float:
    """How long the machine has slept since it was started; while it sleeps, the other side may have given up."""
    # clock_gettime(2): on Linux only BOOTTIME counts sleep, on macOS all but UPTIME do.
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(time.CLOCK_UPTIME_RAW)
    return 0.0


def _connect_tls(target: TlsTarget, timeout: float, files: TlsFiles | None) -> TlsStream:
    from rpcshell.client.tls import handshake_failed, secure

    deadline = time.monotonic() + timeout
    sock = dial_tcp(target, timeout)
    try:
        return secure(sock, target, files or TlsFiles(), deadline)
    except (OSError, ValueError) as error:
        raise handshake_failed(target, error, timeout, partial(dial_tcp, target)) from error


def acknowledge(sock: socket.socket) -> None:
    """Acknowledge at once what a TCP socket has received, where the system can be told to (Linux).

    A peer that writes prefix and body separately may wait for the first to be acknowledged before it sends the
    second (Nagle, RFC 896), and acknowledgements are delayed by up to 40 ms (tcp(7)).
    """
    if _QUICK_ACK is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def dial_tcp(target: TcpTarget | TlsTarget, timeout: float) -> socket.socket:
    """Connect to the address of a host that first takes a connection, within `timeout` seconds for all of them.

    The next one is tried as soon as one has failed, or has said nothing for `ATTEMPT_DELAY`.

    Raises:
        ConnectionFailed: None does.
    """
    deadline = time.monotonic() + timeout
    try:
        sock = _first_connected(deque(_addresses(target)), deadline)
    except OSError as error:
        raise tcp_failed(target, error, timeout) from error
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    return sock


def _first_connected(untried: deque[Address], deadline: float) -> socket.socket:
    failure: OSError = ConnectionRefusedError()
    connecting: dict[int, socket.socket] = {}
    poll = select.poll()
    due = 0.0
    try:
        while untried or connecting:
            now = time.monotonic()
            if untried and (now >= due or not connecting):
                due = now + ATTEMPT_DELAY
                try:
                    sock = _connecting(untried.popleft())
                except OSError as error:
                    failure, due = error, now
                    continue
                connecting[sock.fileno()] = sock
                poll.register(sock, select.POLLOUT)
            if now >= deadline:
                raise TimeoutError
            until = min(due, deadline) if untried else deadline
            for descriptor, _ in poll.poll(math.ceil((until - now) * 1000)):
                poll.unregister(descriptor)
                try:
                    settle(connecting[descriptor])
                except OSError as error:
                    connecting.pop(descriptor).close()
                    failure, due = error, now
                else:
                    return connecting.pop(descriptor)
    finally:
        for sock in connecting.values():
            sock.close()
    raise failure


def _connecting(where: Address) -> socket.socket:
    """A socket that is being connected, and becomes writable once it is."""
    family, address = where
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except BlockingIOError:
        return sock
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(target: TcpTarget | TlsTarget) -> list[Address]:
    try:
        return streams(socket.getaddrinfo(encoded_host(target), target.port, type=socket.SOCK_STREAM))
    except (UnicodeError, socket.gaierror) as error:
        raise lookup_failed(target, error) from error


def encoded_host(target: TcpTarget | TlsTarget) -> str | bytes:
    """The host as getaddrinfo(3) takes it: as bytes, an ASCII name spares the import of the IDNA codec."""
    return target.host.encode("ascii") if target.host.isascii() else target.host


def streams(found: Iterable[tuple[Any, ...]]) -> list[Address]:
    """The families and addresses, of what getaddrinfo(3) found, that a stream can be connected to.

    They come in the order in which to try them: its own, but the families in turns (RFC 8305, section 4).
    """
    usable = [(family, address) for family, *_, address in found if family in (socket.AF_INET, socket.AF_INET6)]
    preferred = [where for where in usable if where[0] == usable[0][0]]
    others = [where for where in usable if where[0] != usable[0][0]]
    return [where for pair in zip_longest(preferred, others) for where in pair if where is not None]


def settle(sock: socket.socket) -> None:
    """Tune a TCP socket whose connecting is over.

    Raises:
        OSError: It has failed.
        ConnectionRefusedError: It has connected to itself, as nobody listens.
    """
    if failed := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(failed, os.strerror(failed))
    # It drew its own port as a free one, and TCP then connects to itself (RFC 9293, section 3.5): nobody listens.
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError
    tune(sock)


def tune(sock: socket.socket) -> None:
    """Set the options of a TCP socket: no delay, and an end for connections to peers that are gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def ends_of(stream: socket.socket | TlsStream) -> Ends | None:
    """The addresses of both ends, or None where there is no other any more."""
    try:
        with socket.socket(fileno=os.dup(stream.fileno())) as same:
            return same.getsockname(), same.getpeername()
    except OSError:
        return None


def part(stream: socket.socket | TlsStream) -> None:
    """End a connection to a server that has not understood what was said to it: let it finish first, for a moment.

    QEMU's monitor, for one, never answers anybody again that is left by a client while it still refuses what it got.
    """
    with contextlib.suppress(OSError):
        if not _ended(stream, QUIET):
            stream.shutdown(socket.SHUT_WR)
            _ended(stream, PARTING)


def hear_out(stream: socket.socket | TlsStream) -> None:
    """Let a server that greets end what it says, for a moment, before it is left.

    debugpy's, for one, listens no more once a client has left while it still greeted.
    """
    with contextlib.suppress(OSError):
        _ended(stream, QUIET)


def _ended(stream: socket.socket | TlsStream, quiet: float) -> bool:
    """Take what comes for a moment, or until nothing does for so many seconds; whether that was the end."""
    deadline = time.monotonic() + PARTING
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poll.poll(math.ceil(min(left, quiet) * 1000)):
        # Nobody wants to know what it says; what is encrypted may stay so.
        if not os.read(stream.fileno(), _MOST_PARTING):
            return True
    return False


def _connect_unix(target: UnixTarget, timeout: float) -> socket.socket:
    deadline = time.monotonic() + timeout
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Python takes what a signal interrupts for connecting on, unless it believes that the socket does not block.
        sock.setblocking(False)
        os.set_blocking(sock.fileno(), True)
        while True:
            # Non-blocking, a full backlog would fail at once (connect(2), EAGAIN); with this, connect waits for room.
            microseconds = max(int((deadline - time.monotonic()) * 1_000_000), 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", *divmod(microseconds, 1_000_000)))
            try:
                sock.connect(target.name)
            except InterruptedError:
                continue
            sock.setblocking(True)
            return sock
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise unix_failed(target, error, timeout) from error
        raise
