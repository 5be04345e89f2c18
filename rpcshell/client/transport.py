"""What carries bytes to a server and back: a socket, TLS, a child, or HTTP, alike to whoever reads and writes.

Each is in a file of its own (`dialling`, `tls`, `child`, `http`); a further one is one more, and a case here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

from rpcshell.client.dialling import dial, part
from rpcshell.client.errors import ConnectionFailed, ProtocolError
from rpcshell.client.target import ChildTarget, HttpTarget, Target, TlsFiles, UnixTarget

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rpcshell.client.dialects.framed import FramedDialect

_QUEUING: Final = 2.5
"""Seconds to be let in by a server that serves one client at a time."""


class Transport(Protocol):
    """A stream of bytes both ways that never blocks, with a descriptor that tells when there is something to do."""

    def fileno(self) -> int:
        """The descriptor to wait on."""

    def recv(self, size: int, /) -> bytes:
        """Receive; nothing at the end.

        Raises:
            BlockingIOError: Nothing has come.
            TlsFailed: The server has refused this client.
            OSError: It is broken.
        """

    def send(self, data: memoryview, /) -> int:
        """Send, and say how many bytes were taken; what was not has to be given again.

        Raises:
            BlockingIOError: There is no room.
            TlsFailed: The server has refused this client.
            OSError: It is broken.
        """

    def close(self) -> None:
        """Let go of it, and of a child."""


def open_transport(
    target: Target,
    dialect: FramedDialect,
    on_log: Callable[[str], None],
    *,
    timeout: float,
    tls: TlsFiles | None = None,
) -> Transport:
    """Connect within `timeout` seconds, or start the child.

    HTTP carries headers for the `dialect`. `on_log` is told, in a thread of its own, each line that a child prints to
    standard error.

    Raises:
        ConnectionFailed: No connection could be made, or the child cannot be started.
    """
    match target:
        case ChildTarget():
            from rpcshell.client.child import ChildStream

            return ChildStream(target, on_log)
        case HttpTarget():
            from rpcshell.client.http import HttpStream

            return HttpStream(target, dialect, timeout, tls)
    alone = dialect.serves_one and isinstance(target, UnixTarget)
    try:
        # The queue of whoever serves one at a time does not move soon.
        stream = dial(target, min(timeout, _QUEUING) if alone else timeout, tls)
    except ConnectionFailed as error:
        if not (alone and isinstance(error.__cause__, BlockingIOError)):
            raise
        hint = "it serves one client at a time, and others wait already: libvirt perhaps holds it"
        raise ConnectionFailed(target, error.reason, hint=hint) from error
    if isinstance(stream, socket.socket):
        stream.setblocking(False)
    return stream


def why_ended(transport: Transport) -> Exception | None:
    """What a transport knows of its own end beyond that it has come, or None: a child's exit, a response of HTTP."""
    tell: Callable[[], Exception | None] | None = getattr(transport, "why_ended", None)
    return None if tell is None else tell()


def sends_on(transport: Transport) -> int:
    """The descriptor to wait on for room to send; a child has another one for that than for what comes."""
    tell: Callable[[], int] = getattr(transport, "sends_on", transport.fileno)
    return tell()


def input_ended(transport: Transport, *, unsent: bool) -> None:
    """Say that a transport takes nothing more. Elsewhere than with a child the end that is read next says why."""
    tell: Callable[..., None] | None = getattr(transport, "input_ended", None)
    if tell is not None:
        tell(unsent=unsent)


def break_off(transport: Transport, number: int) -> None:
    """End what a transport does for a call of that number alone; most do nothing."""
    end: Callable[[int], None] | None = getattr(transport, "break_off", None)
    if end is not None:
        end(number)


def start_request(transport: Transport, method: str) -> Future[None] | None:
    """Have a request of HTTP made that has no body, or None where this is not HTTP; the future tells of its end."""
    start: Callable[[str], Future[None]] | None = getattr(transport, "start", None)
    return None if start is None else start(method)


def leave(transport: Transport, failure: Exception | None) -> None:
    """Close a transport; a server that has not understood what was said to it may finish first, for a moment."""
    if isinstance(failure, ProtocolError) and hasattr(transport, "shutdown"):
        part(cast("socket.socket", transport))
    transport.close()


def abandon(transport: Transport) -> None:
    """Let go of a transport in a process that was forked: its descriptors are closed, and nobody is told."""
    let_go: Callable[[], None] = getattr(transport, "abandon", transport.close)
    let_go()
