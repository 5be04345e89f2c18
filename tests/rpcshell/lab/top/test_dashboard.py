from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.top.dashboard import Dashboard
from rpcshell.lab.top.feed import News
from tests.rpcshell.lab.top.making import Orders, a_dashboard, a_picture, a_worker, calling

THREE = a_picture(a_worker(1, calls=5), a_worker(2, calls=9), a_worker(3, calls=7))

WORDS = "up down j g G pageup pagedown s S r k y n tab t + - R enter ? x ä escape pasted-text"
KEYS = st.sampled_from(WORDS.split())


def press(board: Dashboard, *keys: str) -> None:
    for key in keys:
        board.press(key)


def numbers(board: Dashboard) -> list[int]:
    return [line.status.worker for line in board.lines]


def selected(board: Dashboard) -> int:
    assert board.selected_line is not None
    return board.selected_line.status.worker


def test_the_selection_moves_and_stays_within() -> None:
    board, _ = a_dashboard(THREE)
    seen = []
    for key in ["up", "down", "j", "down", "up", "g", "G", "home"]:
        press(board, key)
        seen.append(selected(board))
    assert seen == [1, 2, 3, 3, 2, 1, 3, 1]


def test_sorting_keeps_the_selected_worker() -> None:
    board, _ = a_dashboard(THREE)
    press(board, "down", "s", "s", "s", "s")
    assert (board.order.name, numbers(board), selected(board)) == ("calls", [2, 3, 1], 2)
    press(board, "r")
    assert (numbers(board), selected(board)) == ([1, 3, 2], 2)
    press(board, "S")
    assert board.order.name == "connections"


def test_the_replacement_of_the_selected_worker_is_selected() -> None:
    board, _ = a_dashboard(THREE)
    press(board, "down")
    board.update(News(a_picture(a_worker(1), a_worker(3))))
    board.update(News(a_picture(a_worker(1), a_worker(2, pid=77), a_worker(3))))
    assert selected(board) == 2
    board.update(News(a_picture(a_worker(1))))
    assert selected(board) == 1


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        (["y"], ("kill", 2, 1002, "TERM")),
        (["tab", "y"], ("kill", 2, 1002, "KILL")),
        (["k", "y"], ("kill", 2, 1002, "KILL")),
        (["k", "t", "Y"], ("kill", 2, 1002, "TERM")),
        (["n"], None),
        (["escape"], None),
        (["enter", "x", "n", "y"], None),
    ],
)
def test_a_worker_is_killed_only_upon_yes(keys: list[str], order: tuple[object, ...] | None) -> None:
    board, orders = a_dashboard(THREE)
    press(board, "down", "k")
    assert board.victim is not None
    press(board, *keys)
    assert orders.given == ([] if order is None else [order])
    assert board.victim is None
    assert not board.left


def test_the_question_is_about_the_worker_that_was_selected() -> None:
    board, orders = a_dashboard(THREE)
    press(board, "down", "k")
    board.update(News(a_picture(a_worker(2, pid=77))))
    press(board, "y")
    assert orders.given == [("kill", 2, 1002, "TERM")]


def test_keys_steer() -> None:
    board, orders = a_dashboard(THREE)
    press(board, "+", "-", "R")
    assert orders.given == [("scale", 1), ("scale", -1), ("reload",)]


def test_the_log_follows_the_selection_until_it_is_closed() -> None:
    board, orders = a_dashboard(THREE)
    press(board, "enter", "down", "escape")
    assert orders.given == [("log", 1), ("log", 2), ("log", None)]
    assert not board.left
    press(board, "escape")
    assert board.left


@pytest.mark.parametrize("key", ["q", "escape", "c-c", "c-d", "<sigint>"])
def test_it_is_left(key: str) -> None:
    board, _ = a_dashboard(THREE)
    press(board, key)
    assert board.left


@pytest.mark.parametrize("before", ["k", "?", "enter"])
def test_ctrl_c_leaves_whatever_is_open(before: str) -> None:
    board, _ = a_dashboard(THREE)
    press(board, before, "c-c")
    assert board.left


def test_a_message_goes_with_the_next_key_or_after_some_news() -> None:
    board, _ = a_dashboard(THREE)
    board.update(News(THREE, said=(1, "done")))
    assert board.message == "done"
    press(board, "down")
    assert board.message == ""
    board.update(News(THREE, said=(2, "done again")))
    for _ in range(20):
        assert board.message == "done again" or board.message == ""
        board.update(News(a_picture(a_worker(1)), said=(2, "done again")))
    assert board.message == ""


def test_before_anything_is_known_keys_do_no_harm() -> None:
    board, orders = a_dashboard(None)
    press(board, "down", "k", "y", "enter", "escape", "s", "G")
    assert board.selected_line is None
    assert ("kill",) not in [order[:1] for order in orders.given]


@given(
    st.lists(KEYS | st.lists(st.integers(1, 60), max_size=60, unique=True), max_size=30),
    st.integers(0, 30),
)
def test_whatever_is_pressed_the_selected_row_is_seen(happening: list[str | list[int]], room: int) -> None:
    board = Dashboard(Orders(), "")
    for event in happening:
        if isinstance(event, str):
            board.press(event)
        else:
            board.update(News(a_picture(*(a_worker(number, calls=number, call=calling("a")) for number in event))))
        shown = board.show(room)
        assert len(shown) == min(room, len(board.lines))
        if board.lines and room:
            assert board.first <= board.selected < board.first + room
