from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.top.dashboard import Dashboard
from rpcshell.lab.top.feed import News, WorkerLog
from rpcshell.lab.top.view import draw
from rpcshell.servers.log import LogRecord, read_records
from rpcshell.view.width import cells
from rpcwire.control import ListenerStatus, RegistrationStatus, TotalStatus
from tests.rpcshell.lab.top.making import Orders, a_dashboard, a_picture, a_worker, calling

FIFTY = a_picture(*(a_worker(number, call=calling("sleep") if number < 4 else None) for number in range(1, 51)))


def rows(board: Dashboard, height: int = 24, width: int = 80) -> list[str]:
    return "".join(text for _, text in draw(board, height, width)).split("\n")


def style_of(board: Dashboard, text: str) -> str:
    return next(style for style, piece in draw(board, 24, 120) if text in piece)


def test_the_head_says_how_the_server_is() -> None:
    totals = TotalStatus(calls=1234, errors=2, died=1, lost=3)
    board, _ = a_dashboard(a_picture(a_worker(1, call=calling("a")), totals=totals, app="calc.py", generation=4))
    text = "\n".join(rows(board))
    for said in (
        "127.0.0.1:8080 · calc.py · sync model · pid 999 · up 1 min 40 s",
        "- calls/s · 1,234 calls · 2 errors · 1 died, 3 lost",
        "3/128 · 1 worker, 1 busy · generation 4",
    ):
        assert said in text


def test_the_head_and_the_row_say_that_a_worker_is_stalled() -> None:
    board, _ = a_dashboard(a_picture(a_worker(1, call=calling("a"), stalled=True), a_worker(2, call=calling("b"))))
    assert any("2 workers, 1 busy, 1 stalled" in row for row in rows(board))
    assert [word for row in rows(board) for word in row.split() if word in {"stalled", "busy"}][-2:] == [
        "stalled",
        "busy",
    ]


@pytest.mark.parametrize(("state", "style"), [("registered", ""), ("away", "class:top.high")])
def test_the_head_says_whether_the_server_is_registered(state: str, style: str) -> None:
    registration = RegistrationStatus("zk://h:2181/a", "10.0.0.1:80", state)
    board, _ = a_dashboard(a_picture(a_worker(1), registration=registration))
    assert style_of(board, registration.summary) == style


@pytest.mark.parametrize(("waiting", "style"), [(0, "low"), (70, "high"), (128, "full")])
def test_the_gauge_of_the_queue_changes_its_colour_as_it_fills(waiting: int, style: str) -> None:
    board, _ = a_dashboard(a_picture(a_worker(1), listeners=[ListenerStatus("unix:/a", waiting, 128)]))
    assert style_of(board, f" {waiting}/128") == f"class:top.{style}"


def test_a_reload_is_followed_and_its_failure_told() -> None:
    workers = (a_worker(1, generation=1), a_worker(2), a_worker(2, pid=5, state="starting", generation=1))
    board, _ = a_dashboard(a_picture(*workers, wanted=2, generation=1, reloading=True))
    assert "reloading to generation 1: 1 of 2" in "\n".join(rows(board))
    board, _ = a_dashboard(a_picture(a_worker(1), reload_problem="calc.py\x1b: bad syntax"))
    assert "reload given up: calc.py\\x1b: bad syntax" in "\n".join(rows(board))


def test_a_server_that_does_not_answer_is_waited_for_with_what_was_known() -> None:
    board, _ = a_dashboard(FIFTY, problem="it has gone", silent=3.2)
    assert rows(board)[:2] == ["no answer for 3.2s, waiting: it has gone", "below is what was known last"]
    board, _ = a_dashboard(None, problem="it has gone")
    assert rows(board)[0] == "no answer, waiting: it has gone"
    assert "asking 127.0.0.1:8080" in rows(a_dashboard(None)[0])[0]


def test_fifty_workers_scroll() -> None:
    board, _ = a_dashboard(FIFTY)
    assert any(row.startswith("  1 ") for row in rows(board))
    board.press("G")
    shown = rows(board)
    assert shown[-2].startswith(" 50 ")
    assert "row 50 of 50" in "\n".join(shown)
    assert "q quit" in shown[-1]
    assert "reverse" in style_of(board, "1050")
    assert "reverse" not in style_of(board, "1049")
    # No colour of a cell becomes a ground in it.
    assert [style for style, _ in draw(board, 24, 120) if "reverse" in style] == ["reverse"]


def test_the_last_row_asks_and_answers() -> None:
    board, _ = a_dashboard(FIFTY)
    board.press("k")
    assert rows(board)[-1] == "TERM to worker 1? y/n · Tab KILL · pid 1001 · in sleep: it may end"
    board.press("tab")
    assert rows(board, width=40)[-1].startswith("KILL to worker 1? y/n · Tab TERM")
    board.press("n")
    board.update(News(FIFTY, said=(1, "no: \x1b[2J"), refused=True))
    assert rows(board)[-1] == "no: \\x1b[2J"
    board.press("?")
    assert any("rolling reload" in row for row in rows(board, width=40))


def test_the_log_of_the_selected_worker_is_below() -> None:
    board, _ = a_dashboard(FIFTY)
    board.press("enter")
    assert "reading…" in rows(board)
    logged = [f"2026-01-02T03:04:05.678Z WARNING [worker 1 1001] line {number}\x07" for number in range(50)]
    board.update(News(FIFTY, log=WorkerLog(1, tuple(read_records([*logged, "of more lines"])))))
    *_, before, last, end, _ = rows(board)
    assert re.fullmatch(r"\d\d:04:05 line 48\\x07", before)
    assert (last[8:], end) == (" line 49\\x07", "of more lines")
    board.update(News(FIFTY, log=WorkerLog(1, problem="the log is not written to a file")))
    assert "the log is not written to a file" in rows(board)


@given(
    st.integers(1, 60),
    st.integers(1, 200),
    st.integers(0, 60),
    st.lists(st.sampled_from(["enter", "k", "?", "s", "G", "+"]), max_size=3),
    st.booleans(),
)
def test_whatever_the_size_the_screen_is_filled_and_not_more(
    height: int, width: int, workers: int, keys: list[str], lost: bool
) -> None:
    board = Dashboard(Orders(), "127.0.0.1:8080")
    picture = a_picture(*(a_worker(number, call=calling("größe.测试")) for number in range(1, workers + 1)))
    board.update(
        News(
            picture,
            problem="it has gone" if lost else None,
            log=WorkerLog(1, (LogRecord(("",), message="eine Zeile 测试"),)),
        )
    )
    for key in keys:
        board.press(key)
    shown = rows(board, height, width)
    assert len(shown) == height
    assert all(cells(row) <= width for row in shown)
