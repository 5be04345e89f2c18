"""Connections after their last word: who ends them, and when."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers import limits
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.socket_drivers import Lingering, NonBlockingConnection


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        yield accepted, client
        accepted.close()


def last_word(accepted: socket.socket) -> NonBlockingConnection:
    refused = NonBlockingConnection(accepted, Conversation(ServerSettings()))
    refused.conversation.refuse(b"bye")
    return refused


def test_the_clients_end_is_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    accepted, client = pair
    rests = Lingering()
    rests.add(last_word(accepted))
    assert len(rests) == 1
    client.sendall(b"too late")
    client.close()
    rests.wait()
    assert len(rests) == 0
    assert accepted.fileno() == -1


def test_what_comes_too_late_does_not_destroy_what_was_said(pair: tuple[socket.socket, socket.socket]) -> None:
    accepted, client = pair
    rests = Lingering()
    client.sendall(b"x" * 10_000)
    rests.add(last_word(accepted))
    rests.sweep()
    assert client.recv(100) == b"bye"
    assert client.recv(100) == b""


def test_a_client_that_does_not_stop_is_cut_off(pair: tuple[socket.socket, socket.socket]) -> None:
    accepted, client = pair
    rests = Lingering()
    rests.add(last_word(accepted))
    client.settimeout(10)
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        send_on(client, rests)
    assert len(rests) == 0


def test_a_client_that_does_nothing_is_waited_for_no_longer_than_the_time(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.1)
    accepted, _ = pair
    rests = Lingering()
    started = time.monotonic()
    rests.add(last_word(accepted))
    rests.wait()
    assert time.monotonic() - started > 0.09
    assert accepted.fileno() == -1


def send_on(client: socket.socket, rests: Lingering) -> None:
    while True:
        client.sendall(b"x" * 10_000)
        rests.sweep()
