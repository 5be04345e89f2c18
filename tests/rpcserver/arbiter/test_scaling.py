"""More workers, fewer workers, and workers that ask to be replaced."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rpcwire import Goodbye
from tests.rpcserver.steering import Gate, steering
from tests.servers import PROBE_APP, running


def test_signals_add_and_take_workers_one_by_one(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter:
        server.signal(signal.SIGTTIN)
        arbiter.ready(3)
        for workers in (2, 1):
            server.signal(signal.SIGTTOU)
            arbiter.wait_until(lambda status, workers=workers: len(status["workers"]) == workers)  # type: ignore[misc]
        server.signal(signal.SIGTTOU)
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded: 1 worker of generation")


@pytest.mark.thorough
def test_numbers_are_used_again(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path) as server, steering(server) as arbiter:
        assert arbiter.call("arbiter.scale", workers=1) == {"workers": 1, "before": 3}
        arbiter.wait_until(lambda status: len(status["workers"]) == 1)
        arbiter.call("arbiter.scale", workers=4)
        arbiter.ready(4)
        status = arbiter.status()
        assert [worker["worker"] for worker in status["workers"]] == [1, 2, 3, 4]
        assert status["wanted"] == 4
        assert len(server.workers()) == 4


def test_the_oldest_idle_worker_leaves_first_and_a_busy_one_last(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with (
        running("-w", "3", "--drain-grace", "0.2", folder=tmp_path) as server,
        steering(server) as arbiter,
        server.connect() as busy,
    ):
        gate.hold(busy, close=True)
        with server.connect() as idle:
            holder = idle.call("pid").result
            free = next(worker["pid"] for worker in arbiter.workers() if not worker["connections"])
            arbiter.call("arbiter.scale", workers=2)
            status = arbiter.wait_until(lambda status: len(status["workers"]) == 2)
            assert free not in {worker["pid"] for worker in status["workers"]}
            arbiter.call("arbiter.scale", workers=1)
            assert idle.receive() is None
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 1)
        assert status["workers"][0]["call"]["method"] == "gate"
        assert status["workers"][0]["pid"] != holder
        gate.release(busy)
        totals = arbiter.status()["totals"]
        assert (totals["accepts"], totals["calls"], totals["died"], totals["lost"]) == (2, 2, 0, 0)


def test_a_busy_worker_that_must_leave_answers_first(tmp_path: Path) -> None:
    gates = Gate(tmp_path, "one"), Gate(tmp_path, "other")
    with (
        running("-w", "2", folder=tmp_path) as server,
        steering(server) as arbiter,
        server.connect() as first,
        server.connect() as second,
    ):
        for client, gate in zip((first, second), gates, strict=True):
            gate.hold(client, close=True)
        arbiter.call("arbiter.scale", workers=1)
        arbiter.wait_until(lambda status: "draining" in {worker["state"] for worker in status["workers"]})
        for client, gate in zip((first, second), gates, strict=True):
            gate.release(client)
            client.close()
        arbiter.wait_until(lambda status: len(status["workers"]) == 1)


@pytest.mark.samples(1)
@pytest.mark.parametrize("workers", [1, 10])
def test_a_server_that_is_scaled_while_it_starts_gets_ready(tmp_path: Path, workers: int) -> None:
    with running("-w", "4", folder=tmp_path) as server, steering(server) as arbiter:
        arbiter.call("arbiter.scale", workers=workers)
        arbiter.ready(workers)


def test_a_worker_that_has_answered_enough_is_replaced_without_a_gap(tmp_path: Path) -> None:
    with running("-w", "1", "--max-requests", "10", folder=tmp_path) as server, steering(server) as arbiter:
        pids = set()
        for _ in range(3):
            with server.connect() as client:
                while True:
                    client.send("pid", close=True)
                    received = client.receive()
                    if isinstance(received, Goodbye) or received is None:
                        assert received is not None
                        break
                    pids.add(received.result)
                    if received.close:
                        break
        assert len(pids) == 3
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 1)
        assert status["totals"]["died"] == 0
        assert status["totals"]["calls"] >= 30
        assert "has answered" in server.log()


def test_a_worker_whose_successor_does_not_start_goes_on_until_one_does(tmp_path: Path) -> None:
    switch = tmp_path / "broken"
    app = f"import pathlib\nif pathlib.Path({str(switch)!r}).exists(): raise RuntimeError('out of order')\n{PROBE_APP}"
    with (
        running("-w", "1", "--max-requests", "3", folder=tmp_path, app=app) as server,
        steering(server) as arbiter,
        server.connect() as client,
    ):
        switch.touch()
        first = [client.call("pid").result for _ in range(4)]
        server.wait_for_log("a new one starts in 0.2 s")
        assert client.call("pid").result == first[0]
        switch.unlink()
        arbiter.wait_until(
            lambda status: "ready" in {worker["state"] for worker in status["workers"] if worker["pid"] != first[0]}
        )
