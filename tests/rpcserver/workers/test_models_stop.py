"""Every worker model is stopped, or loses its workers one by one: nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from rpcwire import Goodbye
from rpcwire.worker_models import MODELS
from tests.models import of_each_kind
from tests.rpcserver.steering import Gate
from tests.rpcserver.workers.test_drain import Loop, call_until_refused, run_loops
from tests.servers import PATIENCE, Server, all_gone, request, running, until, watched

every_model = pytest.mark.parametrize("model", MODELS)


@pytest.mark.samples(2)
@every_model
def test_a_stop_loses_no_call_of_clients_that_heed_close(model: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-m", model, "-w", "2", folder=tmp_path, bind=(f"unix:{tmp_path}/probe.sock",)) as server:
        run_loops(server, marks, [Loop() for _ in range(6)], call_until_refused)


@pytest.mark.samples(1)
@of_each_kind
def test_a_stop_loses_no_call_of_busy_clients_that_know_no_close(model: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-m", model, "-w", "2", "--drain-grace", "10", folder=tmp_path) as server:
        run_loops(server, marks, [Loop() for _ in range(2 if model == "sync" else 6)], call_unheeding_until_refused)


@pytest.mark.samples(1)
@of_each_kind
def test_a_stop_loses_no_call_of_clients_that_connect_for_each(model: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-m", model, "-w", "2", folder=tmp_path) as server:
        run_loops(server, marks, [Loop() for _ in range(6)], connect_for_each_call_until_refused)
        # No privilege is needed to keep new clients out: the log would say so. That some wait may be said before.
        assert [line for line in server.log().splitlines() if " WARNING " in line and " wait, since " not in line] == []


def connect_for_each_call_until_refused(server: Server, marks: Path, loop: Loop, calls: threading.Semaphore) -> None:
    """Connect, call and leave, without a pause; whoever was let in must get a reply."""
    while True:
        try:
            client = server.connect_unless_refused()
        except OSError:
            return
        try:
            with client:
                client.call("count", [str(marks)])
        except (OSError, AssertionError) as error:
            loop.lost.append(repr(error))
        else:
            loop.replies += 1
        calls.release()


def call_unheeding_until_refused(server: Server, marks: Path, loop: Loop, calls: threading.Semaphore) -> None:
    """Call without a pause on one connection, until a reply says that it was the last."""
    try:
        client = server.connect_unless_refused()
    except OSError:
        # Others had called enough before this one came.
        return
    try:
        with client:
            while True:
                reply = client.call("count", [str(marks)])
                if reply.fault is not None:
                    loop.lost.append(reply.fault.message)
                loop.replies += 1
                calls.release()
                if reply.close:
                    return
    except (OSError, AssertionError) as error:
        loop.lost.append(repr(error))


@pytest.mark.samples(1)
@of_each_kind
def test_terminated_workers_lose_no_call_and_are_replaced(model: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-m", model, "-w", "2", folder=tmp_path) as server:
        loops = [Loop() for _ in range(4)]
        calls = threading.Semaphore(0)
        threads = [threading.Thread(target=call_until_refused, args=(server, marks, loop, calls)) for loop in loops]
        for thread in threads:
            thread.start()
        gone: set[int] = set()
        for _ in range(2):
            wait_for_successors(server, calls, gone)
            victim = server.workers()[0]
            gone.add(victim)
            with watched([victim]) as descriptors:
                os.kill(victim, signal.SIGTERM)
                assert all_gone(descriptors, PATIENCE)
        wait_for_successors(server, calls, gone)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        for thread in threads:
            thread.join(30)
        assert [loop.lost for loop in loops if loop.lost] == [], server.log()
        assert sum(loop.reconnects for loop in loops) >= 2
        assert marks.stat().st_size == sum(loop.replies for loop in loops)


def wait_for_successors(server: Server, calls: threading.Semaphore, gone: set[int]) -> None:
    """Wait until there are two workers again, and calls are answered that nobody has counted."""
    until(lambda: len(set(server.workers()) - gone) >= 2)
    while calls.acquire(blocking=False):
        pass
    for _ in range(20):
        assert calls.acquire(timeout=10)


@of_each_kind
@pytest.mark.parametrize("kind", ["tcp", pytest.param("unix", marks=pytest.mark.thorough)])
def test_an_idle_client_that_knows_no_close_gets_its_next_batch_answered(model: str, kind: str, tmp_path: Path) -> None:
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/probe.sock"
    with (
        running("-m", model, "-w", "1", "--drain-grace", "20", folder=tmp_path, bind=(bind,)) as server,
        server.connect() as client,
    ):
        assert client.call("echo", 0).result == 0
        server.signal(signal.SIGTERM)
        server.wait_for_log("stopping")
        batch = request("echo", 1) + request("pid") + request("echo", 3)
        closes = [False]
        while not any(closes):  # the worker may not have seen the signal yet
            client.socket.sendall(batch)
            closes = [client.reply().close for _ in range(3)]
        assert closes == [False, False, True]
        assert client.receive() is None
        client.close()
        assert server.wait() == 0


@pytest.mark.samples(1)
@of_each_kind
def test_a_stop_tells_each_client_what_it_understands(model: str, tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", model, "-w", "3", "--drain-grace", "0.4", folder=tmp_path) as server,
        server.connect() as heeding,
        server.connect() as silent,
        server.connect() as busy,
    ):
        assert heeding.call("echo", 1, close=True).result == 1
        assert silent.call("echo", 2).result == 2
        gate.hold(busy, close=True)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert isinstance(heeding.receive(), Goodbye)
        assert heeding.receive() is None
        assert silent.receive() is None
        assert time.monotonic() - started > 0.35  # after the grace
        gate.release(busy)
        assert isinstance(busy.receive(), Goodbye)
        for client in (heeding, silent, busy):
            client.close()
        assert server.wait() == 0


@pytest.mark.samples(2)
@every_model
def test_a_quick_stop_does_not_wait_for_a_running_call(model: str, tmp_path: Path, gate: Gate) -> None:
    with running("-m", model, "-w", "1", folder=tmp_path) as server, server.connect() as client:
        gate.hold(client)
        server.signal(signal.SIGINT)
        assert client.receive() is None
        assert server.wait() == 0
