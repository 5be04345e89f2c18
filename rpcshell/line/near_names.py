"""Near names for "did you mean": found within a budget, since servers choose what names there are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUDGET: Final = 30_000
"""How many pairs of characters are compared at most: a millisecond or two."""

_OVERHEAD: Final = 8
"""What a comparison costs beside, as if each name had so many more characters."""

_MOST_LOOKED_AT: Final = 1_000
_PIECES: Final = 4


def near_names(name: str, known: Iterable[str], limit: int = 1, *, nearness: float = 0.6) -> list[str]:
    """The known names that look like what was typed, best first.

    Args:
        name: what was typed.
        known: those that it may stand for; of very many the first are looked at.
        limit: how many are wanted.
        nearness: how alike they must be, from 0 to 1, as `difflib` counts it.
    """
    # Only who mistypes waits for the import.
    import difflib

    return difflib.get_close_matches(name, _likeliest(name, known), limit, nearness)


def _likeliest(name: str, known: Iterable[str]) -> list[str]:
    """As many as can be compared within the budget, those that share most quarters of the name first.

    A slip in one place leaves the other quarters as they are; comparing is quadratic in the length of the names.
    """
    size = -(-len(name) // _PIECES) or 1
    pieces = [name[start : start + size] for start in range(0, len(name), size)]
    alike = [other for other in islice(known, _MOST_LOOKED_AT) if len(other) <= 4 * len(name)]
    left = _BUDGET
    found: list[str] = []
    for other in sorted(alike, key=lambda other: -sum(piece in other for piece in pieces)):
        left -= (len(name) + _OVERHEAD) * (len(other) + _OVERHEAD)
        if left < 0:
            break
        found.append(other)
    return found
