"""The gate: whatever is done to a server that goes on, no call of a client that heeds `close` is lost.

Four clients of the library call in closed loops, with small and large payloads, while the server is reloaded, scaled,
told to retire its workers, or stopped. The short form runs every time; `pytest -m soak tests/e2e/test_gate.py` runs
the long one.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from rpcshell import ConnectionFailed, ConnectionLost, connect
from tests.models import of_each_kind
from tests.rpcserver.steering import Steering, steering
from tests.servers import PATIENCE, running

CLIENTS = 4
SMALL = {"text": "x" * 10}
LARGE = {"text": "x" * 16_000}

lengths = pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])


class Callers:
    """Clients in closed loops; every error but a refusal after the end is a lost call."""

    def __init__(self, address: str, count: Path | None = None) -> None:
        self.answered = 0
        self._address = address
        self._count = count
        self._enough = threading.Event()
        self._connected = threading.Barrier(CLIENTS + 1)
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._loops: list[Future[None]] = []

    def __enter__(self) -> Callers:
        self._loops = [self._pool.submit(self._loop) for _ in range(CLIENTS)]
        # Who comes only after the end is no caller.
        self._connected.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._pool.shutdown()
        for loop in self._loops:
            loop.result()

    def wait_for_more(self, calls: int) -> None:
        """Wait until that many more calls were answered."""
        with self._progress:
            wanted = self.answered + calls
            assert self._progress.wait_for(lambda: self.answered >= wanted or self._any_ended(), PATIENCE)

    def expect_the_end(self) -> None:
        """From now on the server may refuse connections, and leave calls unexecuted."""
        self._stopping.set()

    def _any_ended(self) -> bool:
        return any(loop.done() for loop in self._loops)

    def _loop(self) -> None:
        try:
            with connect(self._address, timeout=PATIENCE) as client:
                self._connected.wait(PATIENCE)
                while not self._enough.is_set():
                    for params in (SMALL, LARGE):
                        self._call(client.call, params)
        except _Refused:
            assert self._stopping.is_set()
        finally:
            with self._progress:
                self._progress.notify_all()

    def _call(self, call: Callable[[str, object], object], params: dict[str, str]) -> None:
        try:
            if self._count is None:
                assert call("echo", params) == params
            else:
                call("count", {"path": str(self._count)})
        except ConnectionFailed:
            raise _Refused from None
        except ConnectionLost as error:
            assert not error.may_have_run, error
            raise _Refused from None
        with self._progress:
            self.answered += 1
            self._progress.notify_all()


class _Refused(Exception):
    """The server is not there any more, and the call did not run."""


def served_by(steer: Steering, *, workers: int, generation: int = 0) -> None:
    """Wait until the server has that many workers, all ready and of one generation."""
    steer.wait_until(
        lambda status: (
            len(status["workers"]) == workers
            and all(worker["state"] == "ready" and worker["generation"] == generation for worker in status["workers"])
        )
    )


@pytest.mark.samples(1)
@of_each_kind
@lengths
def test_reloads_lose_no_call(model: str, rounds: int, tmp_path: Path) -> None:
    with (
        running("-w", "3", "--model", model, folder=tmp_path) as server,
        steering(server) as steer,
        Callers(server.addresses[0]) as callers,
    ):
        for generation in range(1, rounds + 1):
            callers.wait_for_more(30)
            server.signal(signal.SIGHUP)
            served_by(steer, workers=3, generation=generation)
        callers.wait_for_more(30)


@pytest.mark.samples(1)
@of_each_kind
@lengths
def test_reloads_and_deaths_of_stems_lose_no_call(model: str, rounds: int, tmp_path: Path) -> None:
    with (
        running("-w", "3", "--model", model, "--preload", folder=tmp_path) as server,
        steering(server) as steer,
        Callers(server.addresses[0]) as callers,
    ):
        for generation in range(1, rounds + 1):
            callers.wait_for_more(30)
            server.signal(signal.SIGHUP)
            served_by(steer, workers=3, generation=generation)
            stem = steer.stem()
            os.kill(stem, signal.SIGKILL)
            callers.wait_for_more(30)
            steer.stem(after=stem)
        callers.wait_for_more(30)


@pytest.mark.thorough
@of_each_kind
@lengths
def test_scaling_loses_no_call(model: str, rounds: int, tmp_path: Path) -> None:
    with (
        running("-w", "4", "--model", model, folder=tmp_path) as server,
        steering(server) as steer,
        Callers(server.addresses[0]) as callers,
    ):
        for _ in range(rounds):
            for workers in (6, 4):
                callers.wait_for_more(30)
                steer.call("arbiter.scale", workers=workers)
                served_by(steer, workers=workers)
        callers.wait_for_more(30)


@pytest.mark.samples(1)
@of_each_kind
@lengths
def test_workers_that_retire_lose_no_call(model: str, rounds: int, tmp_path: Path) -> None:
    limits = ("--max-requests", "30", "--max-requests-jitter", "20")
    with running("-w", "2", "--model", model, *limits, folder=tmp_path) as server, steering(server) as steer:
        first = {worker["pid"] for worker in steer.workers()}
        with Callers(server.addresses[0]) as callers:
            for _ in range(rounds):
                callers.wait_for_more(100)
            steer.wait_until(lambda status: not first <= {worker["pid"] for worker in status["workers"]})


@pytest.mark.samples(1)
@of_each_kind
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_a_stop_answers_what_it_executed_and_executes_what_it_answers(model: str, rounds: int, tmp_path: Path) -> None:
    # Who knocks at a TCP port while the last of its queue is served is refused a second later.
    bind = "127.0.0.1:0" if model == "sync" or rounds > 1 else f"unix:{tmp_path}/probe.sock"
    for number in range(rounds):
        marks = tmp_path / f"marks-{number}"
        with running("-w", "4", "--model", model, folder=tmp_path, bind=(bind,)) as server:
            with Callers(server.addresses[0], count=marks) as callers:
                callers.wait_for_more(100)
                callers.expect_the_end()
                server.signal(signal.SIGTERM)
                assert server.wait() == 0
            assert len(marks.read_bytes()) == callers.answered
