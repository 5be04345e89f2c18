"""Bars and histories in one row of block characters."""

import math
from collections.abc import Sequence
from typing import Final

_LEVELS: Final = "▁▂▃▅▇"
_PARTS: Final = "▏▎▍▌▋▊▉█"
_REST: Final = "░"


def sparkline(values: Sequence[float], width: int, highest: float) -> str:
    """The latest values as marks of different heights, to the right of as many blanks as values are missing."""
    shown = values[max(len(values) - width, 0) :]
    return "".join(_LEVELS[_level(value, highest)] for value in shown).rjust(width)


def bar(share: float, width: int) -> tuple[str, str]:
    """A bar that fills a share of its place, from 0 to 1, and the rest of the place; `width` columns together."""
    size = len(_PARTS)
    parts = min(max(share, 0.0), 1.0) * width * size
    # A small share shows at least one part, and only the whole fills the bar.
    filled = min(max(round(parts), parts > 0), width * size - (share < 1))
    whole, part = divmod(filled, size)
    text = _PARTS[-1] * whole + (_PARTS[part - 1] if part else "")
    return text, _REST * (width - len(text))


def _level(value: float, highest: float) -> int:
    """From 0 for nothing at all."""
    if value <= 0 or highest <= 0:
        return 0
    return min(max(math.ceil(value / highest * (len(_LEVELS) - 1)), 1), len(_LEVELS) - 1)
