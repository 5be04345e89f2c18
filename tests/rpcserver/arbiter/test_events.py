"""What the arbiter remembers of what happened, and workers that are stopped for a while."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rpcserver.arbiter.events import MOST_EVENTS, EventRing
from tests.rpcserver.steering import Steering, steering
from tests.servers import running


def test_a_ring_keeps_the_last_events_and_says_how_many_were_missed() -> None:
    ring = EventRing()
    assert ring.since(0).events == []
    for number in range(MOST_EVENTS + 5):
        ring.add("scaling", text=str(number))
    found = ring.since(3)
    assert (found.last, found.missed, len(found.events)) == (MOST_EVENTS + 5, 2, MOST_EVENTS)
    assert [event.number for event in found.events] == list(range(6, MOST_EVENTS + 6))
    assert found.events[-1].text == str(MOST_EVENTS + 4)
    assert [event.number for event in ring.since(found.last - 1).events] == [found.last]
    assert (ring.since(found.last).events, ring.since(found.last + 9).missed) == ([], 0)


def test_events_tell_the_life_of_workers_with_their_times(tmp_path: Path) -> None:
    began = time.monotonic()
    with running("-w", "1", folder=tmp_path) as server, steering(server) as arbiter:
        (old,) = server.workers()
        arbiter.call("worker.kill", worker=1, signal="SEGV")
        (new,) = arbiter.ready(1, gone=old)
        found = arbiter.call("arbiter.events", after=0)
        story = [(event["kind"], event["pid"], event["signal"]) for event in found["events"]]
        assert story == [
            ("forked", old, None),
            ("ready", old, None),
            ("signalled", old, "SEGV"),
            ("died", old, "SEGV"),
            ("delayed", old, None),
            ("forked", new, None),
            ("ready", new, None),
        ]
        times = [began, *(event["at"] for event in found["events"]), found["now"], time.monotonic()]
        assert times == sorted(times)
        assert arbiter.call("arbiter.events", after=found["last"])["events"] == []


def test_a_frozen_worker_goes_on_by_itself_or_when_told(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server, server.connect() as client:
        (pid,) = server.workers()
        with steering(server) as arbiter:
            assert arbiter.call("worker.freeze", worker=1, seconds=0.2)["pid"] == pid
        # Whoever had it frozen is gone.
        assert client.call("pid").result == pid
        with steering(server) as arbiter:
            frozen, thawed = kinds(arbiter, "frozen", "thawed")
            assert thawed["at"] - frozen["at"] >= 0.2
            arbiter.call("worker.freeze", worker=1, seconds=60)
            assert arbiter.call("worker.thaw", worker=1) == {"worker": 1, "pids": [pid]}
            assert arbiter.call("worker.thaw", worker=1) == {"worker": 1, "pids": []}
        assert client.call("pid").result == pid


def test_a_frozen_worker_may_die_and_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter:
        arbiter.call("worker.freeze", worker=1, seconds=0.3)
        arbiter.call("worker.kill", worker=1)
        arbiter.wait_until(lambda _: bool(kinds(arbiter, "died")))
        arbiter.call("worker.freeze", worker=2, seconds=60)
        arbiter.call("arbiter.stop")
        assert server.wait() == 0


def kinds(arbiter: Steering, *wanted: str) -> list[dict[str, Any]]:
    """The events of some kinds, in order."""
    return [event for event in arbiter.call("arbiter.events", after=0)["events"] if event["kind"] in wanted]
