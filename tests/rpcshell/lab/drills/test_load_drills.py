"""Drills with connections: idle ones, slow ones and too many; reports are compared with what the server says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from rpcshell.client.errors import ConnectionFailed
from tests.rpcshell.lab.drills.drilling import Drilled
from tests.servers import needs_server, until

pytestmark = needs_server

Start = Callable[..., Drilled]


def test_idle_connections_starve_sync_workers_until_they_are_reclaimed(drilled: Start) -> None:
    server = drilled(2, options=("--reclaim-idle", "1"))
    pids = server.pids()
    report = server.run(":drill hold 4 -d 2.4")
    held = report.of("held")
    # The first two take a worker each; the others are let in when these have to go.
    assert {(row["worker"], row["pid"]) for row in held[:2]} == set(pids.items())
    assert report.of("queue")[0]["limit"] == 1024
    assert max(row["waiting"] for row in report.of("queue")) >= 2
    asked, gone = report.of("reclaim"), report.of("reclaimed")
    assert asked[0]["pid"] in pids.values()
    assert {row["connection"] for row in held[:2]} <= {row["connection"] for row in gone}
    assert gone[0]["ms"] >= asked[0]["ms"] >= 1000
    assert len(held) > 2
    assert held[2]["ms"] >= asked[0]["ms"]
    assert report.passes("calls_wait", "calls_go_on")
    assert report.summary["lost"] == 0
    assert "--reclaim-idle" in report.summary["text"]
    assert server.pids() == pids


def test_a_single_connection_is_told_of_as_one(drilled: Start) -> None:
    report = drilled(1, options=("--read-timeout", "0.2")).run(":drill slow -n 1 20")
    assert report.summary["text"].startswith("1 of 1 slow sender was dropped, the first after")


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["thread", "async"])
def test_idle_connections_starve_nobody_else_in_other_models(drilled: Start, model: str) -> None:
    server = drilled(1, model)
    report = server.run(":drill hold 5 -d 1.5")
    held = report.of("held")
    assert sorted(row["connection"] for row in held) == [1, 2, 3, 4, 5]
    assert report.of("reclaimed") == report.of("reclaim") == []
    # How quickly they are answered is the machine's affair; behind an idle connection none of them would be.
    assert report.summary["calls"] > 10
    assert report.summary["lost"] == 0
    # A busy machine may have no time to tell of them while they last, and tell of them as they leave.
    meanwhile = [sample for sample in report.of("sample") if held[-1]["ms"] + 100 < sample["ms"] < 1500]
    assert all("5 open; " in sample["text"] for sample in meanwhile)


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["sync", "async"])
def test_slow_senders_are_dropped_at_the_read_deadline_and_others_go_on(drilled: Start, model: str) -> None:
    server = drilled(2, model, options=("--read-timeout", "1.2"))
    report = server.run(":drill slow -n 2 20")
    dropped = report.of("dropped")
    assert {row["connection"] for row in dropped} == {1, 2}
    for row in dropped:
        assert row["code"] == -32002
        assert row["after_ms"] >= 1200
        assert row["bytes"] == pytest.approx(20 * row["after_ms"] / 1000, abs=8)
    assert report.summary["lost"] == 0
    assert report.summary["text"].startswith("2 of 2 slow senders were dropped, the first after")
    # Both workers are held by them in the sync model, and none in the other.
    assert model != "sync" or report.of("calls_wait")


@pytest.mark.thorough
def test_a_flood_meets_busy_replies_and_the_server_recovers(drilled: Start) -> None:
    server = drilled(1, "pool", options=("--threads", "2", "--queue", "3"))
    calls = server.status().totals.calls
    report = server.run(":drill flood -n 30 -d 1 --call 'sleep seconds=0.2'")
    (busy,) = report.of("busy")
    assert report.order("flood", "busy", "flood_over", "recovered") == ["flood", "busy", "flood_over", "recovered"]
    assert busy["busy"] > 0
    assert "turned away as busy (-32001)" in report.summary["text"]
    assert report.summary["recovered_ms"] > 0
    assert report.summary["lost"] == 0
    after = server.status()
    assert after.waiting == 0
    assert after.totals.calls > calls
    assert after.totals.died == 0


@pytest.mark.thorough
def test_a_flood_fills_the_listen_queue_of_sync_workers(drilled: Start) -> None:
    server = drilled(1)
    report = server.run(":drill flood -n 40 -d 0.6")
    deepest = max(row["waiting"] for row in report.of("queue"))
    assert 20 <= deepest <= 45
    assert report.of("queue_drained")
    assert report.order("flood_over", "recovered") == ["flood_over", "recovered"]
    assert "clients in the listen queue" in report.summary["text"]
    assert server.run(":drill kill 1").summary["answered"] > 0


@pytest.mark.thorough
def test_a_flood_ends_with_ctrl_c_and_so_do_its_clients(drilled: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from rpcshell.client.errors import Cancelled
    from rpcshell.lab.drills.timeline import ServerFollower

    server = drilled(1, "async")
    step = ServerFollower.step

    def interrupted(self: ServerFollower, tick: Callable[[], None] | None = None) -> None:
        step(self, tick)
        if sum(worker.connections for worker in self.status.workers) > 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(ServerFollower, "step", interrupted)
    with pytest.raises(Cancelled):
        server.run(":drill flood -n 20 -d 30")
    until(lambda: not any(worker.connections for worker in server.status().workers))


def test_a_server_that_dies_in_a_drill_ends_it_with_an_error(drilled: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = drilled(1)
    pid = server.status().pid
    from rpcshell.lab.drills.timeline import ServerFollower

    step = ServerFollower.step

    def killing(self: ServerFollower, tick: Callable[[], None] | None = None) -> None:
        step(self, tick)
        # A connection that the server tells of may be that of the calls beside.
        if self._timeline.count("held"):
            os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(ServerFollower, "step", killing)
    with pytest.raises(ConnectionFailed, match="the server has gone in the middle of the drill"):
        server.run(":drill hold 2 -d 30")
    _, rows = server.output.values[-1]
    assert [row["worker"] for row in rows if row["event"] == "held"] == [1]
    assert rows[-1]["event"] == "summary"
