"""What a drill says of the calls that were made meanwhile; no server."""

from __future__ import annotations

from rpcshell.lab.drills.drill import calls_line
from rpcshell.lab.drills.probe import ProbeReport


def test_calls_of_each_fate_are_counted_with_commas_and_told_where_there_are_any() -> None:
    counts = {"unsent": 0, "refused": 0, "busy": 2345, "errors": 0, "timeouts": 0, "waiting": 0}
    report = ProbeReport(
        method="ping", calls=3345, answered=1000, lost=0, before=None, typical=None, longest=0.0, **counts
    )
    assert calls_line(report) == "3,345 calls of ping meanwhile: 0 lost, 2,345 busy"
