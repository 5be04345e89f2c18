"""The counts of a session's calls."""

from __future__ import annotations

import pytest

from rpcshell.shell.journal import CallRecord, Outcome
from rpcshell.shell.why.tally import Tally
from rpcwire import Meta


def record(method: str, outcome: Outcome = "ok", *, elapsed: float = 0.001, worker: int | None = 1) -> CallRecord:
    meta = None if worker is None else Meta(worker, 100 + worker, 0, "sync", 500, 1)
    return CallRecord(
        line=method, method=method, params=None, outcome=outcome, elapsed=elapsed, meta=meta, target="a:1"
    )


def test_calls_are_counted_by_method_and_by_worker() -> None:
    tally = Tally()
    for number in range(98):
        tally.add(record("ping", worker=1 + number % 2))
    tally.add(record("ping", elapsed=0.5))
    tally.add(record("ping", elapsed=0.5))
    tally.add(record("add", "error", worker=2))
    tally.add(record("add", "cancelled", elapsed=60.0, worker=None))
    ping, add = tally.methods["ping"], tally.methods["add"]
    assert (ping.calls, ping.errors, ping.unanswered) == (100, 0, 0)
    assert ping.times.percentile(50) == pytest.approx(0.001, rel=0.02)
    assert ping.times.percentile(99) == pytest.approx(0.5, rel=0.02)
    assert (add.calls, add.errors, add.unanswered) == (2, 1, 1)
    assert add.times.largest < 1, "how long a call hung says nothing of how long calls take"
    assert {key: counted.calls for key, counted in tally.workers.items()} == {
        ("a:1", 1): 51,
        ("a:1", 2): 50,
        ("a:1", None): 1,
    }
    one = tally.workers["a:1", 1]
    assert one.pid == 101
    assert one.service / one.served == pytest.approx(0.0005)
    summary = tally.summary
    assert (summary.calls, summary.errors, summary.unanswered) == (102, 1, 1)
    tally.reset()
    assert (tally.summary.calls, tally.workers) == (0, {})
