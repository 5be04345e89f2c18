"""Where the marks of an axis are, and latencies counted in steps that look even on a logarithmic one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.view.histogram import upper_edge

if TYPE_CHECKING:
    from rpcshell.view.histogram import Histogram

__all__ = ["Step", "even_marks", "latency_steps", "log_marks"]

_SHORTEST: Final = math.log(4)
"""What a logarithmic axis spans, at least."""

_LEADING: Final = (1, 2, 5)


class Step(NamedTuple):
    """Calls whose latency is in a range.

    Attributes:
        lower: From, in seconds.
        upper: Up to, in seconds.
        calls: How many; parts of a call where a bucket lies in several ranges.
    """

    lower: float
    upper: float
    calls: float


def latency_steps(histogram: Histogram, count: int, span: tuple[float, float] | None = None) -> list[Step]:
    """Latencies in steps of the same factor, from the smallest to the largest.

    What a bucket of the histogram holds is spread evenly over it, since steps may be narrower than buckets.

    Args:
        histogram: What was counted; without anything, there are no steps.
        count: How many steps.
        span: From where to where they go at least, in seconds.
    """
    buckets = [
        (math.log(max(upper_edge(bucket - 1), 1)), math.log(max(upper_edge(bucket), 2)), calls)
        for bucket, calls in histogram.counts.items()
        if calls
    ]
    if not buckets:
        return []
    low, high = buckets[0][0], buckets[-1][1]
    if span is not None:
        low, high = min(low, math.log(span[0] * 1e9)), max(high, math.log(span[1] * 1e9))
    missing = max(0.0, _SHORTEST - (high - low))
    low, high = low - missing / 2, high + missing / 2
    width = (high - low) / count
    counts = [0.0] * count
    for lower, upper, calls in buckets:
        first, last = ((edge - low) / width for edge in (lower, upper))
        for place in range(int(first), min(count, math.ceil(last))):
            counts[place] += calls * (min(last, place + 1) - max(first, place)) / (last - first)
    return [
        Step(math.exp(low + place * width) / 1e9, math.exp(low + (place + 1) * width) / 1e9, calls)
        for place, calls in enumerate(counts)
    ]


def log_marks(low: float, high: float, most: int) -> list[float]:
    """Round values between two, for a logarithmic axis: 1, 2 and 5 of each power of ten, or fewer of them.

    Args:
        low: The smallest, above 0.
        high: The largest.
        most: How many there is room for.
    """
    inside: list[float] = []
    for leading in (_LEADING, (1, 3), (1,)):
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        marks = [digit * 10.0**power for power in powers for digit in leading]
        inside = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
        if len(inside) <= most:
            break
    return inside[:: max(1, -(-len(inside) // most))]


def even_marks(high: float, most: int) -> list[float]:
    """Round values from 0 to the first that is not below the largest, for an even axis.

    Args:
        high: The largest value.
        most: How many there is room for, at least 2.
    """
    if high <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / (most - 1)))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if math.ceil(high / (power * factor) - 1e-9) < most)
    return [step * place for place in range(math.ceil(high / step - 1e-9) + 1)]
