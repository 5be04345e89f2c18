"""The channel between the arbiter and one worker: its two ends and what they say to each other.

A worker says that it is ready, that it cannot be, or that it should be replaced; when it drains, it asks for a
connection that still waits, and gets one or is told to leave. Everything else between the two goes by signals.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Final

import msgspec

logger = logging.getLogger(__name__)

_MAX_MESSAGE: Final = 128 * 1024
_MAX_TRACEBACK: Final = 64 * 1024
_CONNECTION: Final = b"connection"
_LEAVE: Final = b"leave"


class WorkerReady(msgspec.Struct, frozen=True, tag="ready"):
    """The app is loaded and its start hooks have run: connections are accepted from now on."""


class WorkerFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The app could not be loaded or started; `traceback` has the frames of the user's own code only."""

    message: str
    traceback: str | None


class NextWanted(msgspec.Struct, frozen=True, tag="next"):
    """A draining worker is free for a connection that still waits."""


class Retiring(msgspec.Struct, frozen=True, tag="retiring"):
    """A worker goes on serving, and shall be replaced: it is told to drain once its successor is ready."""

    reason: str


Report = WorkerReady | WorkerFailed | NextWanted | Retiring
_decoder: Final = msgspec.json.Decoder(Report)


class ArbiterEnd:
    """The arbiter's end of a channel; it never waits."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, or -1 when the channel is closed."""
        return self._socket.fileno()

    def receive(self) -> Report | None:
        """Take the next report, or None when there is none yet.

        Raises:
            EOFError: the worker has closed its end.
        """
        try:
            message = self._socket.recv(_MAX_MESSAGE)
        except BlockingIOError:
            return None
        except ConnectionResetError as error:
            raise EOFError from error
        if not message:
            raise EOFError
        report: Report = _decoder.decode(message)
        return report

    def hand_over(self, connection: socket.socket) -> bool:
        """Give the worker a connection to serve; False when it can take none, having died."""
        try:
            socket.send_fds(self._socket, [_CONNECTION], [connection.fileno()])
        except OSError:
            return False
        return True

    def dismiss(self) -> None:
        """Tell the worker that nothing waits for it."""
        with contextlib.suppress(OSError):
            self._socket.send(_LEAVE)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


class WorkerEnd:
    """The worker's end of a channel."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def ready(self) -> None:
        """Report that connections are accepted from now on."""
        self._report(WorkerReady())

    def failed(self, message: str, traceback: str | None) -> None:
        """Report why the worker cannot start."""
        if traceback is not None:
            traceback = traceback[-_MAX_TRACEBACK:].encode("utf-8", "backslashreplace").decode()
        self._report(WorkerFailed(message.encode("utf-8", "backslashreplace").decode(), traceback))

    def retiring(self, reason: str) -> None:
        """Ask to be replaced; the arbiter starts a successor, and sends SIGTERM when that is ready."""
        self._report(Retiring(reason))

    def next_connection(self) -> socket.socket | None:
        """Ask for a connection that waits; None when there is none left, and the worker may leave."""
        self._report(NextWanted())
        message, descriptors, _, _ = socket.recv_fds(self._socket, len(_CONNECTION), 1)
        if message == _CONNECTION and descriptors:
            return socket.socket(fileno=descriptors[0])
        return None

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _report(self, report: Report) -> None:
        try:
            self._socket.send(msgspec.json.encode(report))
        except OSError as error:
            logger.debug("the arbiter cannot be told (%s)", error)


def open_channel() -> tuple[ArbiterEnd, WorkerEnd]:
    """Make both ends of a channel; messages keep their bounds, and neither end survives an exec."""
    arbiter, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ArbiterEnd(arbiter), WorkerEnd(worker)
