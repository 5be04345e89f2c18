"""Apps that take the server's signals for themselves: they are taken back, and a warning names them."""

from __future__ import annotations

import os
import re
import select
import signal
from pathlib import Path

import pytest

from rpcwire import Goodbye, Reply
from tests.models import of_each_kind
from tests.servers import PROBE_APP, running

TAKEN = """
import faulthandler
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, lambda *_: None)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGABRT, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGQUIT})
faulthandler.register(signal.SIGUSR1)
faulthandler.register(signal.SIGUSR2)
signal.set_wakeup_fd(-1)
"""
NAMES = "SIGHUP, SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM"


@of_each_kind
def test_signals_that_an_app_takes_at_import_are_taken_back(model: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("-m", model, "-w", "1", "--log-file", str(log), app=TAKEN + PROBE_APP, folder=tmp_path) as server:
        assert f"the app has taken {NAMES}," in log.read_text()
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
            client.send("die", [signal.SIGABRT])
            assert client.receive() is None
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        # Written by faulthandler, to where the server has it.
        assert "in die" in log.read_text()


HASTY = ("--drain-grace", "0.2")
IN_MAIN_THREAD = """
import asyncio

@service.method
def take() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

@service.method
async def take_for_loop() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
"""


FORK_TAKES = pytest.param("fork", "take", marks=pytest.mark.thorough)


@pytest.mark.samples(1)
@pytest.mark.parametrize(("model", "method"), [("sync", "take"), FORK_TAKES, ("async", "take_for_loop")])
@pytest.mark.parametrize("told", [True, False], ids=["put back", "missed"])
def test_signals_that_a_handler_takes_are_taken_back(model: str, method: str, told: bool, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", *HASTY, app=PROBE_APP + IN_MAIN_THREAD, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call(method).fault is None
            if told:
                server.wait_for_log("the app has taken SIGTERM,")
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        assert "did not stop in time" not in server.log()


@pytest.mark.thorough
@pytest.mark.parametrize("model", ["sync", pytest.param("fork", marks=pytest.mark.thorough)])
def test_signals_that_a_handler_takes_are_taken_back_while_its_client_never_pauses(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", *HASTY, app=PROBE_APP + IN_MAIN_THREAD, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("take").fault is None
            server.signal(signal.SIGTERM)
            received: Reply | Goodbye | None = None
            # Between two calls of its own it may be told as one who does pause.
            while not (isinstance(received, Goodbye) or (received and received.close)):
                client.send("echo", close=True)
                received = client.receive()
                assert received is not None
            assert server.wait() == 0
        assert "the app has taken SIGTERM," in server.log()
        assert "did not stop in time" not in server.log()


ROTATING = """
import logging

@service.method
def rotate(arbiter: int) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.rename("log", "log.1")
    os.kill(arbiter, signal.SIGUSR1)

@service.method
def note() -> None:
    logging.warning("a note")
"""


@pytest.mark.parametrize("model", ["sync", pytest.param("fork", marks=pytest.mark.thorough)])
def test_a_log_is_opened_again_although_a_handler_had_taken_the_signal_for_it(model: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        running("-m", model, "-w", "1", "--log-file", str(log), app=PROBE_APP + ROTATING, folder=tmp_path) as server,
        server.connect() as client,
    ):
        assert client.call("rotate", [server.pid]).fault is None
        while not log.exists() or "a note" not in log.read_text():
            assert client.call("note").fault is None
            select.select([client.socket], [], [], 0.01)


FAILING = """
import subprocess
import sys

def fail(*_):
    raise TimeoutError("the app's own")

signal.signal(signal.SIGALRM, fail)
signal.signal(signal.SIGRTMIN + 3, fail)

@service.method
def times_out() -> None:
    signal.raise_signal(signal.SIGALRM)

@service.method
def leave_child(gate: str, outcome: str) -> None:
    if os.fork():
        return
    with open(gate, "rb") as file:
        file.read()
    said = b"nothing"
    try:
        times_out()
    except TimeoutError:
        said = b"timed out"
    with open(outcome, "wb") as file:
        file.write(said)
    os._exit(0)
"""


@pytest.mark.samples(2)
@of_each_kind
def test_a_handler_of_the_app_that_fails_costs_no_connection(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", app=PROBE_APP + FAILING, folder=tmp_path) as server:
        worker = server.workers()[0]
        with server.connect() as client:
            serving = client.call("pid").result
            for count, number in enumerate((signal.SIGALRM, signal.SIGRTMIN + 3), 1):
                os.kill(serving, number)
                server.wait_for_log("TimeoutError: the app's own", count)
                assert client.call("pid").result == serving
            if model in {"sync", "fork"}:
                assert client.call("times_out").result["data"]["exception"] == "TimeoutError"
        os.kill(worker, signal.SIGALRM)
        server.wait_for_log("TimeoutError: the app's own", 4 if model in {"sync", "fork"} else 3)
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert server.workers() == [worker]


def test_a_handler_of_the_app_that_fails_does_so_in_the_processes_it_has_left(tmp_path: Path) -> None:
    gate, outcome = tmp_path / "gate", tmp_path / "outcome"
    for fifo in (gate, outcome):
        os.mkfifo(fifo)
    with running("-m", "sync", "-w", "1", app=PROBE_APP + FAILING, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("leave_child", [str(gate), str(outcome)]).fault is None
        # No call runs in the worker any more.
        gate.open("wb").close()
        assert outcome.read_bytes() == b"timed out"


def test_a_handler_of_a_preloaded_app_that_fails_costs_no_stem(tmp_path: Path) -> None:
    with running("-m", "sync", "-w", "1", "--preload", app=PROBE_APP + FAILING, folder=tmp_path) as server:
        loaded = re.search(r"\[stem (\d+)\] the app is loaded", server.log())
        assert loaded
        os.kill(int(loaded[1]), signal.SIGALRM)
        log = server.wait_for_log("TimeoutError: the app's own")
        assert f"[stem {loaded[1]}] the app's handler of SIGALRM failed" in log
        # In a worker's call it is raised.
        with server.connect() as client:
            assert client.call("times_out").result["data"]["exception"] == "TimeoutError"
