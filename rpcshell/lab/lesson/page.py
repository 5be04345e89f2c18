"""What a lesson looks like: headings, moments with their time, pictures and tables, and text that fits a screen."""

from __future__ import annotations

import string
import time
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final
from unicodedata import category

from rpcshell.view.escape import visible
from rpcshell.view.pretty import NUMBER
from rpcshell.view.styles import COMMAND, FAINT, FULL, HIGH, LOW, TITLE
from rpcshell.view.table import Figure, render_table
from rpcshell.view.units import duration, number
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rpcshell.lab.lesson.texts import StepText, Texts, Words
    from rpcshell.shell.output import Output
    from rpcshell.view.pretty import Fragment
    from rpcwire.control import ServerStatus, WorkerStatus

WIDEST: Final = 80
"""Columns of a page; longer lines are hard to read."""

_MARGIN: Final = "    "
_GAP: Final = "  "

_MARKS: Final = {"idle": (LOW, " "), "held": (HIGH, "▪"), "busy": (FULL, "▮"), "starting": (FAINT, "·")}

_GAUGE: Final = 8

_NOT_FIRST: Final = frozenset({"Pe", "Pf", "Po"})
"""Categories of characters that no line begins with: closing brackets and quotes, and most other marks."""

_NOT_LAST: Final = frozenset({"Ps", "Pi"})
"""Those that no line ends with: opening ones."""

_MILLISECOND: Final = 0.001


class Page:
    """Shows one step, which tells it what happens, with its own texts and those that all steps share.

    Pauses are `pace` times as long as needed, so that somebody can follow.
    """

    def __init__(self, output: Output, texts: Texts, step: StepText, columns: int, *, pace: float = 1.0) -> None:
        self._output = output
        self._texts = texts
        self._step = step
        self._columns = min(columns, WIDEST)
        self._pace = pace
        self._began = time.monotonic()

    def open(self, number: int, count: int) -> None:
        """Show the heading, and the lines that explain the step."""
        title = cut(f"── {number}/{count} · {self._step.title} ", self._columns)
        rule = "─" * (self._columns - cells(title))
        about = fill([("", self._step.about)], self._columns)
        show_lines(self._output, [[("", "")], [(TITLE, title), (FAINT, rule)], *about, [("", "")]])

    def close(self) -> None:
        """Show what can be tried without the lesson."""
        lines: list[list[Fragment]] = [[(FAINT, self._texts.words.try_it)]]
        column = max(cells(one.line) for one in self._step.tries)
        beside = len(_MARGIN) + column + len(_GAP) < self._columns // 2
        for one in self._step.tries:
            if one.shows and beside:
                prefix = (COMMAND, f"{_MARGIN}{pad(one.line, column)}{_GAP}")
                lines += fill([(FAINT, one.shows)], self._columns, prefix=prefix)
                continue
            lines.append([(COMMAND, _MARGIN + one.line)])
            if one.shows:
                lines += fill([(FAINT, one.shows)], self._columns, prefix=("", _MARGIN * 2))
        show_lines(self._output, lines)

    def pause(self, seconds: float) -> None:
        """Leave things as they are for a moment, so many seconds at least."""
        time.sleep(seconds * self._pace)

    def tell(self, moment: str, **figures: Any) -> None:
        """Tell what has just happened."""
        at = f"{time.monotonic() - self._began:6.2f} s  "
        pieces = typeset(self._step.moments[moment], figures)
        show_lines(self._output, fill(pieces, self._columns, prefix=(FAINT, at)))

    def draw(self, status: ServerStatus, *, queue: bool = True) -> None:
        """Draw the workers of a server, with its listen queue where that says something here."""
        words = self._texts.words
        rows = [(words.workers, _worker_boxes(status.workers, words, numbers=status.concurrent))]
        if queue:
            rows += [
                (words.queue, _gauge(listener.waiting, listener.limit))
                for listener in status.listeners
                if listener.waiting is not None and listener.limit
            ]
        self._draw(rows)

    def draw_shares(self, counts: Sequence[int]) -> None:
        """Draw how many connections each worker took."""
        width = max(len(str(count)) for count in counts)
        boxes = [(HIGH if count else LOW, f"[{count:>{width}}]") for count in counts]
        self._draw([(self._texts.words.took, boxes)])

    def show_models(self, rows: Sequence[dict[str, str]]) -> None:
        """Show the table of models, and below it what its columns mean."""
        columns = self._texts.columns
        table = [
            {columns[name].title: Figure(value) if columns[name].meaning else value for name, value in row.items()}
            for row in rows
        ]
        self._output.pieces([("", "\n"), *render_table(table, self._columns)])
        meanings = [(column.title, column.meaning) for column in columns.values() if column.meaning]
        widest = max(cells(title) for title, _ in meanings)
        lines: list[list[Fragment]] = [[("", "")]]
        for title, meaning in meanings:
            lines += fill([(FAINT, meaning)], self._columns, prefix=("", f"{pad(title, widest)}{_GAP}"))
        show_lines(self._output, lines)

    def conclude(self, **figures: Any) -> None:
        """Tell what follows from it all."""
        pieces = typeset(self._step.so, figures, TITLE)
        show_lines(self._output, [[("", "")], *fill(pieces, self._columns, prefix=(TITLE, "=> "))])

    def _draw(self, rows: Iterable[tuple[str, list[Fragment]]]) -> None:
        words = self._texts.words
        column = max(cells(title) for title in (words.workers, words.queue, words.took))
        lines: list[list[Fragment]] = []
        for title, pieces in rows:
            lines += _boxed(pieces, self._columns, (FAINT, f"{_MARGIN * 2}{pad(title, column)}{_GAP}"))
        show_lines(self._output, lines)


