"""Near names: what a mistyped one may stand for, found within a budget, since clients choose what is mistyped."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from rpcwire.name_budget import likeliest

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST: Final = 100
_SHORT: Final = 4
_NEARNESS: Final = 0.7
_NEARNESS_OF_SHORT: Final = 0.6

_MOST_RANKED: Final = 1_000


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
    """Those worth comparing; of very many, the ones of which a half is right."""
    if len(known) > _MOST_RANKED:
        half = len(name) // 2
        head, tail = name[:half], name[half:]
        known = [other for other in known if other.startswith(head) or other.endswith(tail)][:_MOST_RANKED]
    return likeliest(name, known)


def _distance(compared: difflib.SequenceMatcher[str], other: str) -> float:
    compared.set_seq2(other)
    return -compared.ratio()
