"""Measurements as a benchmark would bring them, made up so that each test knows what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rpcshell.lab.bench.measurement import Interval, Measurement, Plan, ServerUse
from rpcshell.view.histogram import bucket_of

LATENCIES = {100e-6: 500, 200e-6: 400, 400e-6: 80, 2e-3: 18, 50e-3: 2}
"""A thousand calls: the median is 100 µs, one in a hundred takes 2 ms, the slowest 50 ms."""


def measured(
    rates: Sequence[float] = (1000.0,) * 20,
    latencies: Mapping[float, int] | None = None,
    model: str | None = "sync",
    plan: Mapping[str, Any] | None = None,
    use: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Measurement:
    """A measurement.

    Args:
        rates: Calls a second in each quarter of a second.
        latencies: How many calls took how many seconds; `LATENCIES`, in these shares, if not given.
        model: Of the server's workers; None where nothing is known of it.
        plan: What is to differ from eight closed connections calling `ping {"a":1}` for five seconds.
        use: What is to differ in what the server took.
        fields: What is to differ in the rest.
    """
    calls = round(sum(rates) / 4)
    shares = LATENCIES if latencies is None else latencies
    whole = sum(shares.values())
    counts: dict[int, int] = {}
    for seconds, count in shares.items():
        bucket = bucket_of(round(seconds * 1e9))
        counts[bucket] = counts.get(bucket, 0) + count * calls // whole
    if counts:
        # What the division has left over is of the first kind.
        counts[next(iter(counts))] += calls - sum(counts.values())
    wanted: dict[str, Any] = {"target": "127.0.0.1:8080", "method": "ping", "params": {"a": 1}, "seconds": 5.0}
    server = {"model": model, "workers": 8, "cpu": calls * 13e-6, "memory": 51_200_000, "died": 0, "lost": 0}
    base = Measurement(
        plan=Plan(**{**wanted, **(plan or {})}),
        began=1_795_456_800.0,
        seconds=len(rates) / 4,
        calls=calls,
        latency=counts,
        problems={},
        unsent=0,
        timeline=[
            Interval(seconds=(at + 1) / 4, length=0.25, calls=round(rate / 4), problems=0, p50=1e-4, p99=2e-3)
            for at, rate in enumerate(rates)
        ],
        workers=dict.fromkeys(range(1, 9), calls // 8),
        bytes_in=calls * 20,
        bytes_out=calls * 30,
        client_cpu=calls * 11e-6,
        server=None if model is None else ServerUse(**{**server, "waiting": 0, **(use or {})}),
    )
    return msgspec.structs.replace(base, **fields)
