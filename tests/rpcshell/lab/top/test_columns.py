from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.top.columns import COLUMNS, SORTS, RowOrder, choose, row, sorted_lines, titles
from rpcshell.lab.top.feed import WorkerLine
from rpcshell.view.pretty import Fragment
from rpcshell.view.width import cells
from tests.rpcshell.lab.top.making import a_line, calling

ORDERS = st.builds(RowOrder, st.sampled_from(SORTS), st.booleans())
LINES = st.lists(
    st.builds(
        lambda number, calls, rate, busy, method: a_line(
            number, pid=calls + 1, calls=calls, rate=rate, busy=busy, call=calling(method) if method else None
        ),
        st.integers(1, 120),
        st.integers(0, 10**9),
        st.none() | st.floats(0, 1e6),
        st.floats(0, 30),
        st.text(max_size=40),
    ),
    max_size=8,
)


def text(pieces: list[Fragment]) -> str:
    return "".join(piece for _, piece in pieces)


@given(st.integers(10, 250), ORDERS, LINES)
def test_columns_fit_and_every_row_fills_them(width: int, order: RowOrder, lines: list[WorkerLine]) -> None:
    chosen = choose(width, order, lines)
    names = [column.name for column, _ in chosen]
    assert names[0] == "worker"
    whole = sum(wide for _, wide in chosen) + len(chosen) - 1
    assert whole <= width
    assert cells(text(titles(chosen, order))) == whole
    for line in lines:
        assert cells(text(row(line, chosen, 100.0))) == whole


@given(st.integers(10, 249), ORDERS, LINES)
def test_more_room_never_takes_a_column_away(width: int, order: RowOrder, lines: list[WorkerLine]) -> None:
    narrow = {column.name for column, _ in choose(width, order, lines)}
    assert narrow <= {column.name for column, _ in choose(width + 1, order, lines)}


def test_what_matters_most_is_there_in_forty_columns() -> None:
    names = [column.name for column, _ in choose(40, RowOrder(), [])]
    assert names == ["worker", "state", "call", "rate", "busy"]
    assert len(choose(130, RowOrder(), [])) == len(COLUMNS)


def test_the_column_that_rows_are_sorted_by_is_there_and_marked() -> None:
    order = RowOrder.by("rss")
    chosen = choose(40, order, [])
    assert "rss" in [column.name for column, _ in chosen]
    assert "RSS▾" in text(titles(chosen, order))
    assert "RSS▴" in text(titles(chosen, RowOrder("rss", falling=False)))


def test_a_row_says_what_a_worker_does() -> None:
    line = a_line(3, rate=12.0, busy=0.5, connections=2, calls=70, errors=1, call=calling("order.list"), age=125.0)
    words = " ".join(text(row(line, choose(130, RowOrder(), [line]), 1.0)).split())
    assert words == "3 1003 busy order.list 3.2s 2 70 12 1 50% ███░░░ 6 MB 2 MB 20 MB 2m05s 0"


def test_a_long_name_is_cut_before_the_time_and_shown_safely() -> None:
    line = a_line(1, call=calling("a.method\x1b[31m.of.a.very.long.name", 75.0), calls_running=4)
    shown = text(row(line, choose(40, RowOrder(), []), 1.0))
    assert "a.… 1m15s +3" in shown
    assert "\x1b" not in shown


@given(ORDERS, LINES)
def test_an_order_keeps_all_rows_and_the_other_way_round_is_the_opposite(
    order: RowOrder, lines: list[WorkerLine]
) -> None:
    there = sorted_lines(lines, order)
    back = sorted_lines(lines, RowOrder(order.name, not order.falling))
    assert sorted(map(id, there)) == sorted(map(id, lines))
    key = next(column.key for column in COLUMNS if column.name == order.name)
    assert key is not None
    assert [key(line) for line in there] == [key(line) for line in reversed(back)]


def test_equal_rows_stand_by_their_numbers() -> None:
    lines = [a_line(number, rate=1.0) for number in (3, 1, 2)]
    assert [line.status.worker for line in sorted_lines(lines, RowOrder.by("rate"))] == [1, 2, 3]
