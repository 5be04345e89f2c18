"""What a lesson looks like: headings, moments with their time, pictures and tables, through the shell's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from rpcshell.lab.lesson.pictures import count_boxes, gauge, worker_boxes
from rpcshell.lab.lesson.typesetting import fill, typeset
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcshell.lab.lesson.texts import StepText, Texts
    from rpcshell.shell.output import Output
    from rpcshell.view.pretty import Fragment
    from rpcwire.control import ServerStatus

__all__ = ["WIDEST", "Page", "Teller"]

WIDEST: Final = 80
"""Columns of a page; longer lines are hard to read."""

_TITLE: Final = "class:out"
_FAINT: Final = "class:footer"
_COMMAND: Final = "class:command"
_MARGIN: Final = "    "
_GAP: Final = "  "


class Teller(Protocol):
    """Takes what a step has to tell."""

    def moment(self, at: float, name: str, values: dict[str, Any]) -> None:
        """Tell what happened.

        Args:
            at: Seconds since the step began.
            name: Of the moment.
            values: Its figures.
        """

    def status(self, status: ServerStatus, *, queue: bool) -> None:
        """Draw a server's workers.

        Args:
            status: What it told.
            queue: Whether its listen queue is drawn too.
        """

    def shares(self, counts: Sequence[int]) -> None:
        """Draw how many connections each worker took."""

    def models(self, rows: Sequence[dict[str, str]]) -> None:
        """Show the table of models."""

    def so(self, values: dict[str, Any]) -> None:
        """Tell what follows from it all."""


class Page:
    """Shows one step.

    Args:
        output: Where.
        texts: All texts in the language of the lesson.
        step: Those of the step.
        columns: Of the screen.
    """

    def __init__(self, output: Output, texts: Texts, step: StepText, columns: int) -> None:
        self._output = output
        self._texts = texts
        self._step = step
        self._columns = min(columns, WIDEST)

    def open(self, number: int, count: int) -> None:
        """Show the heading, and the lines that explain the step.

        Args:
            number: Of the step.
            count: How many there are.
        """
        title = cut(f"── {number}/{count} · {self._step.title} ", self._columns)
        rule = "─" * (self._columns - cells(title))
        about = fill([("", self._step.about)], self._columns)
        self._show([[("", "")], [(_TITLE, title), (_FAINT, rule)], *about, [("", "")]])

    def close(self) -> None:
        """Show what can be tried without the lesson."""
        lines: list[list[Fragment]] = [[(_FAINT, self._texts.words.try_it)]]
        column = max(cells(one.line) for one in self._step.tries)
        beside = len(_MARGIN) + column + len(_GAP) < self._columns // 2
        for one in self._step.tries:
            if one.shows and beside:
                prefix = (_COMMAND, f"{_MARGIN}{pad(one.line, column)}{_GAP}")
                lines += fill([(_FAINT, one.shows)], self._columns, prefix=prefix)
                continue
            lines.append([(_COMMAND, _MARGIN + one.line)])
            if one.shows:
                lines += fill([(_FAINT, one.shows)], self._columns, prefix=("", _MARGIN * 2))
        self._show(lines)

    def moment(self, at: float, name: str, values: dict[str, Any]) -> None:
        """Tell what happened, and when."""
        pieces = typeset(self._step.moments[name], values)
        self._show(fill(pieces, self._columns, prefix=(_FAINT, f"{at:6.2f} s  ")))

    def status(self, status: ServerStatus, *, queue: bool) -> None:
        """Draw the workers, and the listen queue if it is to be."""
        words = self._texts.words
        numbers = status.model != "sync"
        rows = [(words.workers, worker_boxes(status.workers, words, numbers=numbers))]
        if queue:
            rows += [
                (words.queue, gauge(listener.waiting, listener.limit))
                for listener in status.listeners
                if listener.waiting is not None and listener.limit
            ]
        self._draw(rows)

    def shares(self, counts: Sequence[int]) -> None:
        """Draw how many connections each worker took."""
        self._draw([(self._texts.words.took, count_boxes(counts))])

    def models(self, rows: Sequence[dict[str, str]]) -> None:
        """Show the table of models, and below it what its columns mean."""
        from rpcshell.view.table import Figure, render_table

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
            lines += fill([(_FAINT, meaning)], self._columns, prefix=("", f"{pad(title, widest)}{_GAP}"))
        self._show(lines)

    def so(self, values: dict[str, Any]) -> None:
        """Tell what follows."""
        pieces = typeset(self._step.so, values, _TITLE)
        self._show([[("", "")], *fill(pieces, self._columns, prefix=(_TITLE, "=> "))])

    def _draw(self, rows: Iterable[tuple[str, list[Fragment]]]) -> None:
        words = self._texts.words
        column = max(cells(title) for title in (words.workers, words.queue, words.took))
        lines: list[list[Fragment]] = []
        for title, pieces in rows:
            lines += _boxed(pieces, self._columns, (_FAINT, f"{_MARGIN * 2}{pad(title, column)}{_GAP}"))
        self._show(lines)

    def _show(self, lines: Iterable[Sequence[Fragment]]) -> None:
        self._output.pieces([piece for line in lines for piece in (*line, ("", "\n"))])


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
