from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.bars import bar, sparkline


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
