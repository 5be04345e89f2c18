"""Workers that are stuck: told apart, written about, killed and replaced; and what looks so but is not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rpcserver.arbiter.housekeeping import Watchdog
from rpcserver.system.scoreboard import SlotReading, SlotState
from rpcserver.system.settings import ServerSettings
from tests.rpcserver.steering import Gate, steering
from tests.servers import PROBE_APP, Server, running

SECOND = 1_000_000_000

SLOW_APP = (
    PROBE_APP
    + """
import time

@service.method
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

@service.method
def deaf(entered: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGABRT})
    open(entered, "wb").close()
    time.sleep(1000)
"""
)


@dataclass(frozen=True)
class Standing:
    """A server one of whose workers was stopped, while another holds a connection and others have none."""

    server: Server
    victim: int
    idle: set[int]


@pytest.fixture(scope="module", autouse=True)
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Standing]]:
    """Servers of models that `test_liveness` leaves out, for the last test here: the others spend its five seconds."""
    folder = tmp_path_factory.mktemp("standing")
    with contextlib.ExitStack() as stack:
        servers = []
        for model in ("thread", "pool", "fork"):
            server = stack.enter_context(running("-m", model, "-w", "3", "--timeout", "0.5", folder=folder))
            client = stack.enter_context(server.connect())
            meta = client.call("echo", meta=True).meta
            assert meta is not None
            with steering(server) as arbiter:
                pids = {worker["worker"]: worker["pid"] for worker in arbiter.workers()}
            victim = next(pid for number, pid in pids.items() if number != meta.worker)
            os.kill(victim, signal.SIGSTOP)
            servers.append(Standing(server, victim, set(pids.values()) - {victim}))
        yield servers


def reading(**values: object) -> SlotReading:
    idle: dict[str, object] = {
        "number": 1, "pid": 2, "generation": 0, "state": SlotState.READY, "born": 0, "tick": 100 * SECOND, "running": 0,
        "request_began": 0, "method": "", "active": 0, "connections": 0, "accepts": 0, "requests": 0, "errors": 0,
        "busy_ns": 0, "bytes_in": 0, "bytes_out": 0, "lost": 0,
    }  # fmt: skip
    return SlotReading(**{**idle, **values})  # type: ignore[arg-type]


def running_since(second: float) -> SlotReading:
    return reading(running=1, request_began=int(second * SECOND), method="user.slow", connections=1)


def test_a_call_may_take_as_long_as_the_timeout() -> None:
    watchdog = Watchdog(ServerSettings(timeout=10))
    assert watchdog.judge(running_since(100), 0, 109 * SECOND) is None
    problem = watchdog.judge(running_since(100), 0, 111 * SECOND)
    assert problem == "has been in a call of 'user.slow' for 11.0 s, more than --timeout allows"


def test_without_a_timeout_nobody_is_stuck() -> None:
    watchdog = Watchdog(ServerSettings(timeout=0))
    assert watchdog.judge(running_since(100), 0, 100_000 * SECOND) is None
    assert watchdog.judge(reading(), 0, 100_000 * SECOND) is None


@pytest.mark.parametrize("model", ["thread", "pool", "async", "fork"])
def test_models_that_keep_the_time_themselves_are_judged_by_their_loop_only(model: str) -> None:
    watchdog = Watchdog(ServerSettings(timeout=10, model=model))
    busy = reading(running=1, request_began=0, method="slow", tick=1000 * SECOND)
    assert watchdog.judge(busy, 0, 1001 * SECOND) is None
    problem = watchdog.judge(busy, 0, 1011 * SECOND)
    assert problem is not None
    assert "'slow' lets no other thread run" in problem


def test_a_loop_that_does_not_turn_is_dead_unless_a_sync_worker_has_a_connection() -> None:
    watchdog = Watchdog(ServerSettings(timeout=10))
    problem = watchdog.judge(reading(), 0, 111 * SECOND)
    assert problem is not None
    assert "its loop is dead" in problem
    assert watchdog.judge(reading(connections=1), 0, 111 * SECOND) is None
    assert watchdog.judge(reading(state=SlotState.STARTING), 0, 111 * SECOND) is None
    assert watchdog.judge(reading(state=SlotState.DRAINING), 0, 111 * SECOND) is None


def test_a_worker_that_has_just_become_ready_is_not_dead() -> None:
    watchdog = Watchdog(ServerSettings(timeout=10))
    assert watchdog.judge(reading(tick=0), 100 * SECOND, 109 * SECOND) is None
    assert watchdog.judge(reading(tick=0), 100 * SECOND, 111 * SECOND) is not None


def test_a_short_timeout_does_not_make_a_loop_dead_between_its_ticks() -> None:
    assert Watchdog(ServerSettings(timeout=0.1)).judge(reading(), 0, 102 * SECOND) is None


def test_everybodys_time_begins_anew_after_a_lapse() -> None:
    watchdog = Watchdog(ServerSettings(timeout=10))
    watchdog.begin_anew(105 * SECOND)
    assert watchdog.judge(running_since(100), 0, 114 * SECOND) is None
    assert watchdog.judge(reading(), 0, 114 * SECOND) is None
    assert watchdog.judge(running_since(100), 0, 116 * SECOND) is not None


def test_a_stuck_handler_is_written_about_killed_and_replaced(tmp_path: Path) -> None:
    with running("-w", "2", "--timeout", "0.5", folder=tmp_path, app=SLOW_APP) as server, server.connect() as bystander:
        assert bystander.call("echo", 1).result == 1
        with server.connect() as client:
            started = time.monotonic()
            client.send("slow", [1000])
            assert client.receive() is None
            assert time.monotonic() - started > 0.4
        log = server.wait_for_log("a new one starts")
        assert "has been in a call of 'slow' for" in log
        assert "more than --timeout allows" in log
        assert "in slow\n" in log
        assert "was killed by SIGABRT" in log
        assert "its loop is dead" not in log
        assert bystander.call("echo", 2).result == 2
        with steering(server) as arbiter:
            arbiter.ready(2)
            totals = arbiter.status()["totals"]
            assert (totals["died"], totals["lost"]) == (1, 1)


def test_a_stuck_handler_that_does_not_die_of_sigabrt_is_killed_a_second_later(tmp_path: Path) -> None:
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    with (
        running("-w", "1", "--timeout", "0.2", folder=tmp_path, app=SLOW_APP) as server,
        server.connect() as client,
    ):
        client.send("deaf", [str(entered)])
        entered.read_bytes()
        assert client.receive() is None
        server.wait_for_log("was killed by SIGKILL")
        with server.connect() as other:
            assert other.call("echo", 1).result == 1


def test_a_long_silence_in_a_connection_is_nobodys_fault(tmp_path: Path) -> None:
    with running("-w", "1", "--timeout", "0.2", folder=tmp_path, app=SLOW_APP) as server, server.connect() as client:
        pid = client.call("pid").result
        # Rounds go on meanwhile; the control socket is served by the same loop.
        with steering(server) as arbiter:
            arbiter.wait_until(lambda status: status["uptime"] > 1)
        assert client.call("pid").result == pid


@pytest.mark.thorough
def test_an_arbiter_that_was_stopped_kills_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    options = ("-w", "2", "--timeout", "1")
    with (
        running(*options, folder=tmp_path, app=SLOW_APP) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        pids = sorted(server.workers())
        server.signal(signal.SIGSTOP)
        server.wait_until_stopped()
        gate.hold(second)
        assert first.call("slow", [1.4]).result == "done"
        server.signal(signal.SIGCONT)
        server.wait_for_log("the workers are not blamed")
        gate.release(second)
        assert first.call("echo", 1).result == 1
        assert sorted(server.workers()) == pids
        assert "is killed" not in server.log()


def test_a_whole_server_that_was_stopped_kills_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    options = ("-w", "2", "--timeout", "1.5")
    with running(*options, folder=tmp_path) as server, server.connect() as client:
        pids = sorted(server.workers())
        gate.hold(client)
        os.killpg(server.pid, signal.SIGSTOP)
        server.wait_until_stopped()
        # Nothing can be waited for while everything stands still, but the clock itself.
        subprocess.run([sys.executable, "-c", "import select; select.select([], [], [], 2)"], check=True)
        os.killpg(server.pid, signal.SIGCONT)
        gate.release(client)
        server.wait_for_log("the workers are not blamed")
        assert sorted(server.workers()) == pids
        assert "is killed" not in server.log()


def test_a_worker_whose_loop_stands_still_is_replaced_and_one_that_idles_is_not(standing: list[Standing]) -> None:
    for server in standing:
        log = server.server.wait_for_log("a new one starts")
        assert "though no call runs: its loop is dead" in log
        assert "--timeout allows" not in log
        with steering(server.server) as arbiter:
            left = {worker["pid"] for worker in arbiter.workers()}
        assert server.idle < left
        assert server.victim not in left
        assert log.count("its loop is dead") == 1
