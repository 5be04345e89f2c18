"""How a worker that has no room tells a moment's want of it from a lasting one: by looks, whatever time they take."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from rpcserver import Service
from rpcserver.service.loader import LoadedApp
from rpcserver.system.scoreboard import SlotBoard
from rpcserver.system.settings import ServerSettings
from rpcserver.workers import fork, pool
from rpcserver.workers.base import WorkerSetup
from rpcserver.workers.fork import ForkWorker
from rpcserver.workers.pool import PoolWorker
from rpcserver.workers.socket_drivers import Lingering
from rpcwire import ErrorCode, FrameDecoder, decode_reply
from rpcwire.messages import Reply
from tests.servers import request


def setup(settings: ServerSettings) -> WorkerSetup:
    parts = {
        "app": None,
        "preloaded": None,
        "worker": 1,
        "generation": 1,
        "channel": None,
        "board": SlotBoard.private(),
        "tls": None,
        "listeners": (),
    }
    return cast("WorkerSetup", SimpleNamespace(settings=settings, logs=SimpleNamespace(worker=0), **parts))


class OneClient:
    """Stands for the acceptor: one client waits, and something may happen between two looks."""

    def __init__(self, client: socket.socket, between: Callable[[int], None]) -> None:
        self.client: socket.socket | None = client
        self.between = between
        self.looks = 0

    def wait(self, _timeout: float) -> None:
        self.looks += 1
        self.between(self.looks)

    def has_waiting(self) -> bool:
        return self.client is not None

    def take(self) -> socket.socket | None:
        client, self.client = self.client, None
        return client


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    accepted, client = socket.socketpair()
    with accepted, client:
        client.settimeout(10)
        yield accepted, client


def full_fork_worker(acceptor: OneClient) -> ForkWorker:
    worker = ForkWorker(setup(ServerSettings(max_children=1, reclaim_idle=0)))
    worker.dispatcher = worker.make_dispatcher(LoadedApp.of(Service("test"), None), worker.board)
    worker.acceptor = acceptor  # type: ignore[assignment]
    worker._turned_away = Lingering()
    worker._tick = 1.0
    worker._children[0] = cast("fork._Child", None)
    return worker


def only_reply(client: socket.socket) -> Reply:
    decoder = FrameDecoder()
    decoder.feed(client.recv(65536))
    body = decoder.next_frame()
    assert body is not None
    reply = decode_reply(body)
    assert isinstance(reply, Reply)
    return reply


def test_a_client_is_turned_away_after_looks_in_vain_only(pair: tuple[socket.socket, socket.socket]) -> None:
    accepted, client = pair
    acceptor = OneClient(accepted, lambda _: None)
    worker = full_fork_worker(acceptor)
    for _ in range(fork._LOOKS - 1):
        worker._accept()
    assert acceptor.client is accepted
    worker._accept()
    assert acceptor.client is None
    reply = only_reply(client)
    assert reply.fault is not None
    assert reply.fault.code == ErrorCode.BUSY


def test_a_process_that_ends_while_a_client_waits_is_its_room(pair: tuple[socket.socket, socket.socket]) -> None:
    def between(look: int) -> None:
        worker._child_ended = look % (fork._LOOKS - 1) == 0

    acceptor = OneClient(pair[0], between)
    worker = full_fork_worker(acceptor)
    for _ in range(fork._LOOKS * 5):
        worker._accept()
    assert acceptor.client is pair[0]


@pytest.mark.parametrize("taken_at", [pool._LOOKS, pool._LOOKS + 1])
def test_a_full_queue_is_full_after_looks_in_vain_only(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, taken_at: int
) -> None:
    looks = 0

    def look(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == taken_at:
            worker._queue.popleft()

    accepted, client = pair
    settings = ServerSettings(queue=1)
    worker = PoolWorker(setup(settings))
    worker.dispatcher = worker.make_dispatcher(LoadedApp.of(Service("test"), None), worker.board)
    assert worker._parking.add(accepted)
    client.sendall(request("echo", 1))
    connection = worker._parking.take(10)
    assert connection is not None
    worker._queue.append(connection)
    connection.receive()
    monkeypatch.setattr("rpcserver.workers.pool.time.sleep", look)
    assert worker._parking.settle(connection)
    worker._submit(connection, True)
    if taken_at <= pool._LOOKS:
        assert list(worker._queue) == [connection]
    else:
        reply = only_reply(client)
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.BUSY
