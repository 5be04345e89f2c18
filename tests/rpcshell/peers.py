"""Servers for the client's tests: real sockets, each connection handled by a function of the test."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from rpcshell.client.target import Target, TcpTarget, TlsTarget, UnixTarget
from rpcwire import decode_request, encode_value
from tests.rpcshell.faces import FACES, Connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Handler = Callable[["Peer"], object]

DEADLINE = 10.0


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number

    def read(self) -> dict[str, Any] | None:
        """The next request, or None at the end of the stream."""
        body = self.read_body()
        return None if body is None else json.loads(body)

    def read_body(self) -> bytes | None:
        """The next frame's body, or None at the end of the stream."""
        prefix = self._exactly(4)
        return None if prefix is None else self._exactly(struct.unpack("<I", prefix)[0])

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def send(self, message: object) -> None:
        """Send a message as one frame."""
        self.send_body(json.dumps(message).encode())

    def send_body(self, body: bytes) -> None:
        """Send a frame with any body."""
        self.sock.sendall(struct.pack("<I", len(body)) + body)

    def answer(self, result: object, **more: object) -> dict[str, Any] | None:
        """Answer the next request."""
        request = self.read()
        if request is not None:
            self.send({"out": "pong", "result": result, **more})
        return request

    def reset(self) -> None:
        """End the connection with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_end(self) -> None:
        """Read until the client has closed."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


class PeerServer:
    """Accepts connections and runs the handlers given for the first, second, … of them; the last for all more."""

    def __init__(
        self, listener: socket.socket, target: Target, handlers: tuple[Handler, ...], tls: ssl.SSLContext | None
    ) -> None:
        self.target = target
        self._tls = tls
        self.accepted = 0
        self.failures: list[BaseException] = []
        self._connections: list[socket.socket] = []
        self._listener = listener
        self._handlers = handlers
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number = self.accepted
            self.accepted += 1
            self._connections.append(sock)
            handler = self._handlers[min(number, len(self._handlers) - 1)]
            thread = threading.Thread(target=self._serve, args=(handler, sock, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, handler: Handler, sock: socket.socket, number: int) -> None:
        with sock:
            try:
                if self._tls is None:
                    handler(Peer(sock, number))
                    return
                with self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as secured:
                    self._connections.append(secured)
                    peer = Peer(secured, number)
                    try:
                        secured.do_handshake()
                    except ssl.SSLError:
                        # What the client has sent by now, unread, would reset the connection, and lose the alert.
                        secured.shutdown(socket.SHUT_WR)
                        peer.wait_for_end()
                        raise
                    handler(peer)
            except (ConnectionError, ssl.SSLError):
                pass
            except OSError as error:
                # What a socket says to shutdown(2) once the client has reset it; Python has no class for it.
                if error.errno != errno.ENOTCONN:
                    self.failures.append(error)
            except BaseException as error:  # noqa: BLE001 - handed to the test, which fails with it
                self.failures.append(error)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(DEADLINE)
        self._listener.close()
        for sock in self._connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE)
        assert not self.failures, self.failures


@contextlib.contextmanager
def serving(
    *handlers: Handler, unix: Path | None = None, backlog: int = 16, tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[PeerServer]:
    """A server on a loopback port, a free one if none is given, with TLS or without, or on a Unix socket or `@name`."""
    target: Target
    if unix is None:
        listener = socket.create_server(("127.0.0.1", port), backlog=backlog)
        kind = TcpTarget if tls is None else TlsTarget
        target = kind("127.0.0.1", listener.getsockname()[1])
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = UnixTarget(str(unix))
        listener.bind(target.name)
        listener.listen(backlog)
    server = PeerServer(listener, target, handlers, tls)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def fleet(*handlers: Handler) -> Iterator[list[PeerServer]]:
    """Servers, one for each handler."""
    with contextlib.ExitStack() as servers:
        yield [servers.enter_context(serving(handler)) for handler in handlers]


def address(*servers: PeerServer | int) -> str:
    """The address of a fleet: of servers, and of ports where none need be."""
    return ",".join(f"127.0.0.1:{one}" if isinstance(one, int) else str(one.target) for one in servers)


def say(peer: Peer, *messages: object, end: bytes = b"\n") -> None:
    """Send messages with that end behind each."""
    peer.sock.sendall(b"".join(encode_value(message) + end for message in messages))


def echo(peer: Peer) -> None:
    """A good server of one method."""
    while (request := peer.read()) is not None:
        peer.send({"out": "pong", "result": request.get("params")})


def echo_text(peer: Peer) -> None:
    """A server that answers with the very text of the params, and does not tell what it offers."""
    while (body := peer.read_body()) is not None:
        request = decode_request(body)
        if request.method == "rpc.discover":
            peer.send({"out": "error", "result": {"code": -32601, "message": "no"}})
        else:
            peer.send_body(b'{"out":"pong","result":' + bytes(request.params) + b"}")


def free_port(*, held: bool = sys.platform == "linux") -> int:
    """A port where nothing listens.

    One that is held stays bound as long as this process, so that the system gives it to nobody else. Whoever asks for
    it by its number may listen there all the same, by SO_REUSEADDR on Linux, as `serving` does.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    if held:
        atexit.register(sock.close)
    else:
        sock.close()
    return port


def refuse_call(
    server: PeerServer, kind: type[Exception], connect: Connect = FACES[0], *, params: object = None
) -> Exception:
    """The error a call to the server raises."""
    with connect(server.target, timeout=DEADLINE) as client, pytest.raises(kind) as caught:
        client.call("ping", params)
    return caught.value
