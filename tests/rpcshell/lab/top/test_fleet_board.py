"""What keys do on the screen of a fleet, and what it shows; no terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.fleet.instances import InstanceState
from rpcshell.client.target import TcpTarget
from rpcshell.lab.top.fleet_board import FleetBoard, draw_fleet
from rpcshell.lab.top.fleet_feed import InstanceLine
from rpcshell.lab.top.instance_reading import Rates
from rpcshell.view.width import cells
from tests.rpcshell.lab.top.test_instances import reading

MOVES = ("up", "down", "j", "g", "G", "pageup", "pagedown", "home", "end")
KEYS = (*MOVES, "s", "S", "<", ">", "r", "enter", "?", "h", "q", "escape", "x", "pasted-text", "tab")


def line(number: int, calls: float | None = None, problem: str = "") -> InstanceLine:
    told = None if calls is None else reading(1.0, 10)
    rates = None if calls is None else Rates(calls, 0.5)
    return InstanceLine(InstanceState(TcpTarget(f"10.0.0.{number}", 80), version="1.2"), told, rates, problem)


def board_of(*lines: InstanceLine) -> FleetBoard:
    board = FleetBoard()
    board.update(list(lines), "calc: 3 instances")
    return board


def text(board: FleetBoard, rows: int = 12, columns: int = 100) -> list[str]:
    return "".join(piece for _, piece in draw_fleet(board, rows, columns)).split("\n")


def press(board: FleetBoard, *keys: str) -> None:
    for key in keys:
        board.press(key)


def selected(board: FleetBoard) -> str:
    assert board.selected_line is not None
    return str(board.selected_line.state.target)


def test_the_selected_instance_stays_selected_as_rows_are_sorted_and_come_and_go() -> None:
    first, second, third = line(1, 5), line(2, 90), line(3)
    board = board_of(first, second, third)
    press(board, "down")
    assert selected(board) == "10.0.0.2:80"
    press(board, "s", "s", "s", "s")
    assert board.order.name == "calls/s"
    assert [one.state.target.host for one in board.lines or [] if isinstance(one.state.target, TcpTarget)] == [
        "10.0.0.2", "10.0.0.1", "10.0.0.3",
    ]  # fmt: skip
    assert selected(board) == "10.0.0.2:80"
    press(board, "r")
    assert selected(board) == "10.0.0.2:80"
    board.update([third, second], "calc: 2 instances")
    assert selected(board) == "10.0.0.2:80"
    board.update([third], "calc: 1 instance")
    assert selected(board) == "10.0.0.3:80"
    board.update([], "calc: 0 instances")
    assert board.selected_line is None
    assert text(board)[0].startswith("calc: 0 instances")


def test_enter_tells_what_is_known_of_the_selected_instance_and_q_closes_it_first() -> None:
    board = board_of(line(1, problem="it does not answer"), line(2, 3))
    assert "10.0.0.1:80: it does not answer" in text(board)
    press(board, "enter")
    shown = text(board, rows=20)
    assert shown[-5] == "10.0.0.1:80"
    assert "1.2" in shown[-4]
    assert shown[-2] == "it does not answer"
    press(board, "q")
    assert not board.left
    press(board, "q")
    assert board.left


@pytest.mark.parametrize("key", ["c-c", "c-d", "<sigint>"])
def test_ctrl_c_leaves_whatever_is_open(key: str) -> None:
    board = board_of(line(1))
    press(board, "?", key)
    assert board.left


@given(
    st.lists(st.sampled_from(KEYS), max_size=12),
    st.lists(st.integers(1, 60), max_size=40, unique=True),
    st.integers(1, 30),
    st.integers(1, 120),
)
def test_whatever_is_pressed_the_screen_is_full_and_has_the_selected_row(
    keys: list[str], numbers: list[int], rows: int, columns: int
) -> None:
    board = board_of(*(line(number, number, "gone" if number % 7 == 0 else "") for number in numbers))
    press(board, *keys)
    drawn = draw_fleet(board, rows, columns)
    shown = "".join(piece for _, piece in drawn).split("\n")
    assert len(shown) == rows
    assert max(map(cells, shown)) <= columns
    if numbers and not board.with_help and rows > 12:
        assert any("reverse" in style for style, _ in drawn)
