"""Whether two figures differ by more than they vary by themselves (Welch's test at 95 %).

What is compared is a few means, of rounds or of parts of a run, since neighbouring moments of a run are alike.
"""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.lab.bench.plan import Interval

__all__ = ["noise", "paired_noise", "parts", "thinned", "whole_intervals"]

_PARTS: Final = 4
_SHORTEST: Final = 8
"""Intervals below which a run is too short to be cut into parts."""

_STUDENT: Final = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""The 97.5th percentile of Student's t by degrees of freedom, from 1."""

_STUDENT_BEYOND: Final = 2.1
_LEAST: Final = 0.02
"""What two runs of the same thing may always differ by, as a share."""


def whole_intervals(timeline: Sequence[Interval]) -> list[Interval]:
    """A timeline without what was left over at its end, too short to say anything of a rate.

    Args:
        timeline: What happened when.
    """
    usual = max((interval.length for interval in timeline), default=0.0)
    return [interval for interval in timeline if interval.length > usual / 2]


def thinned(timeline: Sequence[Interval], most: int) -> list[Interval]:
    """A timeline with neighbours put together: their rates averaged, the worst of their percentiles.

    Args:
        timeline: What happened when.
        most: How many intervals may stay.
    """
    each = -(-len(timeline) // most)
    groups = [timeline[start : start + each] for start in range(0, len(timeline), max(1, each))]
    return [
        msgspec.structs.replace(
            group[-1],
            length=sum(interval.length for interval in group),
            calls=sum(interval.calls for interval in group),
            problems=sum(interval.problems for interval in group),
            p50=max(interval.p50 for interval in group),
            p99=max(interval.p99 for interval in group),
        )
        for group in groups
    ]


def parts(timeline: Sequence[Interval], value: Callable[[Interval], float]) -> list[float]:
    """The means of a few parts of a run, without its beginning; none where it was too short.

    Args:
        timeline: What happened when.
        value: What is averaged, by time.
    """
    rest = whole_intervals(timeline)[1:]
    if len(rest) < _SHORTEST:
        return []
    edges = [len(rest) * part // _PARTS for part in range(_PARTS + 1)]
    cut = [rest[start:end] for start, end in pairwise(edges)]
    return [
        sum(value(interval) * interval.length for interval in part) / sum(interval.length for interval in part)
        for part in cut
    ]


def noise(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The share of their mean that two figures may differ by without meaning it; None where nobody can tell.

    Args:
        one: Means of the one.
        other: Means of the other.
    """
    if len(one) < 2 or len(other) < 2:
        return None
    middle = (statistics.fmean(one) + statistics.fmean(other)) / 2
    if middle <= 0:
        return None
    variances = [statistics.variance(values) / len(values) for values in (one, other)]
    whole = sum(variances)
    if not whole:
        return _LEAST
    freedom = whole**2 / sum(
        variance**2 / (len(values) - 1) for variance, values in zip(variances, (one, other), strict=True)
    )
    return max(_LEAST, _student(freedom) * math.sqrt(whole) / middle)


def paired_noise(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The same for rounds that took turns: what the machine did meanwhile has met both of them, and cancels out.

    Args:
        one: What each round of the one brought.
        other: What each round of the other brought, in the same order; as many.
    """
    ratios = [math.log(mine / theirs) for mine, theirs in zip(one, other, strict=True) if mine > 0 and theirs > 0]
    if len(ratios) < 2 or len(ratios) < len(one):
        return None
    error = statistics.stdev(ratios) / math.sqrt(len(ratios))
    return max(_LEAST, math.expm1(_student(len(ratios) - 1) * error))


def _student(freedom: float) -> float:
    place = max(1, math.floor(freedom))
    return _STUDENT[place - 1] if place <= len(_STUDENT) else _STUDENT_BEYOND
