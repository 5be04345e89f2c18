"""Figures of a benchmark as people read them: three digits that mean something, and a unit."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["a_call", "bound", "count_of", "latency", "mark_text", "memory", "number", "per_second", "share"]

_MOST_SMALL: Final = 9.995
_MOST_MIDDLE: Final = 99.95
_MOST_LARGE: Final = 999.5
_UNITS: Final = (("ns", 1e9), ("µs", 1e6), ("ms", 1e3))
_UNIT: Final = re.compile(r" (?=(?:%|[nµm]?s|[kMG]?B)(?:\W|$))")
_TINY: Final = 0.0001


def latency(seconds: float) -> str:
    """A time in the unit that suits it, from nanoseconds to seconds.

    Args:
        seconds: From 0.
    """
    if seconds <= 0:
        return "0"
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if seconds * scale < _MOST_LARGE), ("s", 1.0))
    return f"{_three(seconds * scale)} {unit}"


def mark_text(seconds: float) -> str:
    """A round time, as it stands at an axis.

    Args:
        seconds: From 0.
    """
    if seconds <= 0:
        return "0"
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if seconds * scale < _MOST_LARGE), ("s", 1.0))
    return f"{seconds * scale:.4g} {unit}"


def a_call(seconds: float, calls: int) -> str:
    """Time that was spent, for each call.

    Args:
        seconds: Altogether.
        calls: How many calls; 0 gives a dash.
    """
    return latency(seconds / calls) if calls else "-"


def per_second(rate: float) -> str:
    """A number of calls a second.

    Args:
        rate: From 0.
    """
    return _three(rate)


def number(count: int) -> str:
    """A count, with commas between the thousands."""
    return f"{count:,}"


def count_of(count: int, thing: str, things: str | None = None) -> str:
    """A count and what is counted.

    Args:
        count: How many.
        thing: What one is called.
        things: What several are called; as one, with an s, if not given.
    """
    return f"{number(count)} {thing if count == 1 else things or thing + 's'}"


def bound(sentence: str) -> str:
    """A text in which no line can end between a number and its unit."""
    return _UNIT.sub("\u00a0", sentence)


def share(part: float) -> str:
    """A part of a whole in percent; what is there never reads as nothing, nor what is missing as all.

    Args:
        part: From 0 to 1.
    """
    if 0 < part < _TINY:
        return "< 0.01 %"
    if 1 - _TINY < part < 1:
        return "> 99.99 %"
    digits = 2 if 0 < part < 0.01 or 0.99 < part < 1 else 1
    return f"{part * 100:.{digits}f} %"


def memory(size: int) -> str:
    """A number of bytes.

    Args:
        size: From 0.
    """
    for unit, scale in (("B", 1.0), ("kB", 1e3), ("MB", 1e6)):
        if size / scale < _MOST_LARGE:
            return f"{size} B" if unit == "B" else f"{_three(size / scale)} {unit}"
    return f"{_three(size / 1e9)} GB"


def _three(value: float) -> str:
    """A number with three digits, or all there are before the point."""
    if value < _MOST_SMALL:
        return f"{value:.2f}"
    if value < _MOST_MIDDLE:
        return f"{value:.1f}"
    return f"{value:,.0f}"
