"""A small blocking client for tests; for anything else there is rpcshell's."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from rpcserver.system.addresses import UnixBind
from rpcserver.system.errors import RpcError
from rpcwire import ClientConnection, Reply, TruncatedFrame
from rpcwire.socket_names import meant_name

if TYPE_CHECKING:
    import ssl

_READ_SIZE = 256 * 1024


class Client:
    """One connection to a server; it heeds `close`, and connects again after it.

    Threads may share it and take turns; a process that was forked makes a connection of its own.

    Args:
        address: `host:port`, `[v6]:port`, `unix:path` or `unix:@name`; before the first two `tls://` for a server that
            speaks TLS.
        timeout: seconds that connecting and each call may take.
        tls: what such a server is verified with, and what it is shown; the system's authorities unless given.

    Raises:
        OSError: nobody listens there.
        ssl.SSLError: the handshake failed.
    """

    def __init__(self, address: str, timeout: float = 30.0, *, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.timeout = timeout
        self._tls = tls
        self._turn = threading.Lock()
        self._connect()

    def call(self, method: str, params: object = None) -> Any:
        """Call a method and return its result.

        Args:
            method: the method's name.
            params: anything that JSON carries: an object or a dict by name, a list by position.

        Raises:
            RpcError: the server answered an error; it has the code, the message and the data.
            ConnectionError: the connection was lost before the reply came; the method may have run.
            TimeoutError: no reply came in time.
            EncodeError: JSON cannot carry the params.
        """
        reply = self.request(method, params)
        fault = reply.fault
        if fault is not None:
            raise RpcError(fault.message, fault.code, UNSET if fault.data is UNSET else fault.data)
        return reply.result

    def request(self, method: str, params: object = None, *, meta: bool = False) -> Reply:
        """Call a method and return the whole reply, be it an error.

        Args:
            method: the method's name.
            params: its params.
            meta: whether the reply shall say which worker answered.

        Raises:
            ConnectionError, TimeoutError, EncodeError: as in `call`.
        """
        if self._owner != os.getpid():
            # A thread of the parent may hold the turn, and never gives it back here.
            self._turn = threading.Lock()
            self._reconnect()
        with self._turn:
            return self._exchange(method, params, meta)

    def _exchange(self, method: str, params: object, meta: bool) -> Reply:
        deadline = time.monotonic() + self.timeout
        while True:
            if self._has_ended():
                self._reconnect()
            data = self._connection.request(method, params, meta=meta, close=True)
            try:
                self._wait_until(deadline)
                self._socket.sendall(data)
                reply = self._reply(deadline)
            except TimeoutError:
                # The reply may come yet, and would be taken for that of the next call.
                self.close()
                raise TimeoutError(f"{method} was not answered within {self.timeout:g} s") from None
            except (OSError, TruncatedFrame) as error:
                self.close()
                raise ConnectionError(f"the connection was lost before {method} was answered: {error}") from error
            if reply is not None:
                return reply
            # The server has said that it did not execute this request.
            self._reconnect()

    def close(self) -> None:
        """End the connection, for the server too where another process has inherited the socket, but not from there."""
        try:
            if self._owner == os.getpid():
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already
        finally:
            self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        self._owner = os.getpid()
        if self.address.startswith("unix:"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(self.timeout)
                self._socket.connect(UnixBind(meant_name(self.address.removeprefix("unix:"))).name)
            except OSError:
                self._socket.close()
                raise
        else:
            address = self.address.removeprefix("tls://")
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            self._socket = socket.create_connection((host, int(port)), self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address != self.address:
                self._secure(host)
        self._connection = ClientConnection()

    def _secure(self, host: str) -> None:
        from rpcserver.testing.tls import secured

        try:
            self._socket = secured(self._socket, host, self._tls)
        except OSError:
            self._socket.close()
            raise

    def _reconnect(self) -> None:
        self.close()
        self._connect()

    def _has_ended(self) -> bool:
        """Whether the server has said goodbye, or the connection is closed."""
        if self._connection.closing or self._socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(0):
            return False
        # Between calls nothing else than a goodbye or the end can come; and over TLS what is no data at all.
        if not self.address.startswith("tls://"):
            return True
        from rpcserver.testing.tls import has_data

        return has_data(self._socket)

    def _reply(self, deadline: float) -> Reply | None:
        """The reply, or None after a goodbye instead of it."""
        while (event := self._connection.next_event()) is None:
            self._wait_until(deadline)
            data = self._socket.recv(_READ_SIZE)
            if not data:
                self._connection.receive_eof()
                raise ConnectionResetError("the server ended it")
            self._connection.receive(data)
        return event if isinstance(event, Reply) else None

    def _wait_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
