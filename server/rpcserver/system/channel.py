"""What the arbiter is connected to: a channel to each worker, and a link to the process that started the server.

A worker says that it is ready, that it cannot be, or that it should be replaced; when it drains, it asks for a
connection that still waits, and gets one or is told to leave. Everything else between the two goes by signals.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import stat
import struct
from typing import Final

import msgspec

from rpcserver.system.printable import printable
from rpcserver.system.sockets import connection_of
from rpcwire.control import ServerReady, StartFailed

logger = logging.getLogger(__name__)

_MAX_MESSAGE: Final = 128 * 1024  # bytes of a message between processes of the server

_MAX_TRACEBACK: Final = 64 * 1024
_CONNECTION: Final = b"connection"
_LEAVE: Final = b"leave"
_ACKNOWLEDGED: Final = b"acknowledged"
_PATIENCE: Final = 5.0
_MAX_LINE: Final = 4096
_LONGEST_NAME: Final = 256


class LoadedService(msgspec.Struct, frozen=True):
    """What a worker has loaded, for a registry; `openrpc` is a checksum of the document that describes it."""

    name: str
    version: str
    openrpc: str

    @classmethod
    def of(cls, name: str, version: str, openrpc: str) -> LoadedService:
        """Describe a service, whatever characters it is called by, as far as a registry has room for."""
        return cls(printable(name)[:_LONGEST_NAME], printable(version)[:_LONGEST_NAME], openrpc)


class WorkerStarted(msgspec.Struct, frozen=True, tag="started"):
    """A worker that a stem has forked is now the arbiter's child, and waits to be known to it."""

    pid: int


class WorkerReady(msgspec.Struct, frozen=True, tag="ready"):
    """The app is loaded and its start hooks have run: connections are accepted from now on."""

    loaded: LoadedService | None = None  # None: no registry is told


class WorkerFailed(msgspec.Struct, frozen=True, tag="failed"):
    """A worker could not start; `traceback` has the frames of the user's own code only."""

    message: str
    traceback: str | None = None
    shortage: bool = False  # whether the system had no process, thread or descriptor left, and it is nothing else

    @classmethod
    def of(cls, message: str, traceback: str | None, *, shortage: bool) -> WorkerFailed:
        """Say it with texts that can be told: without lone surrogates, and not too long."""
        return cls(printable(message), None if traceback is None else printable(traceback[-_MAX_TRACEBACK:]), shortage)


class NextWanted(msgspec.Struct, frozen=True, tag="next"):
    """A draining worker is free for a connection that still waits."""


class Retiring(msgspec.Struct, frozen=True, tag="retiring"):
    """A worker goes on serving, and shall be replaced: it is told to drain once its successor is ready."""

    reason: str


Report = WorkerStarted | WorkerReady | WorkerFailed | NextWanted | Retiring
_decoder: Final[msgspec.json.Decoder[Report]] = msgspec.json.Decoder(Report)


class _PacketEnd:
    """One end of what connects two processes of the server; messages keep their bounds."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        """Return the descriptor, or -1 when this end is closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


class WatchedEnd(_PacketEnd):
    """An end of the arbiter's, which never waits."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(end)
        end.setblocking(False)

    def _next_packet(self) -> bytes | None:
        """Take the next message, or None when there is none yet; raises EOFError where the other end is closed."""
        try:
            message = self._socket.recv(_MAX_MESSAGE)
        except BlockingIOError:
            return None
        except ConnectionResetError as error:
            raise EOFError from error
        if not message:
            raise EOFError
        return message


class AppEnd(_PacketEnd):
    """The end of a process that loads the app."""

    def failed(self, message: str, traceback: str | None = None, *, shortage: bool = False) -> None:
        """Report why the process cannot do what it is for."""
        self._report(WorkerFailed.of(message, traceback, shortage=shortage))

    def _receive(self, descriptors: int) -> tuple[bytes, tuple[int, ...]]:
        """Wait for a message, and for the descriptors that may come with it."""
        packed = struct.Struct(f"{descriptors}i")
        # socket.recv_fds has programs that handlers start inherit the descriptors.
        room = socket.CMSG_LEN(packed.size)
        message, ancillary, _, _ = self._socket.recvmsg(_MAX_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        return message, packed.unpack(ancillary[0][2]) if ancillary else ()

    def _report(self, report: msgspec.Struct) -> bool:
        try:
            self._socket.send(msgspec.json.encode(report))
        except OSError as error:
            if error.errno in (errno.EBADF, errno.ENOTSOCK):
                logger.error(
                    "the app has closed descriptors of the server: have it close only those that it has opened"
                )
            logger.debug("the arbiter cannot be told (%s)", error)
            return False
        return True


class ArbiterEnd(WatchedEnd):
    """The arbiter's end of a channel; it never waits."""

    def receive(self) -> Report | None:
        """Take the next report, or None when there is none yet; raises EOFError where the worker has closed its end."""
        message = self._next_packet()
        return None if message is None else _decoder.decode(message)

    def acknowledge(self) -> None:
        """Tell a worker that it is known."""
        with contextlib.suppress(OSError):
            self._socket.send(_ACKNOWLEDGED)

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


