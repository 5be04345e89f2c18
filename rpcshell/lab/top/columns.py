"""The columns of workers, `COLUMNS`, which of them a screen has room for, and the order of the rows."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.view.bars import bar, sparkline
from rpcshell.view.escape import visible
from rpcshell.view.pretty import STRING
from rpcshell.view.styles import FAINT, FULL, HIGH, LOW
from rpcshell.view.units import brief_count, brief_duration, brief_rate, size, size_or_dash
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rpcshell.lab.top.feed import WorkerLine
    from rpcshell.view.pretty import Fragment

_GAP: Final = 1
_LONGEST_CALL: Final = 32
_LONGEST_HISTORY: Final = 30
_HALF: Final = 0.5
_MOST: Final = 0.8


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column. It has `text` in one `style`, or else `pieces`, which are drawn to its width and a highest rate."""

    name: str
    """What it is called where rows are sorted by it."""
    title: str
    rank: int
    """How much it matters; where room is scarce those with the highest go first."""
    least: int
    """How wide it is at least."""
    right: bool = True
    """Whether its cells end at its right edge."""
    key: Callable[[WorkerLine], Any] | None = None
    """What rows are sorted by, or None where they are not."""
    falling: bool = True
    """Whether the highest comes first, unless asked for otherwise."""
    text: Callable[[WorkerLine], str] = lambda _line: ""
    style: Callable[[WorkerLine], str] = lambda _line: ""
    pieces: Callable[[WorkerLine, int, float], list[Fragment]] | None = None
    most: Callable[[Sequence[WorkerLine]], int] = lambda _lines: 0
    """How wide it may become where there is room to spare."""


class RowOrder(msgspec.Struct, frozen=True):
    """By which column rows are sorted, and whether its highest comes first."""

    name: str = "worker"
    falling: bool = False

    @classmethod
    def by(cls, name: str) -> RowOrder:
        """The order that one expects of a column."""
        return cls(name, _BY_NAME[name].falling)


def level_style(share: float) -> str:
    """How something is coloured that is good while it is low, from 0 to 1."""
    return LOW if share < _HALF else HIGH if share < _MOST else FULL


_STATES: Final = {
    "busy": LOW,
    "starting": HIGH,
    "draining": HIGH,
    "aborting": FULL,
    "stalled": FULL,
}


def _call(line: WorkerLine, width: int | None = None) -> str:
    """The call that a worker is in, since when, and how many more; its name is cut before these."""
    call = line.status.call
    if call is None:
        return "-"
    several = f" +{line.status.calls_running - 1}" if line.status.calls_running > 1 else ""
    since = f" {brief_duration(call.seconds)}{several}"
    name = visible(call.method)
    return (name if width is None else cut(name, max(width - cells(since), 1))) + since


def _call_pieces(line: WorkerLine, width: int, _highest: float) -> list[Fragment]:
    return [("" if line.status.call else FAINT, pad(cut(_call(line, width), width), width))]


def _busy_bar_pieces(line: WorkerLine, width: int, _highest: float) -> list[Fragment]:
    full, rest = bar(line.busy, width)
    return [(level_style(line.busy), full), (FAINT, rest)]


