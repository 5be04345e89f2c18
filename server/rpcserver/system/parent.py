"""The way to the process that started the server: what it is told, and when its end stops the server."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from typing import Final

import msgspec

from rpcwire.control import ServerReady, StartFailed

logger = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
_MAX_TRACEBACK: Final = 64 * 1024
_MAX_LINE: Final = 4096


class ParentLink:
    """A stream socket inherited from the process that started the server.

    Each event is one line of JSON. The end of the stream stops the server, unless the line `keep` came first.

    Args:
        descriptor: the inherited descriptor; it is not passed on to processes that the server starts.

    Raises:
        ValueError: the descriptor is not an open stream socket.
    """

    def __init__(self, descriptor: int) -> None:
        try:
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError as error:
            raise ValueError(f"descriptor {descriptor} is not open: pass an inherited stream socket") from error
        if not is_socket:
            raise ValueError(f"descriptor {descriptor} is no socket: pass an inherited stream socket")
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._socket.setblocking(False)
        self._held = b""
        self.keep = False
        """Whether the server shall outlive the process that started it."""

    def fileno(self) -> int:
        """Return the descriptor, or -1 when the link is closed."""
        return self._socket.fileno()

    def send(self, event: ServerReady | StartFailed) -> None:
        """Tell the other side; a side that is gone or does not read is not waited for longer than 5 seconds."""
        if isinstance(event, StartFailed) and event.traceback and len(event.traceback) > _MAX_TRACEBACK:
            event = msgspec.structs.replace(event, traceback=event.traceback[-_MAX_TRACEBACK:])
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.sendall(msgspec.json.encode(event) + b"\n")
        except OSError as error:
            logger.warning("the process that started this server cannot be told (%s)", error)
        finally:
            self._socket.setblocking(False)

    def receive(self) -> bool:
        """Read what has come, without waiting.

        Returns:
            False when the other side has gone.
        """
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return True
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
        with contextlib.suppress(OSError):
            self._socket.close()
