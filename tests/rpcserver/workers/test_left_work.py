"""What handlers leave to be done when a worker ends: it is done, within the drain."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.models import of_each_kind
from tests.servers import PATIENCE, all_gone, running, watched

LEAVING = """
import asyncio
import atexit
import concurrent.futures
import multiprocessing
import os
import pathlib
import threading
import time
from rpcserver import Service

service = Service("leaving")
forking = multiprocessing.get_context("fork")
threads = concurrent.futures.ThreadPoolExecutor()
processes = concurrent.futures.ProcessPoolExecutor(1, forking)

def finish(gate: str, mark: str) -> None:
    os.read(os.open(gate, os.O_RDONLY), 1)
    # Work that goes on for longer than a worker takes to leave that does not wait for it.
    time.sleep(0.3)
    pathlib.Path(mark).touch()

@service.method
def leave_work(gate: str, first: str, second: str) -> int:
    threads.submit(finish, gate, first)
    threading.Thread(target=finish, args=(gate, second)).start()
    return processes.submit(abs, -1).result()

@service.method
def leave_running() -> list[int]:
    threading.Thread(target=time.sleep, args=(3600,), name="sleeper").start()
    # The second is ended at exit by `multiprocessing` itself.
    left = [forking.Process(target=time.sleep, args=(3600,), daemon=daemon) for daemon in (False, True)]
    for process in left:
        process.start()
    return [process.pid for process in left]

@service.method
async def leave_a_coroutines_work(gate: str, first: str, second: str) -> int:
    asyncio.get_running_loop().run_in_executor(None, threading.Thread(target=finish, args=(gate, first)).start)
    threading.Thread(target=finish, args=(gate, second)).start()
    return 1

@service.method
def leave_mark(mark: str) -> None:
    atexit.register(pathlib.Path(mark).touch)

@service.method
def leave_stuck(mark: str) -> None:
    atexit.register(pathlib.Path(mark).touch)
    concurrent.futures.ThreadPoolExecutor(1, "stuck").submit(time.sleep, 3600)

@service.method
async def leave_a_coroutines_stuck(mark: str) -> None:
    atexit.register(pathlib.Path(mark).touch)
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1, "stuck"))
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
"""
# Python 3.12 warns of forks beside threads.
QUIET = {"PYTHONWARNINGS": "ignore"}


@pytest.mark.samples(1)
@of_each_kind
@pytest.mark.parametrize("preload", [(), pytest.param(("--preload",), marks=pytest.mark.thorough)])
def test_processes_and_threads_that_handlers_have_left_end_within_the_drain(
    model: str, preload: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("-m", model, "-w", "1", "--drain-timeout", "4", "--drain-grace", "0.1", *preload)
    with running(*options, app=LEAVING, env=QUIET, folder=tmp_path) as server, server.connect() as client:
        left = client.call("leave_running").result
        with watched(left) as processes:
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            assert all_gone(processes, PATIENCE)
        server.wait_for_log(f"process {left[0]} (ForkProcess-1), which the app has started, is ended")
        assert "thread sleeper, which the app has started, ends with its process" in server.log()


@pytest.mark.samples(2)
@pytest.mark.parametrize("method", ["leave_work", "leave_a_coroutines_work"])
@of_each_kind
def test_executors_and_threads_end_their_work_within_the_drain(model: str, method: str, tmp_path: Path) -> None:
    gate, marks = tmp_path / "gate", [tmp_path / "executor", tmp_path / "thread"]
    os.mkfifo(gate)
    options = ("-m", model, "-w", "1", "--drain-grace", "0.1")
    with running(*options, app=LEAVING, env=QUIET, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call(method, [str(gate), *map(str, marks)]).result == 1
        server.signal(signal.SIGTERM)
        with os.fdopen(os.open(gate, os.O_RDWR), "w") as opened:
            opened.write("..")
            opened.flush()
            assert server.wait() == 0
        assert "did not stop in time" not in server.log()
    assert all(mark.exists() for mark in marks)


@pytest.mark.samples(1)
@pytest.mark.parametrize("method", ["leave_stuck", "leave_a_coroutines_stuck"])
@of_each_kind
def test_an_executor_whose_work_never_ends_is_named_and_the_rest_of_the_end_is_done(
    model: str, method: str, tmp_path: Path
) -> None:
    options = ("-m", model, "-w", "1", "--drain-timeout", "2", "--drain-grace", "0.1")
    with running(*options, app=LEAVING, env=QUIET, folder=tmp_path) as server:
        with server.connect() as client:
            client.call(method, [str(tmp_path / "mark")])
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "thread stuck_0, which the app has started, ends with its process" in server.log()
        assert "did not stop in time" not in server.log()
    assert (tmp_path / "mark").exists()


@pytest.mark.samples(2)
@of_each_kind
def test_a_client_that_stays_leaves_a_worker_time_for_its_end_within_a_short_drain(model: str, tmp_path: Path) -> None:
    options = ("-m", model, "-w", "1", "--drain-timeout", "2")
    with running(*options, app=LEAVING, folder=tmp_path) as server, server.connect() as client:
        client.call("leave_mark", [str(tmp_path / "mark")])
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "did not stop in time" not in server.log()
    assert (tmp_path / "mark").exists()
