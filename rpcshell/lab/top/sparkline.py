"""Figures in few columns, and the small pictures beside them: bars and histories made of block characters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["amount", "bar", "brief", "rate", "sparkline"]

_LEVELS: Final = "▁▂▃▅▇"
_PARTS: Final = "▏▎▍▌▋▊▉█"
_REST: Final = "░"

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def sparkline(values: Sequence[float], width: int, highest: float) -> str:
    """The latest values as marks of different heights, to the right of as many blanks as values are missing.

    Args:
        values: From 0, the latest last.
        width: How many columns to fill.
        highest: The value of the highest mark.
    """
    shown = values[max(len(values) - width, 0) :]
    return "".join(_LEVELS[_level(value, highest)] for value in shown).rjust(width)


def bar(share: float, width: int) -> tuple[str, str]:
    """A bar, and the part of its place that it does not fill.

    Args:
        share: How much it fills, from 0 to 1; what is more fills no more.
        width: Columns of both together.
    """
    size = len(_PARTS)
    parts = min(max(share, 0.0), 1.0) * width * size
    # A little is not nothing, and not quite is not all.
    filled = min(max(round(parts), parts > 0), width * size - (share < 1))
    whole, part = divmod(filled, size)
    text = _PARTS[-1] * whole + (_PARTS[part - 1] if part else "")
    return text, _REST * (width - len(text))


def brief(seconds: float) -> str:
    """A time in at most six columns.

    Args:
        seconds: From 0; a hundred thousand days at most.
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    days = whole // _DAY
    return f"{days}d{whole % _DAY // _HOUR:02}h" if days < 100 else f"{days}d"


def rate(calls: float | None) -> str:
    """Calls a second in at most six columns.

    Args:
        calls: From 0, below a million million; None where it is not known yet.
    """
    if calls is None:
        return "-"
    return f"{calls:.1f}" if 0 < calls < 9.95 else amount(calls)


def amount(number: float) -> str:
    """A count in at most six columns.

    Args:
        number: From 0, below a million million.
    """
    for scale, unit, limit in ((1, "", 1e6), (1e6, "M", 1e9), (1e9, "G", math.inf)):
        if round(number) < limit:
            return f"{number / scale:.0f}" if scale == 1 else f"{number / scale:.4g}{unit}"
    raise AssertionError("infinity is above every number")


def _level(value: float, highest: float) -> int:
    """From 0 for nothing at all."""
    if value <= 0 or highest <= 0:
        return 0
    return min(max(math.ceil(value / highest * (len(_LEVELS) - 1)), 1), len(_LEVELS) - 1)
