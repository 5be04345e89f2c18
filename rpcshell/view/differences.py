"""Where several JSON values are not the same: the paths, and who has which value there. Pure functions."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MISSING", "Difference", "Variant", "differences", "group"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for the value of a key or an item that is not there."""

_PLAIN_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")

_encode = msgspec.json.Encoder(order="deterministic").encode


class Variant(NamedTuple):
    """A value, and who has it.

    Attributes:
        value: The value, or MISSING.
        places: The places of those who have it, in the sequence that was compared.
    """

    value: Any
    places: tuple[int, ...]


class Difference(NamedTuple):
    """A place where values are not the same.

    Attributes:
        path: Such as `$.items[0].price`; `$` is the whole value.
        variants: The values that there are, the most frequent first.
    """

    path: str
    variants: tuple[Variant, ...]


def group(values: Sequence[Any]) -> tuple[Variant, ...]:
    """Put values that are the same together, the most frequent first.

    Objects are the same whatever the order of their keys; 1 is another value than 1.0 and true.

    Args:
        values: What JSON can hold, or MISSING.
    """
    found: dict[bytes, list[int]] = {}
    for place, value in enumerate(values):
        found.setdefault(b"" if value is MISSING else _encode(value), []).append(place)
    ordered = sorted(found.values(), key=lambda places: (-len(places), places))
    return tuple(Variant(values[places[0]], tuple(places)) for places in ordered)


def differences(values: Sequence[Any], most: int) -> list[Difference]:
    """The innermost places where values are not all the same, in the order in which they come.

    Args:
        values: What JSON can hold.
        most: How many places, at most.
    """
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
