"""Near names: what a mistyped one may stand for, found within a budget, since clients choose what is mistyped."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST: Final = 100
_SHORT: Final = 4
_NEARNESS: Final = 0.7
_NEARNESS_OF_SHORT: Final = 0.6

_BUDGET: Final = 30_000
"""How many pairs of characters are compared at most: a millisecond or two."""

_OVERHEAD: Final = 8
"""What a comparison costs beside, as if each name had so many more characters."""

_MOST_RANKED: Final = 1_000
_PIECES: Final = 4


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names that a mistyped one may stand for, best first.

    Of a namespace, such as `order` of `order.get`, they are the names in it. A name of over 100 characters has none.
    """
    if len(name) > _LONGEST:
        return []
    folded = name.casefold()
    last = folded.rpartition(".")[2]
    exact: list[str] = []
    inside: list[str] = []
    tails: list[str] = []
    others: list[str] = []
    for candidate in known:
        text = candidate.casefold()
        if text == folded:
            exact.append(candidate)
        elif text.startswith(f"{folded}."):
            inside.append(candidate)
        elif last and text.rpartition(".")[2] == last:
            tails.append(candidate)
        elif abs(len(text) - len(folded)) <= max(len(text), len(folded)) // 2:
            others.append(candidate)
    if exact or inside:
        return (exact or inside)[:limit]
    if tails:
        compared = difflib.SequenceMatcher(a=name)
        return sorted(_likeliest(name, tails), key=lambda tail: _distance(compared, tail))[:limit]
    # Short names have few characters to agree in.
    cutoff = _NEARNESS if len(name) > _SHORT else _NEARNESS_OF_SHORT
    return difflib.get_close_matches(name, _likeliest(name, others), n=limit, cutoff=cutoff)


def _likeliest(name: str, known: list[str]) -> list[str]:
    """As many as can be compared within the budget, those that share most quarters of the name first.

    A slip in one place leaves the other quarters as they are; comparing is quadratic in the length of the names.
    """
    if len(known) > _MOST_RANKED:
        half = len(name) // 2
        head, tail = name[:half], name[half:]
        known = [other for other in known if other.startswith(head) or other.endswith(tail)][:_MOST_RANKED]
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


def _distance(compared: difflib.SequenceMatcher[str], other: str) -> float:
    compared.set_seq2(other)
    return -compared.ratio()
