"""Drills on workers; what the timeline says is compared with what really happened."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, Cancelled, NotConnected, UsageError
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.lab.drills.drilling import Drilled
from tests.servers import needs_server, state_of, until

pytestmark = needs_server

Start = Callable[..., Drilled]


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["sync", "pool"])
def test_a_killed_worker_is_seen_to_die_and_to_be_replaced(drilled: Start, model: str) -> None:
    server = drilled(3, model)
    before = server.pids()
    began = time.monotonic()
    report = server.run(":drill kill 2")
    after = server.pids()
    assert after[2] != before[2]
    assert {1: before[1], 3: before[3]} == {1: after[1], 3: after[3]}

    assert report.order("signalled", "died", "forked", "ready") == ["signalled", "died", "forked", "ready"]
    sent, died = report.one("signalled"), report.one("died")
    assert (sent["worker"], sent["pid"], sent["signal"]) == (2, before[2], "KILL")
    assert (died["worker"], died["pid"], died["signal"]) == (2, before[2], "KILL")
    forked, ready = report.one("forked"), report.one("ready")
    assert (forked["worker"], forked["pid"]) == (ready["worker"], ready["pid"]) == (2, after[2])
    assert 0 <= sent["ms"] <= died["ms"] < ready["ms"] < (time.monotonic() - began) * 1000

    summary = report.summary
    assert summary["recovered_ms"] == pytest.approx(ready["ms"] - died["ms"], abs=0.01)
    assert summary["drill"] == "kill"
    assert summary["lost"] == len(report.of("call_lost"))
    assert summary["lost_on_server"] == server.status().totals.lost
    assert summary["calls"] >= summary["answered"] > 0
    assert f"pid {after[2]} took its place" in summary["text"]


@pytest.mark.parametrize("call", ["pnig", "'pnig {\"a\": 1}'"])
def test_a_misspelt_method_is_told_before_any_harm(one_server: Drilled, call: str) -> None:
    before = one_server.pids()
    with pytest.raises(CallError, match="did you mean ping"):
        one_server.run(f":drill kill 1 --call {call}")
    assert one_server.pids() == before


def test_calls_that_a_killed_worker_was_in_are_counted_as_lost(drilled: Start) -> None:
    server = drilled(1, "thread")
    report = server.run(":drill kill 1 SEGV --call 'sleep seconds=0.3'")
    died = report.one("died")
    assert died["signal"] == "SEGV"
    # Of the two callers one may just be between two calls, or have sent one that the worker had not read.
    lost = len(report.of("call_lost"))
    assert 1 <= died["lost"] <= lost <= 2
    assert report.summary["lost"] == lost
    assert report.summary["lost_on_server"] == died["lost"] == server.status().totals.lost
    # The arbiter may learn of the death after the clients have.
    assert all(row["ms"] >= report.one("signalled")["ms"] for row in report.of("call_lost"))
    assert ("2 calls were lost" if lost == 2 else "1 call was lost") in report.summary["text"]


@pytest.mark.thorough
def test_a_signal_may_be_graceful_or_mean_nothing(drilled: Start) -> None:
    server = drilled(2, "async")
    pids = server.pids()
    report = server.run(":drill kill 1 sigterm --call 'sleep seconds=0.1'")
    assert report.order("signalled", "left", "died", "forked", "ready") == ["signalled", "left", "forked", "ready"]
    assert report.one("left")["pid"] == pids[1]
    assert report.summary["lost"] == report.summary["lost_on_server"] == 0

    report = server.run(":drill kill 2 18")  # SIGCONT
    assert (report.one("signalled")["signal"], report.of("died"), report.of("left")) == ("CONT", [], [])
    assert server.pids()[2] == pids[2]
    assert "goes on" in report.summary["text"]


def test_a_frozen_worker_stands_still_for_so_long_and_calls_wait_for_it(drilled: Start) -> None:
    server = drilled(1)
    (pid,) = server.pids().values()
    report = server.run(":drill freeze 1 1")
    assert server.pids() == {1: pid}
    assert state_of(pid) != "T"
    frozen, thawed = report.one("frozen"), report.one("thawed")
    assert frozen["pid"] == thawed["pid"] == pid
    assert thawed["ms"] - frozen["ms"] > 990
    assert report.passes("frozen", "calls_wait", "thawed", "calls_go_on")
    assert report.summary["lost"] == 0
    assert report.summary["longest_ms"] > 300
    assert report.summary["recovered_ms"] is not None


def test_a_frozen_worker_goes_on_when_ctrl_c_ends_the_drill(drilled: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = drilled(2)
    pid = server.pids()[1]
    from rpcshell.lab.drills.timeline import ServerFollower

    step = ServerFollower.step
    seen: list[str] = []

    def interrupted(self: ServerFollower, tick: Callable[[], None] | None = None) -> None:
        step(self, tick)
        if any(event.kind == "frozen" for event in self.events):
            seen.append(state_of(pid))
            raise KeyboardInterrupt

    monkeypatch.setattr(ServerFollower, "step", interrupted)
    with pytest.raises(Cancelled):
        server.run(":drill freeze 1 30")
    assert seen == ["T"]
    assert state_of(pid) != "T"
    _, rows = server.output.values[-1]
    assert {"frozen", "thawed", "stopped"} <= {row["event"] for row in rows}


def test_a_reload_replaces_every_worker_and_loses_nothing(drilled: Start) -> None:
    server = drilled(3)
    before = server.pids()
    report = server.run(":reload")
    after = server.pids()
    assert set(before.values()).isdisjoint(after.values())
    assert {row["pid"] for row in report.of("ready")} == set(after.values())
    assert {row["pid"] for row in report.of("left")} == set(before.values())
    assert report.order("reloading", "reloaded") == ["reloading", "reloaded"]
    # That the drill's own callers wait for a moment is no news.
    assert report.of("queue") == report.of("queue_drained") == []
    assert report.one("reloaded")["generation"] == 1 == server.status().generation
    for number in (1, 2, 3):
        story = [row["event"] for row in report.rows if row.get("worker") == number]
        assert story == ["forked", "ready", "draining", "left"]
    assert report.summary["lost"] == report.summary["lost_on_server"] == 0


def test_methods_that_are_new_after_a_reload_are_offered_before_they_are_called(drilled: Start, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("service = {'old': lambda: 1}\n")
    server = drilled(1, app=str(app))
    session = server.shell.session
    assert session.method("new") is None
    app.write_text("service = {'old': lambda: 1, 'new': lambda: 2}\n")
    server.run(":reload")
    assert "new" in session.catalog.methods


@pytest.mark.thorough
def test_a_reload_that_fails_says_why_and_the_old_workers_stay(drilled: Start, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("from rpcserver import Service\nservice = Service('s')\n")
    server = drilled(2, app=str(app))
    before = server.pids()
    app.write_text("raise RuntimeError('not \\x1b[31m today')\n")
    report = server.run(":reload")
    assert server.pids() == before
    assert "not" in report.one("reload_failed")["text"]
    assert report.of("reloaded") == []
    assert "given up" in report.summary["text"]
    assert "\x1b" not in report.summary["text"] + report.one("reload_failed")["text"]
    # Without a `ping`, what every server has is called.
    assert (report.summary["method"], report.summary["lost"]) == ("rpc.discover", 0)


def test_scaling_shows_who_comes_and_who_goes(drilled: Start) -> None:
    server = drilled(2)
    before = server.pids()
    report = server.run(":scale 4")
    after = server.pids()
    assert {row["worker"]: row["pid"] for row in report.of("ready")} == {3: after[3], 4: after[4]}
    assert server.shell.supervisor.workers() == [(str(number), f"pid {pid}") for number, pid in after.items()]
    assert before.items() <= after.items()

    report = server.run(":scale 1")
    assert len(server.pids()) == 1
    gone = set(after.values()) - set(server.pids().values())
    assert {row["pid"] for row in report.of("left")} == {row["pid"] for row in report.of("draining")} == gone
    assert report.summary["lost"] == report.summary["lost_on_server"] == 0

    assert "Nothing was to be done" in server.run(":scale 1").summary["text"]


@pytest.mark.thorough
def test_people_get_lines_with_milliseconds_and_a_summary(drilled: Start) -> None:
    server = drilled(2)
    pid = server.pids()[1]
    server.shell.execute(":drill kill 1")
    texts = server.output.texts
    blank = texts.index("")
    lines, (calls, recovered, seen) = texts[:blank], texts[blank + 1 :]
    assert f"ms  SIGKILL sent to worker 1 (pid {pid})" in lines[0]
    assert any(f"ms  worker 1 (pid {pid}) died of SIGKILL" in line for line in lines)
    assert re.search(r"\d+ calls of ping meanwhile: \d+ lost", calls)
    assert recovered.startswith("recovered after ")
    assert seen.startswith(f"Worker 1 (pid {pid}) was killed by SIGKILL; pid {server.pids()[1]} took its place")


def test_a_server_that_was_not_started_here_is_harmed_only_with_consent(drilled: Start) -> None:
    other = SpawnedServer.start(SpawnOptions(2, model="async"))
    output = Recording()
    session = Session(background=False)
    shell = Shell(session, output, load_commands)
    try:
        with pytest.raises(NotConnected):
            shell.execute(":drill kill 1")
        session.connect(other.addresses[0])
        for line in (":drill kill 1", ":drill freeze 1 1", ":drill hold 2", ":drill slow 1", ":drill flood"):
            with pytest.raises(UsageError, match="not started by this shell") as raised:
                shell.execute(line)
            assert "--yes" in (raised.value.hint or "")
        shell.execute(":drill kill 1 --yes")
        shell.execute(":reload")
        assert any("died of SIGKILL" in text for text in output.texts)
    finally:
        session.close()
        other.stop()


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (":drill kill 9", "there is no worker 9"),
        (":drill kill two", "not 'two'"),
        (":drill kill 1 WINCH", "WINCH"),
        (":drill freeze 1 0", "0"),
        (":drill freeze 1 3600", "3600"),
        (":drill hold 5000", "5000"),
        (":drill flood -n 100000", "100000"),
        (":drill flood -d 3600", "3600"),
        (":drill slow 0", "0"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_happens(one_server: Drilled, line: str, problem: str) -> None:
    before = one_server.pids()
    with pytest.raises(UsageError, match=problem):
        one_server.shell.execute(line)
    assert one_server.pids() == before
    assert one_server.status().totals.died == 0


@pytest.mark.thorough
def test_no_thread_and_no_connection_is_left(drilled: Start) -> None:
    server = drilled(2, "thread")
    threads = threading.active_count()
    server.run(":drill kill 1")
    server.run(":drill hold 3 -d 0.3")
    assert threading.active_count() == threads
    until(lambda: not any(worker.connections for worker in server.status().workers))
