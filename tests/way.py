"""A way to a server, through a test that can cut it."""

from __future__ import annotations

import selectors
import socket
import threading

from tests.servers import PATIENCE


class Way:
    """A way to a server, which goes through here and can be cut, as if the server or the network were gone.

    Args:
        port: the server's, on this machine.
        host: where on this machine.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._waker = socket.socketpair()
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._state = "open"
        self._other: dict[socket.socket, socket.socket] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def hosts(self) -> str:
        """The address to use in place of the server's."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """End all connections, and each new one at once, as where the server was killed."""
        self._change("cut")

    def hold(self) -> None:
        """Carry nothing any more, and end nothing, as where the server or the network stands still."""
        self._change("held")

    def mend(self) -> None:
        """Carry again."""
        self._change("open")

    def close(self) -> None:
        """End it."""
        self._change("closed")
        self._thread.join()
        for closed in (self._listener, self._wakeup, self._waker, self._selector):
            closed.close()

    def _change(self, state: str) -> None:
        self._done.clear()
        self._waker.send(state.encode())
        assert self._done.wait(PATIENCE)

    def _carry(self) -> None:
        while self._state != "closed":
            ready = {self._wakeup} if self._state == "held" else {key.fileobj for key, _ in self._selector.select()}
            if self._wakeup in ready:
                self._state = self._wakeup.recv(16).decode()
                if self._state in {"cut", "closed"}:
                    for connection in tuple(self._other):
                        self._end(connection)
                self._done.set()
            elif self._listener in ready:
                self._accept()
            else:
                for connection in self._other.keys() & ready:
                    # The other end of one before it may have taken it along.
                    if connection in self._other:
                        self._pass_on(connection)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            if self._state == "cut":
                raise ConnectionRefusedError
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        self._other |= {client: server, server: client}
        for connection in (client, server):
            self._selector.register(connection, selectors.EVENT_READ)

    def _pass_on(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
            self._other[connection].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        """End a connection and the one behind it, unless that has happened."""
        if (other := self._other.pop(connection, None)) is None:
            return
        del self._other[other]
        for closed in (connection, other):
            self._selector.unregister(closed)
            closed.close()
