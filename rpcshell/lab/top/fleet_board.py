"""A fleet on the whole screen: which instance is selected, how they are sorted, what is drawn. No terminal in here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.top.columns import FAINT
from rpcshell.lab.top.instance_table import (
    INSTANCE_ORDER,
    INSTANCE_SORTS,
    SPARE,
    instance_order,
    instance_row,
    sorted_instances,
)
from rpcshell.lab.top.rows import BOLD, LEAVING, Row, first_shown, help_rows, joined, key_row, moved, selected
from rpcshell.view.escape import visible
from rpcshell.view.table import fitting, render_table
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcshell.client.target import Target
    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.view.pretty import Fragment

__all__ = ["FleetBoard", "draw_fleet"]

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


class FleetBoard:
    """The state of the screen."""

    def __init__(self) -> None:
        self.title = ""
        self.order = INSTANCE_ORDER
        self.lines: list[InstanceLine] | None = None
        """The rows, in order; None before the first look."""
        self.selected = 0
        self.first = 0
        """The row that is drawn first."""
        self.page = 1
        """How many rows are drawn."""
        self.with_help = self.with_details = self.left = False
        self._news: list[InstanceLine] | None = None
        self._table: tuple[int, list[Row]] | None = None

    @property
    def selected_line(self) -> InstanceLine | None:
        """The selected row."""
        return self.lines[self.selected] if self.lines else None

    def update(self, lines: list[InstanceLine], title: str) -> None:
        """Take in what is known by now."""
        if lines is not self._news:
            self._news, self.title = lines, title
            self._arrange()

    def table(self, columns: int) -> list[Row]:
        """The titles and all rows, which stay the same until there are news or another order."""
        if self._table is None or self._table[0] != columns:
            self._table = columns, _table(self.lines or [], columns)
        return self._table[1]

    def press(self, key: str) -> None:
        """Do what a key does."""
        if key in LEAVING:
            self.left = True
        elif self.with_help:
            self.with_help = False
        elif key in {"q", "escape"}:
            self.left, self.with_details = not self.with_details, False
        elif (row := moved(key, self.selected, self.page, len(self.lines or ()))) is not None:
            self.selected = row
        else:
            self._do(key)

    def _do(self, key: str) -> None:
        at = INSTANCE_SORTS.index(self.order.name)
        match key:
            case "s" | ">":
                self.order = instance_order(INSTANCE_SORTS[(at + 1) % len(INSTANCE_SORTS)])
            case "S" | "<":
                self.order = instance_order(INSTANCE_SORTS[at - 1])
            case "r":
                self.order = self.order.turned_round()
            case "enter":
                self.with_details = not self.with_details
            case "?" | "h" | "f1":
                self.with_help = True
        self._arrange()

    def _arrange(self) -> None:
        """Put the rows in order; the selected instance stays selected, or the one that took its place."""
        if self._news is None:
            return
        sought: Target | None = None if (line := self.selected_line) is None else line.state.target
        self.lines, self._table = sorted_instances(self._news, self.order), None
        places = (at for at, line in enumerate(self.lines) if line.state.target == sought)
        self.selected = next(places, min(self.selected, max(len(self.lines) - 1, 0)))


def draw_fleet(board: FleetBoard, rows: int, columns: int) -> list[Fragment]:
    """The screen, without a newline at its end."""
    if board.with_help:
        body, bottom = help_rows(_HELP, _READING, columns), [(FAINT, "any key goes back")]
    else:
        body, bottom = _body(board, rows - 1, columns), _keys(board, columns)
    body = body[: max(rows - 1, 0)]
    body += [[] for _ in range(rows - 1 - len(body))]
    return joined([*body, bottom], columns)


def _body(board: FleetBoard, rows: int, columns: int) -> list[Row]:
    if board.lines is None:
        return [[(FAINT, "asking the instances what they do…")]]
    head: list[Row] = [[(BOLD, board.title), (FAINT, f" · {time.strftime('%H:%M:%S')}")], []]
    below = _details(board) if board.with_details else _problems(board.lines)
    below = below[: max(rows // 3, 0)]
    table = board.table(columns)
    room = max(rows - len(head) - _HEADING - len(below), 1)
    board.page = room
    board.first = first_shown(board.first, board.selected, room, len(board.lines))
    shown = table[_HEADING:][board.first : board.first + room]
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
