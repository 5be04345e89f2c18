"""The columns of workers: what stands in them, which of them a screen has room for, and the order of the rows."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.lab.top.sparkline import amount, bar, brief, rate, sparkline
from rpcshell.view.escape import visible
from rpcshell.view.pretty import STRING
from rpcshell.view.units import size
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rpcshell.lab.top.tracking import WorkerLine
    from rpcshell.view.pretty import Fragment

__all__ = ["COLUMNS", "FAINT", "SORTS", "Column", "Order", "choose", "level_style", "row", "sorted_lines", "titles"]

FAINT: Final = "class:footer"

_GAP: Final = 1
_LONGEST_CALL: Final = 32
_LONGEST_HISTORY: Final = 30
_HALF: Final = 0.5
_MOST: Final = 0.8


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column.

    Attributes:
        name: What it is called where rows are sorted by it.
        title: What stands above it.
        rank: How much it matters; where room is scarce those with the highest go first.
        least: How wide it is at least.
        most: How wide it may become where there is room to spare.
        right: Whether its cells end at its right edge.
        key: What rows are sorted by, or None where they are not.
        falling: Whether the highest comes first, unless asked for otherwise.
        text: What stands in it; not what is drawn in pieces.
    """

    name: str
    title: str
    rank: int
    least: int
    most: int = 0
    right: bool = True
    key: Callable[[WorkerLine], Any] | None = None
    falling: bool = True
    text: Callable[[WorkerLine], str] = lambda _line: ""


class Order(msgspec.Struct, frozen=True):
    """By which column rows are sorted.

    Attributes:
        name: The column's.
        falling: Whether the highest comes first.
    """

    name: str = "worker"
    falling: bool = False

    @classmethod
    def by(cls, name: str) -> Order:
        """The order that one expects of a column.

        Args:
            name: The column's.
        """
        return cls(name, _BY_NAME[name].falling)


def _state(line: WorkerLine) -> str:
    """What a worker is about, in a word."""
    worker = line.status
    return worker.state if worker.call is None or worker.state != "ready" else "busy"


def _call_seconds(line: WorkerLine) -> float:
    return -1.0 if line.status.call is None else line.status.call.seconds


COLUMNS: Final = (
    Column(name="worker", title="W", rank=0, least=3, key=attrgetter("status.worker"), falling=False,
           text=lambda line: str(line.status.worker)),
    Column(name="pid", title="PID", rank=7, least=5, key=attrgetter("status.pid"), falling=False,
           text=lambda line: str(line.status.pid)),
    Column(name="state", title="STATE", rank=1, least=8, right=False, text=_state),
    Column(name="call", title="CALL", rank=2, least=12, most=_LONGEST_CALL, right=False, key=_call_seconds),
    Column(name="connections", title="CONN", rank=5, least=4, key=attrgetter("status.connections"),
           text=lambda line: amount(line.status.connections)),
    Column(name="calls", title="CALLS", rank=8, least=6, key=attrgetter("status.calls"),
           text=lambda line: amount(line.status.calls)),
    Column(name="rate", title="CALLS/s", rank=3, least=7, key=lambda line: line.rate or 0.0,
           text=lambda line: rate(line.rate)),
    Column(name="history", title="LATELY", rank=9, least=8, most=_LONGEST_HISTORY, right=False),
    Column(name="errors", title="ERR", rank=6, least=4, key=attrgetter("status.errors"),
           text=lambda line: amount(line.status.errors)),
    Column(name="busy", title="BUSY", rank=4, least=5, key=attrgetter("busy"), text=lambda line: f"{line.busy:.0%}"),
    Column(name="bar", title="", rank=11, least=6, right=False),
    Column(name="rss", title="RSS", rank=10, least=7, key=attrgetter("status.memory"),
           text=lambda line: size(line.status.memory)),
    Column(name="age", title="AGE", rank=12, least=6, key=attrgetter("status.age"),
           text=lambda line: brief(line.status.age)),
    Column(name="generation", title="GEN", rank=13, least=4, key=attrgetter("status.generation"),
           text=lambda line: str(line.status.generation)),
)  # fmt: skip
"""All of them, as they stand beside each other."""

SORTS: Final = tuple(column.name for column in COLUMNS if column.key is not None)
"""The names of those that rows can be sorted by, in the order in which they are gone through."""

_BY_NAME: Final = {column.name: column for column in COLUMNS}


