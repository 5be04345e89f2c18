"""Every worker model with many connections: idle, slow, in a burst, and when a worker is killed."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Reply
from rpcwire.worker_models import MODELS
from tests.models import of_concurrent_kinds, of_each_kind, some
from tests.servers import PATIENCE, Client, request, running, until

every_model = pytest.mark.parametrize("model", MODELS)


def worker_of(client: Client) -> int:
    """The number of the worker that serves a connection."""
    meta = client.call("echo", meta=True).meta
    assert meta is not None
    return meta.worker


@pytest.mark.samples(1)
@of_each_kind
def test_more_connections_than_workers_are_all_served_while_the_others_idle(model: str, tmp_path: Path) -> None:
    options = ("--reclaim-idle", "0.1", "--drain-grace", "0.1")
    with running("-m", model, "-w", "2", *options, folder=tmp_path) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(12)]
        for number, client in enumerate(clients):
            client.send("echo", number, close=number % 2 == 0)
        assert [client.reply().result for client in clients] == list(range(12))


SOAK = [pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.mark.samples(1)
@of_concurrent_kinds
def test_slow_senders_do_not_keep_others_from_being_served(model: str, tmp_path: Path) -> None:
    serve_beside_slow_senders(model, 8, 0.0, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", [model for model in MODELS if model != "sync"])
def test_hundreds_of_slow_senders_do_not_keep_others_from_being_served(model: str, tmp_path: Path) -> None:
    serve_beside_slow_senders(model, 500, 1.0, tmp_path)


def serve_beside_slow_senders(model: str, count: int, seconds: float, tmp_path: Path) -> None:
    data = request("echo", "x" * 100)
    with (
        running("-m", model, "-w", "2", "--max-children", "512", folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        *slow, normal = clients = [stack.enter_context(server.connect()) for _ in range(count + 1)]
        for client in clients:
            client.send("echo", 0)
        # In turn: so many forks take a busy machine longer than the last one would wait.
        assert [client.reply().result for client in clients] == [0] * len(clients)
        for byte in data[:20]:
            until = time.monotonic() + seconds
            for client in slow:
                client.socket.sendall(bytes([byte]))
            while True:
                assert [normal.call("echo", number).result for number in range(5)] == list(range(5))
                if time.monotonic() >= until:
                    break
        for client in slow:
            client.socket.sendall(data[20:])
        assert [client.reply().result for client in slow] == ["x" * 100] * count


@pytest.mark.parametrize(("count", "workers"), [(8, 2), pytest.param(500, 10, marks=SOAK)])
def test_slow_senders_hold_a_sync_worker_no_longer_than_the_deadline(count: int, workers: int, tmp_path: Path) -> None:
    limit = 0.2
    options = ("-w", str(workers), "--read-timeout", str(limit), "--backlog", "1024", "--log-level", "warning")
    with running(*options, folder=tmp_path) as server, contextlib.ExitStack() as stack:
        slow = []
        for _ in range(count):
            # At once, since who is silent for long has to give way.
            slow.append(stack.enter_context(server.connect()))
            slow[-1].socket.sendall(request("echo", 1)[:-1])
        normal = stack.enter_context(server.connect())
        normal.send("echo", 2)
        for client in slow:
            fault = client.reply().fault
            assert fault is not None
            assert fault.code == ErrorCode.TIMED_OUT
        # It was the last in the queue: before it, each worker has had its share of the others, one by one.
        assert normal.reply().result == 2


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", some("pool", "async")[1:])
def test_clients_that_do_not_read_do_not_keep_others_from_being_served(model: str, tmp_path: Path) -> None:
    with (
        running("-m", model, "-w", "1", "--threads", "2", folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(3):
            client = stack.enter_context(server.connect())
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send("blob", [8_000_000])
        normal = stack.enter_context(server.connect())
        assert [normal.call("echo", number).result for number in range(20)] == list(range(20))


@pytest.mark.samples(2)
@every_model
def test_a_killed_worker_loses_only_what_it_had_in_hand(model: str, tmp_path: Path) -> None:
    count = 2 if model == "sync" else 8
    with running("-m", model, "-w", "2", folder=tmp_path) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(count)]
        workers = [worker_of(client) for client in clients]
        victim = workers[0]
        pid = clients[0].call("pid").result
        if model == "fork":
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(pid, signal.SIGKILL)
        for client, worker in zip(clients, workers, strict=True):
            if worker == victim:
                with contextlib.suppress(ConnectionResetError):
                    assert client.receive() is None
                client.close()
            else:
                assert client.call("echo", worker).result == worker
        with server.connect() as another:
            assert another.call("echo", 1).result == 1


def is_idle(pid: int) -> bool:
    """Whether every thread of a process waits for something."""
    return all((task / "wchan").read_text() not in {"0", ""} for task in Path(f"/proc/{pid}/task").iterdir())


@pytest.mark.samples(1)
@of_each_kind
def test_connections_that_come_one_by_one_are_shared_out_fairly(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "4", folder=tmp_path) as server, contextlib.ExitStack() as stack:
        served: Counter[int] = Counter()
        pids = server.workers()
        for _ in range(40):
            # Workers that are all idle take turns; one that is just looking for work may be quicker than those.
            until(lambda: all(map(is_idle, pids)))
            client = stack.enter_context(server.connect())
            served[worker_of(client)] += 1
            if model == "sync":
                client.close()
        # Turns that a busy machine has them miss, others take; without any, one would have nearly all.
        assert max(served.values()) <= 20


@pytest.mark.parametrize(
    ("model", "burst"),
    [
        ("async", 200),
        *(pytest.param(model, 100, marks=pytest.mark.thorough) for model in ("sync", "thread", "pool", "fork")),
        *(pytest.param(model, 400, marks=pytest.mark.soak) for model in MODELS),
    ],
)
def test_a_burst_of_connections_is_shared_out_fairly(model: str, burst: int, tmp_path: Path) -> None:
    workers = 4
    served: Counter[int] = Counter()
    with (
        running(
            "-m", model, "-w", str(workers), "--backlog", "1024", "--max-children", "256", folder=tmp_path
        ) as server,
        selectors.DefaultSelector() as selector,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(burst):
            client = stack.enter_context(server.connect())
            client.send("echo", meta=True)
            selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready
            for key, _ in ready:
                reply: Reply = key.data.reply()
                assert reply.meta is not None
                served[reply.meta.worker] += 1
                selector.unregister(key.fileobj)
                key.data.close()
    assert sum(served.values()) == burst
    if model != "sync":  # there, who is free takes the next
        # Who is held up by other processes takes fewer, or none; without turns, one takes them all.
        assert max(served.values()) <= burst * 0.9
