"""The axes of charts: where a value is on one, and which round values are marked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Text = Callable[[float], str]
    Marks = Sequence[tuple[float, str]]

__all__ = ["Axis", "even_axis", "even_marks", "log_axis", "log_marks", "named_axis"]

_LEADING: Final = ((1, 2, 5), (1, 3), (1,))


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
