"""The drawing of charts as SVG: a frame with its axes, lines and bars in it, and texts for those who do not see it.

Every chart is drawn twice, for wide and for narrow pages, so that its texts have the size of the page's; which one is
shown is the page's business, as are all colours: shapes have classes.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Frame", "Mark", "chart", "log_place", "polyline", "slot", "text", "x_axis", "y_axis"]

_WIDE: Final = 640
_NARROW: Final = 336
_DIGITS: Final = 1
_CHARACTER: Final = 7.5
"""What a character takes, about."""


class Mark(NamedTuple):
    """A place on an axis.

    Attributes:
        at: Where, from 0 to 1.
        text: What stands there.
    """

    at: float
    text: str


class Frame(NamedTuple):
    """Where a chart draws: its size, and what is kept free around the drawing.

    Attributes:
        width: Of the whole.
        height: Of the whole.
        left: Kept free for the axis at the left.
        right: Kept free at the right.
        top: Kept free at the top.
        bottom: Kept free for the axis at the bottom.
    """

    width: float
    height: float
    left: float = 58
    right: float = 14
    top: float = 24
    bottom: float = 40

    @property
    def narrow(self) -> bool:
        """Whether there is room for little."""
        return self.width < _WIDE

    @property
    def across(self) -> int:
        """How many marks there is room for at the bottom."""
        return int(self.columns // 62) + 1

    @property
    def columns(self) -> float:
        """The width of the drawing."""
        return self.width - self.left - self.right

    @property
    def rows(self) -> float:
        """The height of the drawing."""
        return self.height - self.top - self.bottom

    def x(self, part: float) -> float:
        """A place from the left edge of the drawing, 0, to its right one, 1."""
        return round(self.left + part * self.columns, _DIGITS)

    def y(self, part: float) -> float:
        """A place from the bottom of the drawing, 0, to its top, 1."""
        return round(self.top + (1 - part) * self.rows, _DIGITS)


def chart(name: str, title: str, description: str, draw: Callable[[Frame], str], height: float = 260) -> str:
    """A chart, drawn for wide and for narrow pages.

    Args:
        name: What its parts are called in the page; there is only one chart of it.
        title: What it shows, for those who do not see it.
        description: What is to be seen in it, in sentences.
        draw: Draws it into a frame.
        height: How high it is.
    """
    return "".join(
        f'<svg class="{kind}" viewBox="0 0 {width} {height:g}" role="img" '
        f'aria-labelledby="{name}-{kind}-title" aria-describedby="{name}-{kind}-desc">'
        f'<title id="{name}-{kind}-title">{escape(title)}</title>'
        f'<desc id="{name}-{kind}-desc">{escape(description)}</desc>'
        f"{draw(Frame(width, height))}</svg>"
        for kind, width in (("wide", _WIDE), ("narrow", _NARROW))
    )


def log_place(value: float, low: float, high: float) -> float:
    """Where a value is on a logarithmic axis, from 0 to 1.

    Args:
        value: What is looked for; below the axis, it is at its beginning.
        low: Where the axis begins, above 0.
        high: Where it ends.
    """
    return (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))


def x_axis(frame: Frame, marks: Iterable[Mark], title: str = "") -> str:
    """The axis at the bottom, with lines up through the drawing where its marks are.

    Args:
        frame: Of the chart.
        marks: From left to right; the text of one that would stand in another's is left out.
        title: What it shows.
    """
    base = frame.y(0)
    lines = [f'<path class="axis" d="M{frame.x(0)} {base}H{frame.x(1)}"/>']
    free = 0.0
    for mark in marks:
        x = frame.x(mark.at)
        half = len(mark.text) * _CHARACTER / 2
        x_of_text = min(x, frame.width - half)
        lines.append(f'<path class="grid" d="M{x} {base}V{frame.y(1)}"/>')
        if x_of_text - half >= free:
            lines.append(text(x_of_text, base + 19, mark.text, anchor="middle"))
            free = x_of_text + half + _CHARACTER
    if title:
        lines.append(text(frame.x(1), base + 36, title, "label", anchor="end"))
    return "".join(lines)


def y_axis(frame: Frame, marks: Sequence[Mark], title: str = "") -> str:
    """The axis at the left, with lines through the drawing where its marks are."""
    lines = []
    for mark in marks:
        y = frame.y(mark.at)
        lines.append(f'<path class="grid" d="M{frame.x(0)} {y}H{frame.x(1)}"/>')
        lines.append(text(frame.x(0) - 7, y + 4, mark.text, anchor="end"))
    if title:
        lines.append(text(2, 10, title, "label"))
    return "".join(lines)


def polyline(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through points.

    Args:
        points: Places in the chart.
        kind: Its class.
    """
    return f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


def text(x: float, y: float, words: str, kind: str = "mark", *, anchor: str = "start") -> str:
    """A text.

    Args:
        x: Where it is anchored.
        y: Its base line.
        words: What it says.
        kind: Its class.
        anchor: What of it is at x: its start, middle or end.
    """
    return f'<text class="{kind}" x="{x:.{_DIGITS}f}" y="{y:.{_DIGITS}f}" text-anchor="{anchor}">{escape(words)}</text>'


def slot(frame: Frame, x: float, width: float, shape: str, told: str) -> str:
    """A part of a chart that says what it stands for when it is pointed at.

    Args:
        frame: Of the chart.
        x: Where it begins.
        width: How wide it is.
        shape: What is drawn there.
        told: What it says.
    """
    hit = f'<rect class="hit" x="{x:.1f}" y="{frame.y(1)}" width="{width:.1f}" height="{frame.rows:.1f}"/>'
    return f'<g class="slot">{hit}{shape}{text(frame.x(1), 11, told, "readout", anchor="end")}</g>'