COLUMNS: Final = (
    Column(name="worker", title="W", rank=0, least=3, key=attrgetter("status.worker"), falling=False,
           text=lambda line: str(line.status.worker)),
    Column(name="pid", title="PID", rank=7, least=5, key=attrgetter("status.pid"), falling=False,
           text=lambda line: str(line.status.pid)),
    Column(name="state", title="STATE", rank=1, least=8, right=False,
           text=attrgetter("status.activity"), style=lambda line: _STATES.get(line.status.activity, "")),
    Column(name="call", title="CALL", rank=2, least=12, right=False, pieces=_call_pieces,
           key=lambda line: -1.0 if line.status.call is None else line.status.call.seconds,
           most=lambda lines: min(max((cells(_call(line)) for line in lines), default=0), _LONGEST_CALL)),
    Column(name="connections", title="CONN", rank=5, least=4, key=attrgetter("status.connections"),
           text=lambda line: brief_count(line.status.connections)),
    Column(name="calls", title="CALLS", rank=8, least=6, key=attrgetter("status.calls"),
           text=lambda line: brief_count(line.status.calls)),
    Column(name="rate", title="CALLS/s", rank=3, least=7, key=lambda line: line.rate or 0.0,
           text=lambda line: brief_rate(line.rate)),
    Column(name="history", title="LATELY", rank=9, least=8, right=False,
           pieces=lambda line, width, highest: [(STRING, sparkline(line.history, width, highest))],
           most=lambda _lines: _LONGEST_HISTORY),
    Column(name="errors", title="ERR", rank=6, least=4, key=attrgetter("status.errors"),
           text=lambda line: brief_count(line.status.errors),
           style=lambda line: HIGH if line.status.errors else FAINT),
    Column(name="busy", title="BUSY", rank=4, least=5, key=attrgetter("busy"), text=lambda line: f"{line.busy:.0%}"),
    Column(name="bar", title="", rank=11, least=6, right=False, pieces=_busy_bar_pieces),
    Column(name="pss", title="PSS", rank=10, least=7, key=lambda line: line.status.pss or 0,
           text=lambda line: size_or_dash(line.status.pss)),
    Column(name="uss", title="USS", rank=14, least=7, key=lambda line: line.status.uss or 0,
           text=lambda line: size_or_dash(line.status.uss)),
    Column(name="rss", title="RSS", rank=15, least=7, key=attrgetter("status.memory"),
           text=lambda line: size(line.status.memory)),
    Column(name="age", title="AGE", rank=12, least=6, key=attrgetter("status.age"),
           text=lambda line: brief_duration(line.status.age)),
    Column(name="generation", title="GEN", rank=13, least=4, key=attrgetter("status.generation"),
           text=lambda line: str(line.status.generation)),
)  # fmt: skip
"""All of them, as they stand beside each other: the only place that knows a column."""

SORTS: Final = tuple(column.name for column in COLUMNS if column.key is not None)
"""The names of those that rows can be sorted by, in the order in which they are gone through."""

_BY_NAME: Final = {column.name: column for column in COLUMNS}


def choose(width: int, order: RowOrder, lines: Sequence[WorkerLine] = ()) -> list[tuple[Column, int]]:
    """The columns that a screen has room for, and how wide each is.

    The worker's number and the column that rows are sorted by come first, then whatever matters most. What is left
    over goes to those that can use it. A wide cell of the rows makes its column wide.
    """
    wanted = {column.name: _width(column, order, lines) for column in COLUMNS}
    chosen: dict[str, int] = {}
    room = width
    for column in sorted(COLUMNS, key=lambda one: (one.rank > 0, one.name != order.name, one.rank)):
        needed = wanted[column.name] + (_GAP if chosen else 0)
        if needed > room and chosen:
            break
        chosen[column.name] = wanted[column.name]
        room -= needed
    shown = [column for column in COLUMNS if column.name in chosen]
    for column in shown:
        more = min(room, max(column.most(lines) - chosen[column.name], 0))
        chosen[column.name] += more
        room -= more
    return [(column, chosen[column.name]) for column in shown]


def sorted_lines(lines: Iterable[WorkerLine], order: RowOrder) -> list[WorkerLine]:
    """Rows in an order; those that are equal in it by their numbers."""
    key = _BY_NAME[order.name].key
    by_number = sorted(lines, key=lambda line: (line.status.worker, line.status.age))
    return by_number if key is None else sorted(by_number, key=key, reverse=order.falling)


def titles(columns: Sequence[tuple[Column, int]], order: RowOrder) -> list[Fragment]:
    """What stands above the chosen columns; that of the sorted one has an arrow."""
    pieces: list[Fragment] = []
    for place, (column, width) in enumerate(columns):
        sorting = column.name == order.name
        text = pad(_title(column, order), width, right=column.right)
        pieces += [("", " " * (_GAP if place else 0)), ("bold" if sorting else FAINT, cut(text, width))]
    return pieces


def row(line: WorkerLine, columns: Sequence[tuple[Column, int]], highest: float) -> list[Fragment]:
    """A worker in the chosen columns; `highest` is the rate of the highest mark of histories."""
    pieces: list[Fragment] = []
    for place, (column, width) in enumerate(columns):
        pieces.append(("", " " * (_GAP if place else 0)))
        if column.pieces is not None:
            pieces += column.pieces(line, width, highest)
        else:
            pieces.append((column.style(line), pad(cut(column.text(line), width), width, right=column.right)))
    return pieces


def _title(column: Column, order: RowOrder) -> str:
    return column.title + ("" if column.name != order.name else "▾" if order.falling else "▴")


def _width(column: Column, order: RowOrder, lines: Sequence[WorkerLine]) -> int:
    widest = max((cells(column.text(line)) for line in lines), default=0)
    return max(column.least, cells(_title(column, order)), widest)
