"""Runs of the bench: what they count, at which rate, and how they end before their time."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest

from rpcshell.client.errors import ConnectionFailed, ShellError
from rpcshell.client.target import TlsFiles
from rpcshell.lab.bench.measurement import Measurement, Plan, RunProgress
from rpcshell.lab.bench.run import run_plan
from rpcshell.lab.load.messages import Tick
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.view.histogram import Histogram
from tests.forks import Forks
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.lab.bench.running import run
from tests.rpcshell.peers import DEADLINE, Handler, Peer, echo, free_port, serving
from tests.rpcshell.processes import ended
from tests.servers import needs_server


class Counting:
    """A good server that counts what it has answered."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def __call__(self, peer: Peer) -> None:
        while (request := peer.read()) is not None:
            self.requests.append(request)
            meta = {"worker": 1 + peer.number % 2, "pid": 1, "generation": 0, "model": "sync"}
            more = {"meta": {**meta, "service_us": 1, "served": 1}} if request.get("meta") else {}
            peer.send({"out": "pong", "result": request["params"], **more})


def test_a_fleet_shares_the_calls_and_losses_are_counted_where_they_were() -> None:
    def loses(peer: Peer) -> None:
        peer.read()

    gone = f"127.0.0.1:{free_port()}"
    with serving(echo) as first, serving(echo) as second, serving(loses) as third:
        target = f"{first.target},{second.target},{third.target},{gone}"
        measured = run(target, calls=200, connections=4, processes=1)
    shares = measured.instances
    assert measured.attempts == 200
    assert sum(found.calls for found in shares.values()) == measured.calls
    assert all(Histogram(found.latency).count == found.calls for found in shares.values())
    # Who loses a call, or takes no connection, is left alone for a while.
    assert shares[str(third.target)].lost == measured.problems["connection lost"] >= 1
    assert gone not in shares or shares[gone].lost == shares[gone].calls == 0
    assert min(shares[str(server.target)].calls for server in (first, second)) > 0


@pytest.mark.parametrize("pipeline", [1, 4])
def test_as_many_calls_are_made_as_were_asked_for(pipeline: int, forked: Forks) -> None:
    counting = Counting()
    with serving(counting) as server:
        measured = run(server.target, calls=201, connections=4, processes=2, pipeline=pipeline)
    assert measured.calls == len(counting.requests) == sum(measured.workers.values()) == 201
    assert set(measured.workers) == {1, 2}
    assert (measured.problems, measured.unsent, measured.processes) == ({}, 0, 2)
    assert all(request["params"] == {"a": 1} and request["close"] for request in counting.requests)
    # Who serves a connection is asked once for each, or as often as calls begin before that is known.
    assert sum("meta" in request for request in counting.requests) <= 4 * pipeline
    assert Histogram(measured.latency).count == sum(interval.calls for interval in measured.timeline) == 201
    assert measured.bytes_out > 201 * 40
    assert 0 < measured.client_cpu < DEADLINE
    assert not forked.running()


def test_the_timeline_has_all_calls_when_one_process_stood_still_and_the_other_told_more_often() -> None:
    def told(number: int, seconds: float, *, last: bool = False) -> Tick:
        return Tick(number=number, seconds=seconds, calls=10, latency={1000: 10}, problems={}, last=last)

    one, other = [told(1, 0.7, last=True)], [told(1, 0.25), told(2, 0.5), told(3, 1.0, last=True)]
    reports = [enumerate(one), enumerate(other)]
    processes = Mock(all=one[:1] + other[:1], wait=lambda _seconds: reports.pop(0))
    with patch("rpcshell.lab.bench.run.LoadProcesses", return_value=contextlib.nullcontext(processes)):
        measured = run("127.0.0.1:1", calls=40)
    assert [(interval.seconds, interval.calls) for interval in measured.timeline] == [(0.7, 30), (1.0, 10)]


