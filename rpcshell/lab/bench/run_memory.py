"""Runs that are remembered, so that the next one of the same call can be held against them: a file of the state folder.

What is kept of a call is a digest, not its params, which may hold secrets.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.lab.bench.rounds import p99_parts, rate_parts
from rpcshell.servers.folders import StateFile
from rpcwire import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rpcshell.lab.bench.measurement import Measurement

_FILE: Final = "bench.json"
_MOST_RUNS: Final = 200
_MOST_BYTES: Final = 1024 * 1024
_SHORTEST: Final = 1.0
"""Seconds below which a run that was interrupted says nothing."""


class RememberedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a run; times are in seconds."""

    key: str
    """Tells calls apart: a digest of what was called, how, and on which model; not where."""
    began: float
    calls: int
    failed: float
    """The share of calls that went wrong."""
    rate: float
    p99: float
    rates: list[float] = []
    p99s: list[float] = []
    """Of parts of it."""


def run_of(measurement: Measurement) -> RememberedRun:
    """What is kept of a measurement."""
    plan, server = measurement.plan, measurement.server
    identity = [
        plan.method,
        plan.params,
        plan.connections,
        plan.pipeline,
        plan.rate,
        plan.plain,
        None if server is None else [server.model, server.workers],
    ]
    return RememberedRun(
        key=hashlib.blake2b(encode_value(identity), digest_size=12).hexdigest(),
        began=measurement.began,
        calls=measurement.calls,
        failed=measurement.failed / (measurement.attempts or 1),
        rate=measurement.rate,
        p99=measurement.histogram.percentile(99),
        rates=rate_parts(measurement),
        p99s=p99_parts(measurement),
    )


class RunMemory:
    """The last runs of benchmarks."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._file = StateFile(folder, _FILE, list[RememberedRun], most=_MOST_BYTES)

    def earlier(self, key: str) -> list[RememberedRun]:
        """The runs of a call, the last one at the end."""
        return [run for run in self._file.read() or () if run.key == key]

    def remember(self, measurement: Measurement) -> None:
        """Keep a run for later, unless it says nothing; the oldest ones make room."""
        if not measurement.calls or (measurement.interrupted and measurement.seconds < _SHORTEST):
            return
        self._file.write([*(self._file.read() or ()), run_of(measurement)][-_MOST_RUNS:])
