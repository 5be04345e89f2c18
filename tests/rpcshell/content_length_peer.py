"""The server's end of a connection of LSP or DAP: messages after a Content-Length, for servers that a test makes up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from subprocess import Popen
from typing import Any

import msgspec

from rpcshell import Client, ConnectionFailed, connect
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import Handler, Peer
from tests.servers import PATIENCE

Say = Callable[[Any], None]


def framed(*messages: Any) -> bytes:
    bodies = (msgspec.json.encode(message) for message in messages)
    return b"".join(b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)


def speaking(converse: Callable[[Iterator[Any], Say], object]) -> Handler:
    """A server of which a function is given the messages that come, and what sends one."""

    def handle(peer: Peer) -> None:
        converse(
            taken_from("content-length", lambda: peer.sock.recv(65536)),
            lambda message: peer.sock.sendall(framed(message)),
        )

    return handle


def never(messages: Iterator[Any], say: Say) -> None:
    """Take all that comes, and say nothing."""
    for _ in messages:
        pass


def connect_once_it_listens(target: str, process: Popen[Any]) -> Client:
    """A client of a process that will listen at the target."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(target, connect_timeout=PATIENCE)
        except ConnectionFailed:
            assert process.poll() is None
            assert time.monotonic() < deadline