def show_lines(output: Output, lines: Iterable[Sequence[Fragment]]) -> None:
    """Show lines of styled text, which do not end in a newline."""
    output.pieces([piece for line in lines for piece in (*line, ("", "\n"))])


def _boxed(pieces: Sequence[Fragment], columns: int, prefix: Fragment) -> list[list[Fragment]]:
    """Lines of boxes, none of which is torn apart."""
    lines: list[list[Fragment]] = [[prefix]]
    margin = used = cells(prefix[1])
    for style, text in pieces:
        if used + cells(text) > columns and used > margin:
            lines.append([("", " " * margin)])
            used = margin
            text = text.lstrip()  # noqa: PLW2901  (what stood between it and its neighbour)
        lines[-1].append((style, text))
        used += cells(text)
    return lines


def _worker_boxes(workers: Sequence[WorkerStatus], words: Words, *, numbers: bool) -> list[Fragment]:
    """A box for each worker, with its number of connections or else its kind, and how many of each kind there are."""
    kinds = [_kind(worker) for worker in workers]
    boxes: list[Fragment] = []
    for worker, kind in zip(workers, kinds, strict=True):
        style, mark = _MARKS[kind]
        boxes.append((style, f"[{worker.connections if numbers and kind != 'starting' else mark}]"))
    if numbers:
        connections = sum(worker.connections for worker in workers)
        return [*boxes, (FAINT, _GAP + words.connections.format(count=connections))]
    names = {"idle": words.idle, "held": words.held, "busy": words.busy, "starting": words.starting}
    for kind, (_, mark) in _MARKS.items():
        if count := kinds.count(kind):
            boxes.append((FAINT, _GAP + f"{mark} {names[kind].format(count=count)}".lstrip()))
    return boxes


def _gauge(waiting: int, limit: int) -> list[Fragment]:
    """How full a queue is."""
    share = min(waiting / limit, 1.0)
    # One that waits among a thousand is to be seen.
    full = max(round(share * _GAUGE), 1 if waiting else 0)
    style = FULL if share >= 1 else HIGH
    return [(style, "▮" * full), (FAINT, "▯" * (_GAUGE - full)), ("", f" {waiting}/{limit}")]


def _kind(worker: WorkerStatus) -> str:
    if worker.state != "ready":
        return "starting"
    if worker.call is not None:
        return "busy"
    return "held" if worker.connections else "idle"


def span(seconds: float) -> str:
    """A time in its own unit, from microseconds on."""
    if 0 < seconds < _MILLISECOND:
        return f"{max(round(seconds * 1e6), 1)} µs"
    return duration(seconds).replace(".0 s", " s")


def typeset(template: str, values: Mapping[str, Any], style: str = "") -> list[Fragment]:
    """A text with its figures at their places, as in `str.format`; `:time` is for seconds, `:count` for many."""
    pieces: list[Fragment] = []
    for text, name, spec, _ in string.Formatter().parse(template):
        if text:
            pieces.append((style, text))
        if name is not None:
            value = values[name]
            shown = span(value) if spec == "time" else number(value) if spec == "count" else visible(str(value))
            pieces.append((NUMBER, shown))
    return pieces


def fill(pieces: Iterable[Fragment], columns: int, *, prefix: Fragment = ("", "")) -> list[list[Fragment]]:
    """Lines of a text that are no wider than a screen, unless a word alone is. The later ones begin below the first."""
    used = cells(prefix[1])
    margin = min(used, columns // 2)
    lines: list[list[Fragment]] = [[prefix]]
    space: list[Fragment] = []
    for chunk in _chunks(pieces):
        if chunk[0][1] == " ":
            # What begins a line has none before it.
            space = chunk if len(lines[-1]) > 1 else []
            continue
        width = sum(cells(text) for _, text in chunk)
        if len(lines[-1]) > 1 and used + len(space) + width > columns:
            lines.append([("", " " * margin)])
            used, space = margin, []
        lines[-1] += space + chunk
        used += len(space) + width
        space = []
    return [
        [(style, "".join(text for _, text in alike)) for style, alike in groupby(line, itemgetter(0))] for line in lines
    ]


def _chunks(pieces: Iterable[Fragment]) -> Iterator[list[Fragment]]:
    """Characters that stay together: words, and ideographs with their punctuation; a space is a chunk of its own."""
    chunk: list[Fragment] = []
    for style, text in pieces:
        for character in text:
            if chunk and _may_part(chunk[-1][1], character):
                yield chunk
                chunk = []
            chunk.append((style, character))
    if chunk:
        yield chunk


def _may_part(before: str, after: str) -> bool:
    if " " in (before, after):
        return True
    wide = cells(before) > 1 or cells(after) > 1
    return wide and category(after) not in _NOT_FIRST and category(before) not in _NOT_LAST
