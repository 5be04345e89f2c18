"""A fleet on the whole screen: which instance is selected, how they are sorted, what is drawn. No terminal in here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.top.board import Board
from rpcshell.lab.top.fleet_feed import InstanceLine
from rpcshell.lab.top.instance_table import INSTANCE_SORTS, SPARE, instance_order, instance_row, sorted_instances
from rpcshell.lab.top.rows import BOLD, Row, help_screen, key_row, screen, selected
from rpcshell.view.escape import visible
from rpcshell.view.styles import FAINT
from rpcshell.view.table import fitting, render_table
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcshell.client.target import Target
    from rpcshell.view.pretty import Fragment

_HEADING: Final = 2
"""Rows above those of a table: its titles and the rule below them."""

_MOST_PROBLEMS: Final = 5

_HELP: Final = (
    ("↑ ↓ j g G", "select an instance"),
    ("s S", "sort by the next column, or back"),
    ("r", "turn the order round"),
    ("Enter", "what is known of the instance"),
    ("Ctrl-Z", "suspend the shell"),
    ("q Esc", "leave; Ctrl-C, Ctrl-D too"),
)

_READING: Final = (
    "ready, ejected, leaving: whether this shell's calls go there",
    "workers: those that serve, of all, and their model",
    "calls/s, busy: of the last two seconds",
    "queue: connections that wait for a worker",
    "died: workers that ended unasked",
)


class FleetBoard(Board[InstanceLine]):
    """The state of the screen."""

    def __init__(self) -> None:
        super().__init__(INSTANCE_SORTS, instance_order)
        self.title = ""
        """What is said of all; empty before the first look."""
        self._known: list[InstanceLine] = []
        self._table: tuple[int, list[Row]] | None = None

    def update(self, lines: list[InstanceLine], title: str) -> None:
        """Take in what is known by now."""
        if lines is not self._known:
            self._known, self.title = lines, title
            self._sought = self.selected_line
            self._arrange()

    def table(self, columns: int) -> list[Row]:
        """The titles and all rows, which stay the same until there are news or another order."""
        if self._table is None or self._table[0] != columns:
            self._table = columns, _table(self.lines, columns)
        return self._table[1]

    def _arrange(self) -> None:
        self._place(sorted_instances(self._known, self.order))
        self._table = None

    def _identity(self, line: InstanceLine) -> tuple[Target]:
        return (line.state.target,)


def draw_fleet(board: FleetBoard, rows: int, columns: int) -> list[Fragment]:
    """The screen, without a newline at its end."""
    if board.with_help:
        return help_screen(_HELP, _READING, rows, columns)
    return screen(_body(board, rows - 1, columns), _keys(board, columns), rows, columns)


def _body(board: FleetBoard, rows: int, columns: int) -> list[Row]:
    if not board.title:
        return [[(FAINT, "asking the instances what they do…")]]
    head: list[Row] = [[(BOLD, board.title), (FAINT, f" · {time.strftime('%H:%M:%S')}")], []]
    below = _details(board) if board.with_details else _problems(board.lines)
    below = below[: max(rows // 3, 0)]
    table = board.table(columns)
    room = max(rows - len(head) - _HEADING - len(below), 1)
    seen = len(board.show(room))
    shown = table[_HEADING:][board.first : board.first + seen]
    chosen = board.selected - board.first
    shown = [selected(row, columns) if at == chosen else row for at, row in enumerate(shown)]
    # What is at the bottom stays at the bottom.
    return [*head, *table[:_HEADING], *shown, *([] for _ in range(room - len(shown))), *below]


def _table(lines: list[InstanceLine], columns: int) -> list[Row]:
    """A heading of two rows, and a row for each line, with as many columns as there is room for."""
    every = list(map(instance_row, lines))
    fewest = [{name: row[name] for name in ("instance", "state")} for row in every]
    for rows in (fitting(every, columns, SPARE), fewest):
        table = _split(render_table(rows, columns)) if rows else []
        if len(table) == _HEADING + len(lines):
            return table
    return [[("", "instance")], [], *([("", visible(str(line.state.target)))] for line in lines)]


def _split(pieces: Iterable[Fragment]) -> list[Row]:
    """Pieces that end in newlines, as rows."""
    rows: list[Row] = [[]]
    for style, text in pieces:
        first, *more = text.split("\n")
        rows[-1].append((style, first))
        rows += [[(style, one)] for one in more]
    return rows[:-1]


def _problems(lines: list[InstanceLine]) -> list[Row]:
    told = [line for line in lines if line.problem]
    found: list[Row] = [[(FAINT, visible(f"{line.state.target}: {line.problem}"))] for line in told[:_MOST_PROBLEMS]]
    if len(told) > _MOST_PROBLEMS:
        found.append([(FAINT, f"and {len(told) - _MOST_PROBLEMS} more")])
    return found


def _details(board: FleetBoard) -> list[Row]:
    """What is known of the selected instance that its row does not tell."""
    if (line := board.selected_line) is None:
        return []
    state, reading = line.state, line.reading
    about = [
        f"service {state.service} {state.version}".rstrip() if state.service or state.version else "",
        f"generation {state.generation if reading is None else reading.generation}",
        f"weight {state.weight}",
        f"metrics {state.metrics}" if state.metrics else "",
    ]
    here = f"of this shell: {count_of(state.calls, 'call')}, {state.failed} failed, {state.outstanding} under way"
    found: list[Row] = [[(BOLD, visible(str(state.target)))]]
    found += [[("", visible(" · ".join(filter(None, about))))], [("", here)]]
    found += [[(FAINT, visible(text))] for text in dict.fromkeys((state.problem, line.problem)) if text]
    return found


def _keys(board: FleetBoard, columns: int) -> Row:
    keys = (
        ("q", "quit"),
        ("?", "help"),
        ("s", f"sort {board.order.name}{'▾' if board.order.falling else '▴'}"),
        ("↑↓", "select"),
        ("Enter", "details"),
        ("r", "reverse"),
    )
    return key_row(keys, ("↑↓", "s", "r", "Enter", "?", "q"), columns)
