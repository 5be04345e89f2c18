"""One chart for all: `xy` draws lines, dots and bars over two axes, as SVG, with texts for those who do not see it.

It is drawn twice, for wide and for narrow pages, so that its texts have the size of the page's. Which one is shown is
the page's business, as are all colours: shapes have classes.
"""

from __future__ import annotations

import math
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Text = Callable[[float], str]
    Marks = Sequence[tuple[float, str]]

_LEADING: Final = ((1, 2, 5), (1, 3), (1,))

_WIDE: Final = 640
_NARROW: Final = 336
_LEFT: Final = 58
_RIGHT: Final = 14
_TOP: Final = 24
_BOTTOM: Final = 24
_TITLE: Final = 16
_KEY: Final = 20
"""Heights of the marks at the bottom, of the axis's title, and of the names of lines."""

_WIDEST_KEY: Final = 130.0
_CHARACTER: Final = 7.5
"""Width of a character, about."""

_FILLED: Final = 0.88
_WIDEST_BAR: Final = 56.0
"""Of what a band has room for, and at most."""

_LOWEST_BAR: Final = 1.5
"""However little it stands for, it is seen."""

_LABEL: Final = 34
"""Width of the name of an upright rule."""


class Axis(NamedTuple):
    """An axis from its lowest value to its highest."""

    low: float
    high: float
    marks: Callable[[int], Marks]
    """Gives the values to mark, and what stands there, for so many as there is room for."""
    title: str = ""
    logarithmic: bool = False

    def part(self, value: float) -> float:
        """Where a value is, from 0 to 1; what is below the axis is at its beginning."""
        value = max(value, self.low)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def even_axis(high: float, text: Text, title: str = "", *, up_to_mark: bool = True) -> Axis:
    """An axis from 0, up to the first round value that is not below the highest, or just to that."""
    if up_to_mark:
        marks = even_marks(high, 5)
        return Axis(0.0, marks[-1], lambda _room: [(mark, text(mark)) for mark in marks], title)
    return Axis(0.0, high, lambda room: [(m, text(m)) for m in even_marks(high, room) if m <= high * 1.001], title)


def log_axis(low: float, high: float, text: Text, title: str = "") -> Axis:
    """A logarithmic axis."""
    return Axis(low, high, lambda room: [(mark, text(mark)) for mark in log_marks(low, high, room)], title, True)