def test_a_plain_server_is_sent_nothing_but_the_call() -> None:
    counting = Counting()
    with serving(counting) as server:
        assert run(server.target, calls=20, plain=True).workers == {}
    assert counting.requests == [{"in": "ping", "params": {"a": 1}}] * 20


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["unix", "tls"])
def test_other_kinds_of_targets_are_loaded_alike(kind: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    tls = certificates.server() if kind == "tls" else None
    unix = tmp_path / "s" if kind == "unix" else None
    with serving(echo, unix=unix, tls=tls) as server:
        files = TlsFiles(ca=str(certificates.ca)) if tls else TlsFiles()
        measured = run(server.target, calls=100, pipeline=3, params="x" * 100_000, tls=files)
    assert (measured.calls, measured.problems) == (100, {})
    assert measured.bytes_in > 100 * 100_000


def test_what_cannot_be_reached_is_said_at_once(forked: Forks) -> None:
    with pytest.raises(ConnectionFailed, match="refused") as raised:
        run(f"127.0.0.1:{free_port()}", calls=1)
    assert str(raised.value).count("cannot connect") == 1
    assert not forked.running()


def test_where_no_process_can_be_started_that_is_said() -> None:
    refused = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    with (
        patch("rpcshell.lab.load.process.subprocess.Popen", side_effect=refused),
        pytest.raises(ShellError, match="a load process cannot be started: Resource temporarily unavailable"),
    ):
        run("127.0.0.1:1", calls=1)


def test_calls_begin_at_the_rate_whatever_becomes_of_them() -> None:
    counting = Counting()
    with serving(counting) as server:
        measured = run(server.target, seconds=0.5, rate=400.0, processes=2)
    assert measured.calls == len(counting.requests)
    # Both connections may be waiting for a slow machine at the very end.
    assert measured.calls + measured.unsent == 200
    assert measured.calls > 0
    with serving(Peer.wait_for_end) as server:
        measured = run(server.target, seconds=0.3, rate=100.0, timeout=0.1)
    # Two connections cannot take thirty calls that are not answered.
    assert measured.unsent + measured.failed == 30
    assert measured.calls == 0
    assert measured.unsent > 10


def test_a_fleet_that_does_not_keep_up_with_the_rate_is_not_called_after_the_end() -> None:
    with serving(Peer.wait_for_end) as first, serving(Peer.wait_for_end) as second:
        measured = run(f"{first.target},{second.target}", seconds=0.3, rate=100.0, timeout=0.1)
    assert measured.unsent + measured.failed == 30
    assert measured.unsent > 10


def interrupt(_progress: RunProgress) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_it_with_what_there_is() -> None:
    with serving(echo) as server:
        plan = Plan(target=str(server.target), method="ping", connections=2, seconds=DEADLINE)
        measured = run_plan(plan, interrupt_once())
    assert measured.interrupted
    assert measured.calls == Histogram(measured.latency).count > 0
    assert set(measured.problems) <= {"no reply when it was stopped"}
    with pytest.raises(KeyboardInterrupt):
        interrupt_once()(RunProgress(seconds=0, calls=0, problems=0, rate=0, p99=0, share=0))


def interrupt_once() -> Any:
    pressed = iter([True])

    def press(progress: RunProgress) -> None:
        if next(pressed, False):
            interrupt(progress)

    return press


def test_ctrl_c_does_not_wait_long_for_replies(forked: Forks) -> None:
    with serving(Peer.wait_for_end) as server:
        plan = Plan(target=str(server.target), method="ping", connections=2, seconds=DEADLINE)
        measured = run_plan(plan, interrupt_once())
        assert (measured.calls, measured.problems) == (0, {"no reply when it was stopped": 2})
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, interrupt)
    assert not forked.running()


def test_a_load_process_that_dies_is_told_of(forked: Forks) -> None:
    def kill(_progress: RunProgress) -> None:
        os.kill(min(forked.running()), signal.SIGKILL)

    with serving(echo) as server:
        plan = Plan(target=str(server.target), method="ping", connections=2, seconds=DEADLINE, processes=2)
        with pytest.raises(ShellError, match="a load process was killed by SIGKILL"):
            run_plan(plan, kill)
    assert not forked.running()


_SCRIPT = """
import sys
from pathlib import Path
from rpcshell.lab.bench.run import run_plan
from rpcshell.lab.load.messages import Tick
from rpcshell.lab.bench.measurement import Plan
def tell(progress):
    print(Path("/proc/self/task", str(__import__("os").getpid()), "children").read_text(), flush=True)
run_plan(Plan(target=sys.argv[1], method="ping", connections=2, seconds=60.0), tell)
"""


@pytest.mark.samples(1)
@pytest.mark.parametrize("handler", [echo, Peer.wait_for_end], ids=["good", "silent"])
def test_a_shell_that_is_killed_leaves_no_load_process(handler: Handler) -> None:
    with (
        serving(handler) as server,
        subprocess.Popen([sys.executable, "-c", _SCRIPT, str(server.target)], stdout=subprocess.PIPE) as shell,
    ):
        assert shell.stdout is not None
        assert select.select([shell.stdout], [], [], DEADLINE)[0]
        pids = [int(pid) for pid in shell.stdout.readline().split()]
        shell.kill()
        assert len(pids) == 1
        assert ended(pids[0])


@needs_server
def test_a_standstill_shows_in_an_open_loop_and_is_hidden_by_a_closed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    server = SpawnedServer.start(SpawnOptions(workers=1, model="thread"))
    target, control = server.addresses[0], Control(str(server.control))
    closed: list[Measurement] = []

    def resume() -> None:
        control.kill_worker(1, "CONT")

    stood = threading.Barrier(2, resume)

    def standing() -> Callable[[RunProgress], None]:
        """Let the worker go on when it has stood still for a second of both runs."""
        once = iter([stood])

        def on_progress(progress: RunProgress) -> None:
            if progress.seconds >= 1.0 and (barrier := next(once, None)):
                barrier.wait(DEADLINE)

        return on_progress

    load: dict[str, Any] = {"target": target, "method": "ping", "seconds": None, "connections": 1, "timeout": DEADLINE}
    beside = threading.Thread(target=lambda: closed.append(run_plan(Plan(calls=1000, **load), standing())))
    try:
        control.kill_worker(1, "STOP")
        beside.start()
        opened = run_plan(Plan(calls=320, rate=200.0, **load), standing())
        beside.join()
    finally:
        control.close()
        server.stop()
    assert Histogram(closed[0].latency).largest > 0.9
    assert Histogram(closed[0].latency).percentile(99) < 0.05
    assert Histogram(opened.latency).largest > 0.9
    assert Histogram(opened.latency).percentile(99) > 0.8
    # Calls were due all through the second: half of them waited for more than a part of it.
    assert Histogram(opened.latency).percentile(50) > 0.05
    assert (opened.calls, opened.unsent) == (320, 0)
