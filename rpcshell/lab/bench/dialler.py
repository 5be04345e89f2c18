"""Connecting beside the load: a thread of its own waits for servers that are slow to take a connection.

A load process that waited itself would send nothing on its other connections meanwhile, and blame the server.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from rpcshell.client.dialling import dial
from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.unreachable import system_reason

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcshell.client.tls import TlsFiles, TlsStream

__all__ = ["Dialler"]

_TIMEOUT: Final = 10.0
_READ: Final = 4096

_T = TypeVar("_T")


class Dialler(Generic[_T]):
    """Makes connections for whoever wants them, one after the other.

    Args:
        target: Where to.
        tls: The files of the client's side.
    """

    def __init__(self, target: Target, tls: TlsFiles) -> None:
        self._target = target
        self._tls = tls
        self._wanted: queue.SimpleQueue[_T] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[_T, socket.socket | TlsStream | ConnectionFailed]] = queue.SimpleQueue()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        threading.Thread(target=self._work, name="dialler", daemon=True).start()

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._bell

    def want(self, whose: _T) -> None:
        """Ask for a connection.

        Args:
            whose: Comes back with it.
        """
        self._wanted.put(whose)

    def take(self) -> list[tuple[_T, socket.socket | TlsStream | ConnectionFailed]]:
        """The connections that were made since, non-blocking, and why others could not be."""
        try:
            count = len(os.read(self._bell, _READ))
        except BlockingIOError:
            return []
        return [self._made.get() for _ in range(count)]

    def _work(self) -> None:
        while True:
            whose = self._wanted.get()
            made: socket.socket | TlsStream | ConnectionFailed
            try:
                made = dial(self._target, _TIMEOUT, self._tls)
                if isinstance(made, socket.socket):
                    made.setblocking(False)
            except ConnectionFailed as error:
                made = error
            except OSError as error:
                # Before there is a socket, such as for want of descriptors.
                made = ConnectionFailed(self._target, system_reason(error))
            self._made.put((whose, made))
            os.write(self._ring, b".")
