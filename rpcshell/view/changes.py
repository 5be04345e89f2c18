"""What is different between two drawings of the same thing: the pieces of the later one that the earlier has not."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rpcshell.view.pretty import PUNCTUATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcshell.view.pretty import Fragment

__all__ = ["CHANGED", "first_rows", "mark_changes"]

CHANGED: Final = "reverse"
"""What the style of a changed piece has beside its own."""

_MOST: Final = 2000
"""Pieces up to which those that moved are found; beyond, only those that are different at their place."""


def mark_changes(before: Sequence[Fragment], after: Sequence[Fragment]) -> list[Fragment]:
    """The later drawing, with what is new or different marked; brackets and blanks never are.

    Args:
        before: The earlier one; empty if there is none, and then nothing is marked.
        after: The later one.
    """
    if not before:
        return list(after)
    if len(before) + len(after) > _MOST:
        same = [old == new for old, new in zip_longest(before, after)]
        return [piece if same[at] else _marked(piece) for at, piece in enumerate(after)]
    kept: set[int] = set()
    for _, start, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        kept.update(range(start, start + size))
    return [piece if at in kept else _marked(piece) for at, piece in enumerate(after)]


def first_rows(pieces: Iterable[Fragment], rows: int) -> list[Fragment]:
    """As many pieces as fill a number of rows, the last one ending in a newline; no more are asked for.

    Rows that are longer than a screen is wide count once.
    """
    taken: list[Fragment] = []
    for style, text in pieces:
        breaks = text.count("\n")
        if breaks >= rows:
            taken.append((style, "\n".join([*text.split("\n")[:rows], ""])))
            return taken
        rows -= breaks
        taken.append((style, text))
    return taken


def _marked(piece: Fragment) -> Fragment:
    style, text = piece
    return piece if style == PUNCTUATION or not text.strip() else (f"{style} {CHANGED}".strip(), text)
