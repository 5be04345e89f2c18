from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.top.sparkline import amount, bar, brief, rate, sparkline


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0426, "43ms"), (1, "1.0s"), (59.96, "1m00s"), (125, "2m05s"), (7500, "2h05m"), (200_000, "2d07h")],
)
def test_a_time_is_brief(seconds: float, text: str) -> None:
    assert brief(seconds) == text


@pytest.mark.parametrize(
    ("calls", "text"), [(None, "-"), (0, "0"), (0.04, "0.0"), (9.5, "9.5"), (9.96, "10"), (20_134.4, "20134")]
)
def test_a_rate_is_as_exact_as_it_is_of_use(calls: float | None, text: str) -> None:
    assert rate(calls) == text


@given(st.floats(0, 9e11))
def test_figures_take_six_columns_at_most(number: float) -> None:
    assert len(amount(number)) <= 6
    assert len(rate(number)) <= 6
    assert len(brief(number / 1000)) <= 6


@given(st.floats(-1, 100), st.integers(1, 40))
def test_a_bar_fills_its_place_and_tells_a_little_from_nothing(share: float, width: int) -> None:
    full, rest = bar(share, width)
    assert len(full) + len(rest) == width
    assert bool(full) == (share > 0)
    assert (full == "█" * width) == (share >= 1)


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(1, 20))
def test_a_history_ends_with_the_latest_and_its_marks_rise_with_its_values(values: list[float], width: int) -> None:
    marks = sparkline(values, width, max(values, default=0))
    assert len(marks) == width
    shown = list(zip(values[-width:], marks[max(width - len(values), 0) :], strict=True))
    for value, mark in shown:
        assert (mark == "▁") == (value == 0)
        assert all(other >= mark for more, other in shown if more >= value)
