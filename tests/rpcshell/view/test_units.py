import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0421, "42.1 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125.0, "2 min 5 s"),
        (7500.0, "2 h 5 min"),
        (200_000.0, "2 d 7 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0426, "43ms"), (1, "1.0s"), (59.96, "1m00s"), (125, "2m05s"), (7500, "2h05m"), (200_000, "2d07h")],
)
def test_a_duration_can_be_brief(seconds: float, text: str) -> None:
    assert units.brief_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (3e-9, "3.00 ns"), (9.999e-6, "10.0 µs"), (0.9996, "1.00 s"), (2.01e-3, "2.01 ms")]
)
def test_a_latency_has_three_digits(seconds: float, text: str) -> None:
    assert units.latency(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59, "just now"), (60, "1 min ago"), (7200, "2 h ago"), (86_400, "1 day ago"), (2e5, "2 days ago")],
)
def test_what_is_past_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert units.ago(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999 B"), (1234, "1.23 kB"), (999_600, "1 MB"), (20_000_000, "20 MB"), (int(3e9), "3 GB")],
)
def test_a_size_has_three_digits(count: int, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(None, "-"), (0, "0"), (0.04, "0.0"), (9.5, "9.5"), (9.96, "10"), (20_134.4, "20134")]
)
def test_a_brief_rate_is_as_exact_as_it_is_of_use(rate: float | None, text: str) -> None:
    assert units.brief_rate(rate) == text


@given(st.floats(0, 9e11))
def test_brief_figures_take_six_columns_at_most(number: float) -> None:
    assert len(units.brief_count(number)) <= 6
    assert len(units.brief_rate(number)) <= 6
    assert len(units.brief_duration(number / 1000)) <= 6


@pytest.mark.parametrize(
    ("part", "text"), [(0.0, "0.0 %"), (1e-9, "< 0.01 %"), (1 - 1e-9, "> 99.99 %"), (0.25, "25.0 %")]
)
def test_a_little_is_not_nothing_and_not_quite_is_not_all(part: float, text: str) -> None:
    assert units.share(part) == text


def test_one_thing_is_not_several() -> None:
    assert [units.count_of(count, "call") for count in (0, 1, 2000)] == ["0 calls", "1 call", "2,000 calls"]
    assert units.count_of(2, "process", "processes") == "2 processes"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_parts_of_a_time_add_up_as_they_are_shown(parts: list[float]) -> None:
    whole, shown = units.adding_up(sum(parts), parts)
    assert sum(Decimal(text.split()[0]) for text in shown if text) == Decimal(whole.split()[0])
    assert {text.split()[1] for text in shown if text} <= {whole.split()[1]}


def test_parts_that_round_to_nothing_are_not_shown() -> None:
    assert units.adding_up(1.2105, [0.0003, 0.0002, 1.21]) == ("1.21 s", ["", "", "1.21 s"])
    assert units.adding_up(0.00634, [0.00007, 0.00622, 0.00005]) == ("6.34 ms", ["0.07 ms", "6.22 ms", "0.05 ms"])


@pytest.mark.parametrize(("seconds", "text"), [(0.26, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (65, "1 min 5 s")])
def test_a_time_that_is_drawn_again_has_whole_seconds(seconds: float, text: str) -> None:
    assert units.whole_seconds(seconds) == text


def test_times_beside_each_other_are_all_in_seconds() -> None:
    assert [units.in_seconds(0.04), units.in_seconds(120.0), units.in_seconds(1.234, 2)] == [
        "0.0 s",
        "120.0 s",
        "1.23 s",
    ]


def test_counts_of_things_are_written_in_one_place() -> None:
    by_hand = re.compile(r"\{([\w.()]+)\} \{plural\(\1[,)]")
    sources = Path(units.__file__).parents[1].rglob("*.py")
    assert [str(file) for file in sources if by_hand.search(file.read_text())] == []
    assert units.count_of(1_000, "call") == "1,000 calls"
