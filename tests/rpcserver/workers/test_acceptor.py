"""The acceptor in one process: what its waits take, what they leave to others, and the pause in a burst."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import pytest

from rpcserver.system.scoreboard import SlotBoard
from rpcserver.system.sockets import Listener
from rpcserver.workers.acceptor import Acceptor
from tests.poverty import descriptors_below
from tests.servers import connected


@pytest.fixture
def wakeup() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_a_wait_for_the_call_alone_leaves_connections_in_the_queue(listener: Listener, wakeup: tuple[int, int]) -> None:
    acceptor = Acceptor([listener], wakeup[0])
    with connected(listener.address):
        started = time.monotonic()
        acceptor.wait(0.05)
        assert time.monotonic() - started > 0.04
        os.write(wakeup[1], b"\0")
        acceptor.wait(10)
        connection = acceptor.take()
        assert connection is not None
        connection.close()
        assert acceptor.take() is None


def test_a_worker_with_rivals_pauses_between_connections_of_a_burst_only(
    listener: Listener, wakeup: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("rpcserver.workers.acceptor.time.sleep", pauses.append)
    # However slow the machine is, nothing but a pause takes time.
    monkeypatch.setattr("rpcserver.workers.acceptor.time.monotonic", lambda: 10.0 + sum(pauses))

    def take(acceptor: Acceptor) -> None:
        clients = [connected(listener.address) for _ in range(20)]
        for client in clients:
            connection = acceptor.accept(10)
            assert connection is not None
            connection.close()
            client.close()

    take(Acceptor([listener], wakeup[0], rivals=1_000_000))
    assert pauses == [0.002] * 19
    pauses.clear()
    take(Acceptor([listener], wakeup[0]))
    assert not any(pauses)


def test_a_closed_acceptor_still_waits_for_its_call(listener: Listener, wakeup: tuple[int, int]) -> None:
    acceptor = Acceptor([listener], wakeup[0])
    acceptor.close()
    assert acceptor.closed
    os.write(wakeup[1], b"\0")
    acceptor.wait(1000)
    assert acceptor.take() is None


def test_a_released_acceptor_holds_no_descriptor(listener: Listener, wakeup: tuple[int, int]) -> None:
    acceptor = Acceptor([listener], wakeup[0])
    acceptor.release()
    assert listener.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(wakeup[0])


def test_a_worker_without_descriptors_asks_for_a_successor_unless_its_connections_have_them(
    listener: Listener, wakeup: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    board = SlotBoard.private()
    reasons: list[str] = []
    acceptor = Acceptor([listener], wakeup[0], board=board, retire=reasons.append)
    with connected(listener.address):
        os.close(least := os.dup(wakeup[0]))
        with descriptors_below(least):
            board.connection_opened()
            assert [acceptor.take() for _ in range(3)] == [None] * 3
            assert reasons == []
            board.connection_closed()
            assert acceptor.take() is None
        assert len(reasons) == 1
        assert f"their limit ({least})" in reasons[0]
        assert caplog.text.count("no connection can be accepted for now: Too many open files") == 1
        connection = acceptor.take()
        assert connection is not None
        connection.close()
