"""The sync model: a worker serves one connection at a time, from its first byte to its close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Worker
from .blocking import BlockingConnection

if TYPE_CHECKING:
    import socket


class SyncWorker(Worker):
    """Serves one connection at a time; others wait in the listen queue for a free worker."""

    model = "sync"

    _current: BlockingConnection | None = None

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        while not self.draining:
            connection = self.acceptor.accept()
            if connection is not None:
                self._serve(connection)
        self.acceptor.close()
        while (waiting := self.channel.next_connection()) is not None:
            self._serve(waiting)

    def drain(self) -> None:
        """End the connection that is being served without loss, and hold no listener meanwhile."""
        if self._current is not None:
            self.acceptor.close()
            self._current.drain()

    def _serve(self, connection: socket.socket) -> None:
        self._current = BlockingConnection(connection, self.dispatcher, self.settings)
        if self.draining:
            self.drain()
        self._current.serve()
        self._current = None
