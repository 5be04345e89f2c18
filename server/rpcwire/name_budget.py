"""Which names are compared with a mistyped one: as many as a budget allows, since the other side chooses them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUDGET: Final = 30_000
"""How many pairs of characters are compared at most: a millisecond or two."""

_OVERHEAD: Final = 8
"""What a comparison costs beside, as if each name had so many more characters."""

_PIECES: Final = 4


def likeliest(name: str, known: Iterable[str]) -> list[str]:
    """As many as can be compared within the budget, those that share most quarters of the name first.

    A slip in one place leaves the other quarters as they are; comparing is quadratic in the length of the names.
    """
    size = -(-len(name) // _PIECES) or 1
    pieces = [name[start : start + size] for start in range(0, len(name), size)]
    left = _BUDGET
    found: list[str] = []
    for other in sorted(known, key=lambda other: -sum(piece in other for piece in pieces)):
        left -= (len(name) + _OVERHEAD) * (len(other) + _OVERHEAD)
        if left < 0:
            break
        found.append(other)
    return found


def closest(name: str, known: Iterable[str], limit: int, nearness: float) -> list[str]:
    """Those within the budget that are like the name, best first; the nearness is from 0 to 1, as `difflib` has it."""
    return get_close_matches(name, likeliest(name, known), limit, nearness)