class WorkerEnd(AppEnd):
    """The worker's end of a channel."""

    def started(self) -> bool:
        """Report which process this is, and wait until the arbiter knows; False when it wants no worker any more."""
        self._report(WorkerStarted(os.getpid()))
        return self._socket.recv(len(_ACKNOWLEDGED)) == _ACKNOWLEDGED

    def ready(self, loaded: LoadedService | None = None) -> None:
        """Report that connections are accepted from now on, by what was loaded."""
        self._report(WorkerReady(loaded))

    def retiring(self, reason: str) -> None:
        """Ask to be replaced, for a reason as in "has answered 1000 requests".

        The arbiter starts a successor, and sends SIGTERM when that is ready.
        """
        self._report(Retiring(reason))

    def next_connection(self) -> socket.socket | None:
        """Ask for a connection that waits; None when there is none left, and the worker may leave."""
        self._report(NextWanted())
        message, descriptors = self._receive(1)
        return connection_of(*descriptors) if message == _CONNECTION and descriptors else None


def open_channel() -> tuple[ArbiterEnd, WorkerEnd]:
    """Make both ends of a channel; messages keep their bounds, and neither end survives an exec."""
    arbiter, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ArbiterEnd(arbiter), WorkerEnd(worker)


class ParentLink:
    """A stream socket inherited from the process that started the server; no process that this starts inherits it.

    Each event is one line of JSON. The end of the stream stops the server, unless the line `keep` came first. So does
    the end of `process`, where one is given, for other children of it may hold copies of the link's other side.

    Raises:
        ValueError: the descriptor is not an open stream socket.
        OSError: there is no such process, or no descriptor left.
    """

    def __init__(self, descriptor: int, process: int | None = None) -> None:
        try:
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError as error:
            raise ValueError(f"descriptor {descriptor} is not open: pass an inherited stream socket") from error
        if not is_socket:
            raise ValueError(f"descriptor {descriptor} is no socket: pass an inherited stream socket")
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._socket.setblocking(False)
        self._process = None if process is None else os.pidfd_open(process)
        self._events = select.epoll()
        self._events.register(self._socket, select.EPOLLIN)
        if self._process is not None:
            self._events.register(self._process, select.EPOLLIN)
        self._held = b""
        self.keep = False  # whether the server shall outlive the process that started it

    def fileno(self) -> int:
        """Return the descriptor that is readable when `receive` has something to tell."""
        return self._events.fileno()

    def send(self, event: ServerReady | StartFailed) -> None:
        """Tell the other side; a side that is gone or does not read is not waited for longer than 5 seconds."""
        if isinstance(event, StartFailed):
            trace = event.traceback and printable(event.traceback[-_MAX_TRACEBACK:])
            event = StartFailed(printable(event.message), trace)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.sendall(msgspec.json.encode(event) + b"\n")
        except OSError as error:
            logger.warning("the process that started this server cannot be told (%s)", error)
        finally:
            self._socket.setblocking(False)

    def receive(self) -> bool:
        """Read what has come, without waiting; False when the other side has gone."""
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return self._process is None or not any(found == self._process for found, _ in self._events.poll(0))
        except OSError:
            return False
        if not data:
            return False
        *lines, self._held = (self._held + data).split(b"\n")
        self._held = self._held[-_MAX_LINE:]
        for line in lines:
            if line.strip() == b"keep":
                self.keep = True
            else:
                logger.warning("the process that started this server sent %r, which means nothing", line)
        return True

    def close(self) -> None:
        """Close the link."""
        self._events.close()
        if self._process is not None:
            os.close(self._process)
            self._process = None
        with contextlib.suppress(OSError):
            self._socket.close()
