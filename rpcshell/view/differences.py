"""What is different: between several JSON values, by path, and between two drawings of the same thing, by piece."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from rpcshell.view.pretty import PUNCTUATION, Fragment
from rpcwire.numbers import write_text_float

MISSING: Final = object()
"""Stands for the value of a key or an item that is not there."""

CHANGED: Final = "reverse"
"""What the style of a changed piece has beside its own."""

_MOST_MATCHED: Final = 2000
"""Pieces up to which those that moved are found; beyond, only those that are different at their place."""

_PLAIN_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")

identity: Final = msgspec.json.Encoder(order="deterministic", enc_hook=write_text_float).encode
"""What is the same for JSON values that are: objects whatever the order of their keys, but not 1, 1.0 and 1.00."""


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


def group(values: Sequence[Any]) -> tuple[Variant, ...]:
    """Put values, or MISSING, of the same `identity` together, the most frequent first."""
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
    return f"[{identity(key).decode()}]"


def mark_changes(before: Sequence[Fragment], after: Sequence[Fragment]) -> list[Fragment]:
    """The later drawing, with what is new or different marked; brackets and blanks never are.

    Where there is no earlier one, nothing is marked.
    """
    if not before:
        return list(after)
    if len(before) + len(after) > _MOST_MATCHED:
        kept = {at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old == new}
    else:
        from difflib import SequenceMatcher

        blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        kept = {at for _, start, size in blocks for at in range(start, start + size)}
    return [piece if at in kept else _marked(piece) for at, piece in enumerate(after)]


def first_rows(pieces: Iterable[Fragment], rows: int) -> list[Fragment]:
    """The pieces of so many rows, each with its newline, however wide they are; no further ones are asked for."""
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
