"""Near names for a name that is not there."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 100
_SHORT = 4
_NEARNESS = 0.7
_NEARNESS_OF_SHORT = 0.6
_MOST_COMPARED = 500


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names that a mistyped one may stand for, best first.

    A name of over 100 characters has none.
    """
    if len(name) > _LONGEST:
        return []
    folded = name.casefold()
    last = folded.rpartition(".")[2]
    exact: list[str] = []
    tails: list[str] = []
    others: list[str] = []
    for candidate in known:
        text = candidate.casefold()
        if text == folded:
            exact.append(candidate)
        elif last and text.rpartition(".")[2] == last:
            tails.append(candidate)
        elif abs(len(text) - len(folded)) <= max(len(text), len(folded)) // 2:
            others.append(candidate)
    # Comparing is quadratic in the length of the names, so of very many only the likelier ones are compared.
    if len(others) > _MOST_COMPARED:
        others = [candidate for candidate in others if candidate[:1].casefold() == folded[:1]][:_MOST_COMPARED]
    if exact:
        return exact[:limit]
    if tails:
        compared = difflib.SequenceMatcher(a=name)
        return sorted(tails, key=lambda tail: _distance(compared, tail))[:limit]
    # Short names have few characters to agree in.
    cutoff = _NEARNESS if len(name) > _SHORT else _NEARNESS_OF_SHORT
    return difflib.get_close_matches(name, others, n=limit, cutoff=cutoff)


def _distance(compared: difflib.SequenceMatcher[str], other: str) -> float:
    compared.set_seq2(other)
    return -compared.ratio()
