"""Values as JSON for people: indented, with whatever fits on a line kept on it, in styled pieces of text.

A piece is a style and a text. The styles are the names of pygments' token types, not colours, so that any of its
styles can colour them. The text is safe for a terminal and still JSON.

Pieces are made when they are asked for: whoever shows one page of a huge value pays for that page only.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from rpcshell.escape import visible_json

__all__ = ["HIGHLIGHT_LIMIT", "Fragment", "cells", "render_json"]

Fragment = tuple[str, str]
"""A style, such as `class:error`, and the text that has it."""

HIGHLIGHT_LIMIT: Final = 1 << 20
"""Characters of a value that have styles; what comes after them is plain."""

KEY: Final = "class:pygments.name.tag"
STRING: Final = "class:pygments.literal.string.double"
NUMBER: Final = "class:pygments.literal.number"
CONSTANT: Final = "class:pygments.keyword.constant"
PUNCTUATION: Final = "class:pygments.punctuation"

_INDENT: Final = 2
_CHUNK: Final = 1 << 16
_Block = Iterator["Fragment | _Block"]

_to_json = json.JSONEncoder(ensure_ascii=False).encode


def render_json(value: Any, width: int, *, column: int = 0) -> Iterator[Fragment]:
    """A value as JSON, without a newline at its end.

    Args:
        value: what JSON can hold.
        width: columns of the screen.
        column: where the first line begins.
    """
    styled = HIGHLIGHT_LIMIT
    # A stack of iterators, since a value may be nested deeper than Python recurses.
    stack = [_item(value, width, width - column, 0)]
    while stack:
        for piece in stack[-1]:
            if not isinstance(piece, tuple):
                stack.append(piece)
                break
            styled -= len(piece[1])
            yield piece if styled >= 0 else ("", piece[1])
        else:
            stack.pop()


def cells(text: str) -> int:
    """Columns that safe text takes on a screen; an estimate for the rarer scripts."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _item(value: Any, width: int, room: int, depth: int) -> _Block:
    line: list[Fragment] = []
    # One column is kept for the comma after it. However deep, there is room for an empty container.
    if _flatten(value, line, max(room - 1, 2)) >= 0:
        yield from line
    elif isinstance(value, dict | list | tuple):
        yield _block(value, width, depth)
    else:
        yield from _long_scalar(value)


def _block(container: dict[Any, Any] | list[Any] | tuple[Any, ...], width: int, depth: int) -> _Block:
    """A container with a line for each item."""
    margin = _INDENT * (depth + 1)
    values, ends = (container.values(), "{}") if isinstance(container, dict) else (container, "[]")
    keys = iter(container) if isinstance(container, dict) else None
    before = ends[0]
    for value in values:
        yield PUNCTUATION, f"{before}\n{' ' * margin}"
        before = ","
        room = width - margin
        if keys is not None:
            key = visible_json(_to_json(str(next(keys))))
            yield KEY, key
            yield PUNCTUATION, ": "
            room -= cells(key) + 2
        yield from _item(value, width, room, depth + 1)
    yield PUNCTUATION, f"\n{' ' * (margin - _INDENT)}{ends[1]}"


def _flatten(value: Any, line: list[Fragment], room: int) -> int:
    """Add a value's one-line form to a line; columns that are left, or less than 0 if it does not fit."""
    if isinstance(value, str):
        if len(value) + 2 > room:
            return -1
        text = visible_json(_to_json(value))
        line.append((STRING, text))
        return room - cells(text)
    if isinstance(value, dict | list | tuple):
        return _flatten_container(value, line, room)
    text = _to_json(value)
    line.append((_scalar_style(value), text))
    return room - len(text)


def _flatten_container(container: Any, line: list[Fragment], room: int) -> int:
    named = isinstance(container, dict)
    # An item takes three columns at least, its separator included, so most of what is too long is seen here.
    if 3 * len(container) > room:
        return -1
    line.append((PUNCTUATION, "{" if named else "["))
    room -= 2
    for place, item in enumerate(container):
        if place:
            line.append((PUNCTUATION, ", "))
            room -= 2
        if named:
            room = _flatten(str(item), line, room) - 2
            if room < 0:
                return -1
            line[-1] = (KEY, line[-1][1])
            line.append((PUNCTUATION, ": "))
        room = _flatten(container[item] if named else item, line, room)
        if room < 0:
            return -1
    line.append((PUNCTUATION, "}" if named else "]"))
    return room


def _long_scalar(value: Any) -> Iterator[Fragment]:
    if not isinstance(value, str):
        yield _scalar_style(value), _to_json(value)
        return
    yield STRING, '"'
    for start in range(0, len(value), _CHUNK):
        yield STRING, visible_json(_to_json(value[start : start + _CHUNK])[1:-1])
    yield STRING, '"'


def _scalar_style(value: Any) -> str:
    return CONSTANT if value is None or isinstance(value, bool) else NUMBER