def named_axis(names: Sequence[str], title: str = "") -> Axis:
    """An axis of things: the first one from 0 to 1, the second from 1 to 2, and so on."""

    def marks(room: int) -> Marks:
        every = -(-len(names) // max(1, room))
        return [(place + 0.5, name) for place, name in enumerate(names) if place % every == 0]

    return Axis(0.0, float(len(names)), marks, title)


class Curve(NamedTuple):
    """Points with a line through them, or dots."""

    points: Sequence[tuple[float, float | None]]
    """Where there is no value, the line is broken."""
    kind: str = "series0"
    """Its class."""
    label: str = ""
    """Its name in the key below the chart."""
    dots: bool = False
    area: bool = False
    """Whether what is below it is filled."""


class Band(NamedTuple):
    """A part of the axis at the bottom that says what it stands for when it is pointed at."""

    left: float
    right: float
    told: str
    bar: float | None = None
    """How high a bar is in it."""
    spread: tuple[float, float] | None = None
    """From where to where what the bar stands for varies."""
    label: str = ""
    """What stands above it."""


class Rule(NamedTuple):
    """A dashed line across the chart at a value of one axis."""

    at: float
    label: str = ""
    upright: bool = False


def xy(
    name: str,
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    *,
    bands: Sequence[Band] = (),
    lines: Sequence[Curve] = (),
    rules: Sequence[Rule] = (),
    height: int = 240,
) -> str:
    """A chart."""
    bottom = _BOTTOM + (_TITLE if x.title else 0) + (_KEY if any(line.label for line in lines) else 0)
    drawings = []
    for kind, width in (("wide", _WIDE), ("narrow", _NARROW)):
        frame = _Frame(width, height, bottom, x, y)
        shapes = [
            *_axis_at_the_left(frame),
            *_axis_at_the_bottom(frame),
            *(_band(frame, band) for band in bands),
            *(_line(frame, line) for line in lines),
            *_key(frame, [line for line in lines if line.label]),
            *_rules(frame, rules),
        ]
        drawings.append(
            f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" '
            f'aria-labelledby="{name}-{kind}-title" aria-describedby="{name}-{kind}-desc">'
            f'<title id="{name}-{kind}-title">{escape(title)}</title>'
            f'<desc id="{name}-{kind}-desc">{escape(description)}</desc>'
            f"{''.join(shapes)}</svg>"
        )
    return "".join(drawings)


class _Frame(NamedTuple):
    """Where a chart draws."""

    width: int
    height: int
    bottom: int
    """Kept free for the axis and the key."""
    x_axis: Axis
    y_axis: Axis

    @property
    def right(self) -> float:
        return self.width - _RIGHT

    @property
    def floor(self) -> float:
        return self.height - self.bottom

    def x(self, value: float) -> float:
        return round(_LEFT + self.x_axis.part(value) * (self.right - _LEFT), 1)

    def y(self, value: float) -> float:
        return round(self.floor - self.y_axis.part(value) * (self.floor - _TOP), 1)


def _axis_at_the_left(frame: _Frame) -> list[str]:
    shapes = []
    for value, words in frame.y_axis.marks(int((frame.floor - _TOP) // 26)):
        y = frame.y(value)
        shapes.append(f'<path class="grid" d="M{_LEFT} {y}H{frame.right}"/>')
        shapes.append(_text(_LEFT - 7, y + 4, words, anchor="end"))
    return [*shapes, _text(2, 10, frame.y_axis.title, "label")]


def _axis_at_the_bottom(frame: _Frame) -> list[str]:
    """The axis; the text of a mark is left out where it would overlap another's."""
    shapes = [f'<path class="axis" d="M{_LEFT} {frame.floor}H{frame.right}"/>']
    free = 0.0
    for value, words in frame.x_axis.marks(int((frame.right - _LEFT) // 46)):
        x = frame.x(value)
        half = len(words) * _CHARACTER / 2
        middle = min(x, frame.width - half)
        shapes.append(f'<path class="grid" d="M{x} {frame.floor}V{_TOP}"/>')
        if middle - half >= free:
            shapes.append(_text(middle, frame.floor + 19, words, anchor="middle"))
            free = middle + half + _CHARACTER
    if frame.x_axis.title:
        shapes.append(_text(frame.right, frame.floor + 36, frame.x_axis.title, "label", anchor="end"))
    return shapes


def _band(frame: _Frame, band: Band) -> str:
    left, right = frame.x(band.left), frame.x(band.right)
    middle = (left + right) / 2
    shapes = [f'<rect class="hit" x="{left}" y="{_TOP}" width="{right - left:.1f}" height="{frame.floor - _TOP:.1f}"/>']
    if band.bar is None:
        shapes.append(f'<path class="pointer" d="M{middle:.1f} {frame.floor}V{_TOP}"/>')
    elif band.bar > 0:
        width = min((right - left) * _FILLED, _WIDEST_BAR)
        height = max(frame.floor - frame.y(band.bar), _LOWEST_BAR)
        shapes.append(
            f'<rect class="bar" x="{middle - width / 2:.1f}" y="{frame.floor - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/>'
        )
    top = frame.floor if band.bar is None else frame.y(band.bar)
    if band.spread is not None:
        low, high = (frame.y(value) for value in band.spread)
        ends = f"M{middle - 4:.1f} {low}h8M{middle - 4:.1f} {high}h8"
        shapes.append(f'<path class="spread" d="M{middle:.1f} {low}V{high}{ends}"/>')
        top = min(top, high)
    if band.label:
        shapes.append(_text(middle, top - 6, band.label, "value", anchor="middle"))
    return f'<g class="slot">{"".join(shapes)}{_text(frame.right, 11, band.told, "readout", anchor="end")}</g>'


def _line(frame: _Frame, line: Curve) -> str:
    shapes = []
    for broken, group in groupby(line.points, key=lambda point: point[1] is None):
        if broken:
            continue
        points = [(frame.x(x), frame.y(y)) for x, y in group if y is not None]
        if line.dots:
            shapes += [f'<circle class="dot {line.kind}" cx="{x}" cy="{y}" r="5.5"/>' for x, y in points]
            continue
        path = " ".join(f"{x},{y}" for x, y in points)
        if line.area:
            edges = f"M{points[0][0]},{frame.floor}L{path} {points[-1][0]},{frame.floor}Z"
            shapes.append(f'<path class="area" d="{edges}"/>')
        shapes.append(f'<polyline class="line {line.kind}" points="{path}"/>')
    return "".join(shapes)


def _key(frame: _Frame, lines: Sequence[Curve]) -> list[str]:
    """What lines are called, below the chart."""
    shapes = []
    each = min((frame.right - _LEFT) / max(len(lines), 1), _WIDEST_KEY)
    for place, line in enumerate(lines):
        x, y = _LEFT + place * each, frame.height - 6
        if line.dots:
            shapes.append(f'<circle class="dot {line.kind}" cx="{x + 9:.1f}" cy="{y - 4}" r="5.5"/>')
        else:
            shapes.append(f'<path class="line {line.kind}" d="M{x:.1f} {y - 4}h18"/>')
        shapes.append(_text(x + 23, y, cut(line.label, max(4, int(each // 8) - 3)), "key"))
    return shapes


def _rules(frame: _Frame, rules: Sequence[Rule]) -> list[str]:
    shapes = []
    taken = -1000.0
    for rule in rules:
        if not rule.upright:
            y = frame.y(rule.at)
            shapes.append(f'<path class="rule" d="M{_LEFT} {y}H{frame.right}"/>')
            shapes.append(_text(frame.right, y - 5, rule.label, anchor="end"))
            continue
        x = frame.x(rule.at)
        shapes.append(f'<path class="rule" d="M{x} {frame.floor}V{_TOP}"/>')
        # Beside another's name it stands below that one.
        y = _TOP + (23 if x - taken < _LABEL else 9)
        at_the_end = x > frame.right - _LABEL
        shapes.append(_text(x - 4 if at_the_end else x + 4, y, rule.label, anchor="end" if at_the_end else "start"))
        taken = x
    return shapes


def _text(x: float, y: float, words: str, kind: str = "mark", *, anchor: str = "start") -> str:
    if not words:
        return ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def log_marks(low: float, high: float, most: int) -> list[float]:
    """Round values for a logarithmic axis: 1, 2 and 5 of each power of ten, or fewer where there is less room."""
    inside: list[float] = []
    for leading in _LEADING:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        marks = [digit * 10.0**power for power in powers for digit in leading]
        inside = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
        if len(inside) <= most:
            break
    return inside[:: max(1, -(-len(inside) // most))]


def even_marks(high: float, most: int) -> list[float]:
    """Round values from 0 to the first that is not below the highest: at most so many, at least 2."""
    if high <= 0:
        return [0.0, 1.0]
    most = max(most, 2)
    power = 10.0 ** math.floor(math.log10(high / (most - 1)))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if math.ceil(high / (power * factor) - 1e-9) < most)
    return [step * place for place in range(math.ceil(high / step - 1e-9) + 1)]
