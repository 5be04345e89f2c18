"""What is different: between several JSON values, by path, and between two drawings of the same thing, by piece."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rpcshell.view.pretty import PUNCTUATION
from rpcwire.numbers import write_text_float

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rpcshell.view.pretty import Fragment

__all__ = [
    "CHANGED",
    "MISSING",
    "Difference",
    "Variant",
    "differences",
    "first_rows",
    "group",
    "identity",
    "mark_changes",
]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for the value of a key or an item that is not there."""

CHANGED: Final = "reverse"
"""What the style of a changed piece has beside its own."""

_MOST_MATCHED: Final = 2000
"""Pieces up to which those that moved are found; beyond, only those that are different at their place."""

_PLAIN_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=write_text_float).encode


class Variant(NamedTuple):
    """A value, and who has it."""

    value: Any
    """Or MISSING."""

    places: tuple[int, ...]
    """Of those who have it, in the sequence that was compared."""


class Difference(NamedTuple):
    """A place where values are not the same."""

    path: str
    """Such as `$.items[0].price`; `$` is the whole value."""

    variants: tuple[Variant, ...]
    """The most frequent first."""


def identity(value: Any) -> bytes:
    """What is the same for JSON values that are: objects whatever the order of their keys, but not 1, 1.0 and 1.00."""
    return _encode(value)


def group(values: Sequence[Any]) -> tuple[Variant, ...]:
    """Put values, or MISSING, that are the same together, the most frequent first.

    They are the same where their `identity` is.
    """
    found: dict[bytes, list[int]] = {}
    for place, value in enumerate(values):
        found.setdefault(b"" if value is MISSING else identity(value), []).append(place)
    ordered = sorted(found.values(), key=lambda places: (-len(places), places))
    return tuple(Variant(values[places[0]], tuple(places)) for places in ordered)


def differences(values: Sequence[Any], most: int) -> list[Difference]:
    """The innermost places where JSON values are not all the same, in their order: the first ones, up to a number."""
    return list(islice(_differences(values), most))


def _differences(values: Sequence[Any]) -> Iterator[Difference]:
    # A stack, since values may be nested deeper than Python recurses.
    stack: list[tuple[str, Sequence[Any]]] = [("$", values)]
    while stack:
        path, here = stack.pop()
        variants = group(here)
        if len(variants) == 1:
            continue
        kinds = {type(value) for value in here}
        inner: list[tuple[str, Sequence[Any]]] = []
        if kinds == {dict}:
            keys = dict.fromkeys(key for value in here for key in value)
            inner = [(path + _step(key), [value.get(key, MISSING) for value in here]) for key in keys]
        elif kinds == {list}:
            longest = max(map(len, here))
            inner = [
                (f"{path}[{at}]", [value[at] if at < len(value) else MISSING for value in here])
                for at in range(longest)
            ]
        if inner:
            stack += reversed(inner)
        else:
            yield Difference(path, variants)


def _step(key: str) -> str:
    if key and _PLAIN_KEY.issuperset(key):
        return f".{key}"
    return f"[{_encode(key).decode()}]"


def mark_changes(before: Sequence[Fragment], after: Sequence[Fragment]) -> list[Fragment]:
    """The later drawing, with what is new or different marked; brackets and blanks never are.

    Where there is no earlier one, nothing is marked.
    """
    if not before:
        return list(after)
    if len(before) + len(after) > _MOST_MATCHED:
        same = [old == new for old, new in zip_longest(before, after)]
        return [piece if same[at] else _marked(piece) for at, piece in enumerate(after)]
    kept: set[int] = set()
    for _, start, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        kept.update(range(start, start + size))
    return [piece if at in kept else _marked(piece) for at, piece in enumerate(after)]


def first_rows(pieces: Iterable[Fragment], rows: int) -> list[Fragment]:
    """The pieces of so many rows, the last one ending in a newline; no further ones are asked for.

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
