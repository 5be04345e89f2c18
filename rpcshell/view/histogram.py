"""Latencies counted in buckets: exact enough to tell percentiles, small enough to be sent ten times a second.

Buckets grow with what they hold, as in HdrHistogram: each is at most a 128th of its value wide. Values are nanoseconds.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

_BITS: Final = 7
_LINEAR: Final = 1 << (_BITS + 1)
BUCKETS: Final = (48 << _BITS) + _LINEAR
"""How many there are: enough for three days."""

_NARROWEST: Final = math.log(4)
"""What steps of the same factor span, at least."""


class _LatencyRange(NamedTuple):
    """Calls that took a time in a range, in seconds: parts of a call where a bucket lies in several ranges."""

    lower: float
    upper: float
    calls: float


def bucket_of(value: int) -> int:
    """The bucket that holds a value in nanoseconds."""
    if value < _LINEAR:
        return max(0, value)
    shift = value.bit_length() - _BITS - 1
    return min((shift << _BITS) + (value >> shift), BUCKETS - 1)


def upper_edge(bucket: int) -> int:
    """The largest value that a bucket holds, in nanoseconds."""
    if bucket < _LINEAR:
        return bucket
    shift = (bucket >> _BITS) - 1
    return ((bucket - (shift << _BITS) + 1) << shift) - 1


class Histogram:
    """Counts of values by bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: dict[int, int] = dict(counts or {})

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[int, int]:
        """How many values each bucket holds; empty ones are left out."""
        return dict(sorted(self._counts.items()))

    def add(self, counts: Mapping[int, int]) -> None:
        """Add the counts of another histogram."""
        mine = self._counts
        for bucket, count in counts.items():
            mine[bucket] = mine.get(bucket, 0) + count

    def percentile(self, percent: float) -> float:
        """The value that so many of a hundred do not exceed, in seconds; 0 where there are none."""
        rank = max(1, -(-self.count * percent // 100))
        seen = 0
        last = 0
        for bucket, count in self.counts.items():
            seen += count
            last = bucket
            if seen >= rank:
                break
        return upper_edge(last) / 1e9

    @property
    def mean(self) -> float:
        """The mean in seconds; 0 where there are no values."""
        total = sum(upper_edge(bucket) * count for bucket, count in self._counts.items())
        return total / self.count / 1e9 if self._counts else 0.0

    @property
    def largest(self) -> float:
        """The largest value in seconds."""
        return upper_edge(max(self._counts, default=0)) / 1e9

    def steps(self, count: int, span: tuple[float, float] | None = None) -> list[_LatencyRange]:
        """Ranges of the same factor that look even on a logarithmic axis; none where there are no values.

        What a bucket holds is spread evenly over it, since ranges may be narrower than buckets. They go from the
        smallest value to the largest, or over the `span` in seconds where that is more.
        """
        buckets = [
            (math.log(max(upper_edge(bucket - 1), 1)), math.log(max(upper_edge(bucket), 2)), calls)
            for bucket, calls in self.counts.items()
            if calls
        ]
        if not buckets:
            return []
        low, high = buckets[0][0], buckets[-1][1]
        if span is not None:
            low, high = min(low, math.log(span[0] * 1e9)), max(high, math.log(span[1] * 1e9))
        missing = max(0.0, _NARROWEST - (high - low))
        low, high = low - missing / 2, high + missing / 2
        width = (high - low) / count
        counts = [0.0] * count
        for lower, upper, calls in buckets:
            first, last = ((edge - low) / width for edge in (lower, upper))
            for place in range(int(first), min(count, math.ceil(last))):
                counts[place] += calls * (min(last, place + 1) - max(first, place)) / (last - first)
        return [
            _LatencyRange(math.exp(low + place * width) / 1e9, math.exp(low + (place + 1) * width) / 1e9, calls)
            for place, calls in enumerate(counts)
        ]

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """The upper edge of each bucket in seconds, and how many it holds."""
        return ((upper_edge(bucket) / 1e9, count) for bucket, count in self.counts.items())