def choose(width: int, order: Order, lines: Sequence[WorkerLine] = ()) -> list[tuple[Column, int]]:
    """The columns that there is room for, and how wide each is.

    The worker's number and the column that rows are sorted by come first, then whatever matters most. What is left
    over goes to those that can use it.

    Args:
        width: Of the screen.
        order: How rows are sorted.
        lines: The rows; a wide cell makes its column wide.
    """
    wanted = _widths(order, lines)
    chosen: dict[str, int] = {}
    room = width
    for column in sorted(COLUMNS, key=lambda one: (one.rank > 0, one.name != order.name, one.rank)):
        needed = wanted[column.name] + (_GAP if chosen else 0)
        if needed > room and chosen:
            break
        chosen[column.name] = wanted[column.name]
        room -= needed
    longest = max((cells(_call(line)) for line in lines), default=0)
    for name, most in (("call", min(longest, _LONGEST_CALL)), ("history", _LONGEST_HISTORY)):
        if name in chosen and room > 0:
            more = min(room, max(most - chosen[name], 0))
            chosen[name] += more
            room -= more
    return [(column, chosen[column.name]) for column in COLUMNS if column.name in chosen]


def sorted_lines(lines: Iterable[WorkerLine], order: Order) -> list[WorkerLine]:
    """Rows in an order; those that are equal in it by their numbers.

    Args:
        lines: The rows.
        order: Which.
    """
    key = _BY_NAME[order.name].key
    by_number = sorted(lines, key=lambda line: (line.status.worker, line.status.age))
    return by_number if key is None else sorted(by_number, key=key, reverse=order.falling)


def titles(columns: Sequence[tuple[Column, int]], order: Order) -> list[Fragment]:
    """What stands above the columns; that of the sorted one has an arrow.

    Args:
        columns: The chosen ones.
        order: How rows are sorted.
    """
    pieces: list[Fragment] = []
    for place, (column, width) in enumerate(columns):
        sorting = column.name == order.name
        text = pad(_title(column, order), width, right=column.right)
        pieces += [("", " " * (_GAP if place else 0)), ("bold" if sorting else FAINT, cut(text, width))]
    return pieces


def row(line: WorkerLine, columns: Sequence[tuple[Column, int]], highest: float) -> list[Fragment]:
    """A worker.

    Args:
        line: The worker.
        columns: The chosen ones.
        highest: The rate of the highest mark of histories.
    """
    pieces: list[Fragment] = []
    for place, (column, width) in enumerate(columns):
        pieces += [("", " " * (_GAP if place else 0)), *_cell(line, column, width, highest)]
    return pieces


def level_style(share: float) -> str:
    """How something is coloured that is good while it is low.

    Args:
        share: From 0 to 1.
    """
    return "class:top.low" if share < _HALF else "class:top.high" if share < _MOST else "class:top.full"


def _cell(line: WorkerLine, column: Column, width: int, highest: float) -> list[Fragment]:
    match column.name:
        case "history":
            return [(STRING, sparkline(line.history, width, highest))]
        case "bar":
            full, rest = bar(line.busy, width)
            return [(level_style(line.busy), full), (FAINT, rest)]
        case "call":
            text = cut(_call(line, width), width)
            return [("" if line.status.call else FAINT, pad(text, width))]
    text = cut(column.text(line), width)
    return [(_style(line, column), pad(text, width, right=column.right))]


def _style(line: WorkerLine, column: Column) -> str:
    match column.name:
        case "state":
            return _STATES.get(_state(line), "")
        case "errors":
            return "class:top.high" if line.status.errors else FAINT
    return ""


_STATES: Final = {
    "busy": "class:top.low",
    "ready": "",
    "starting": "class:top.high",
    "draining": "class:top.high",
    "aborting": "class:top.full",
}


def _call(line: WorkerLine, width: int | None = None) -> str:
    """The call that a worker is in, since when, and how many more; its name is cut before these."""
    call = line.status.call
    if call is None:
        return "-"
    several = f" +{line.status.calls_running - 1}" if line.status.calls_running > 1 else ""
    since = f" {brief(call.seconds)}{several}"
    name = visible(call.method)
    return (name if width is None else cut(name, max(width - cells(since), 1))) + since


def _title(column: Column, order: Order) -> str:
    return column.title + ("" if column.name != order.name else "▾" if order.falling else "▴")


def _widths(order: Order, lines: Sequence[WorkerLine]) -> dict[str, int]:
    found = {}
    for column in COLUMNS:
        widest = max((cells(column.text(line)) for line in lines), default=0)
        found[column.name] = max(column.least, cells(_title(column, order)), widest)
    return found
