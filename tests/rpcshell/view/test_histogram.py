from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.histogram import BUCKETS, Histogram, bucket_of, upper_edge

durations = st.integers(0, 2 * 86_400 * 10**9)


@given(durations)
def test_a_bucket_holds_its_value_and_is_narrow(value: int) -> None:
    bucket = bucket_of(value)
    assert 0 <= bucket < BUCKETS
    assert value <= upper_edge(bucket) <= value + value // 128 + 1
    assert bucket == 0 or upper_edge(bucket - 1) < value


@given(st.lists(durations, min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_that_of_the_values_themselves(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add({bucket_of(value): 1})
    rank = max(1, math.ceil(len(values) * percent / 100))
    exact = sorted(values)[rank - 1]
    assert exact <= round(histogram.percentile(percent) * 1e9) <= exact + exact // 100 + 1000


def test_histograms_add_up() -> None:
    one, other = Histogram({3: 2}), Histogram({3: 1, 9: 4})
    one.add(other.counts)
    assert one.counts == {3: 3, 9: 4}
    assert one.count == 7
    assert Histogram().percentile(99) == Histogram().mean == Histogram().largest == 0


@given(st.dictionaries(st.integers(1, 10**12), st.integers(1, 10**6), min_size=1, max_size=20), st.integers(1, 200))
def test_steps_hold_every_call(values: dict[int, int], count: int) -> None:
    counts: dict[int, int] = {}
    for value, calls in values.items():
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + calls
    steps = Histogram(counts).steps(count)
    assert len(steps) == count
    assert sum(step.calls for step in steps) == pytest.approx(sum(counts.values()))
    assert all(one.upper == pytest.approx(other.lower) for one, other in pairwise(steps))
