"""The sync model: a worker serves one connection at a time, from its first byte to its close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcserver.workers.base import Worker
from rpcserver.workers.blocking_connection import BlockingConnection
from rpcserver.workers.socket_drivers import Lingering

if TYPE_CHECKING:
    import socket


class SyncWorker(Worker):
    """Serves one connection at a time; others wait in the listen queue for a free worker."""

    model = "sync"

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        self._lingering = Lingering()
        while not self.draining:
            self._on_tick()
            connection = self.acceptor.accept()
            if connection is not None:
                self._serve(connection)
        self.acceptor.close()
        while (waiting := self.channel.next_connection()) is not None:
            self._serve(waiting)
        self._lingering.wait()

    def drain(self) -> None:
        """End the connection that is being served without loss, and hold no listener meanwhile."""
        if self._current is not None:
            self.acceptor.close()
        super().drain()

    def _serve(self, connection: socket.socket) -> None:
        self.board.connection_opened()
        self._current = BlockingConnection(connection, self.answer, self.terms, self._on_tick, self._lingering.add)
        if self.draining:
            self.drain()
        self._current.serve()
        self._current = None
        self.board.connection_closed()

    def _on_tick(self) -> None:
        self.tick()
        if self._lingering:
            self._lingering.sweep()
