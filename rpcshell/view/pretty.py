"""Values as JSON for people: indented, with whatever fits on a line kept on it, in styled pieces of text.

A piece is a style and a text. The styles are the names of pygments' token types, not colours, so that any of its
styles can colour them. The text is safe for a terminal and still JSON.

Pieces are made when they are asked for: whoever shows one page of a huge value pays for that page only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rpcshell.line.json_text import json_text
from rpcshell.view.escape import visible_json
from rpcshell.view.width import cells

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
_Container = dict[Any, Any] | list[Any] | tuple[Any, ...]

_to_json = json.JSONEncoder(ensure_ascii=False).encode


def _scalar_text(value: Any) -> str:
    """What is no container, as JSON; not yet safe for a terminal."""
    # The text of a number with one is its `repr`, for which the encoder does not ask.
    return repr(value) if isinstance(value, float) else _to_json(value)


def render_json(value: Any, width: int, *, column: int = 0, indent: int = _INDENT) -> Iterator[Fragment]:
    """A value as JSON, without a newline at its end; its first line begins at a `column` of the screen."""
    layout = _Layout(width, indent)
    # A stack of iterators, since a value may be nested deeper than Python recurses.
    stack = [layout.item(value, width - column, 0)]
    while stack:
        for piece in stack[-1]:
            if not isinstance(piece, tuple):
                stack.append(piece)
                break
            layout.styled -= len(piece[1])
            yield piece if layout.styled >= 0 else ("", piece[1])
        else:
            stack.pop()


def plain_beyond_limit(fragments: Iterable[Fragment]) -> Iterator[Fragment]:
    """The same pieces, unstyled from where more styles would hold up whoever shows them."""
    styled = HIGHLIGHT_LIMIT
    for piece in fragments:
        styled -= len(piece[1])
        yield piece if styled >= 0 else ("", piece[1])


class _Layout:
    """Where the parts of one value go."""

    def __init__(self, width: int, indent: int) -> None:
        self.styled = HIGHLIGHT_LIMIT
        """Characters that may still have styles. When there are none left, whole lines are made at once."""
        self._width = width
        self._indent = indent

    def item(self, value: Any, room: int, depth: int) -> _Block:
        # One column is kept for the comma after it. However deep, there is room for an empty container.
        room = max(room - 1, 2)
        if self.styled < 0:
            line = _plain_line(value, room)
            if line is not None:
                yield "", line
                return
        else:
            pieces: list[Fragment] = []
            if _flatten(value, pieces, room) >= 0:
                yield from pieces
                return
        yield self._long(value, depth)

    def _long(self, value: Any, depth: int) -> _Block:
        if not isinstance(value, dict | list | tuple):
            return _long_scalar(value)
        return self._plain_block(value, depth) if self.styled < 0 else self._block(value, depth)

    def _block(self, container: _Container, depth: int) -> _Block:
        """A container with a line for each item."""
        margin = self._indent * (depth + 1)
        values, keys, ends = _parts(container)
        before = ends[0]
        for value in values:
            yield PUNCTUATION, f"{before}\n{' ' * margin}"
            before = ","
            room = self._width - margin
            if keys is not None:
                key = _key(next(keys))
                yield KEY, key
                yield PUNCTUATION, ": "
                room -= cells(key) + 2
            yield from self.item(value, room, depth + 1)
        yield PUNCTUATION, f"\n{' ' * (margin - self._indent)}{ends[1]}"

    def _plain_block(self, container: _Container, depth: int) -> _Block:
        """The same without styles."""
        margin = self._indent * (depth + 1)
        values, keys, ends = _parts(container)
        lead = f"{ends[0]}\n{' ' * margin}"
        for value in values:
            line = lead
            room = self._width - margin
            if keys is not None:
                key = _key(next(keys))
                line += f"{key}: "
                room -= cells(key) + 2
            text = _plain_line(value, max(room - 1, 2))
            if text is not None:
                yield "", line + text
            else:
                yield "", line
                yield self._long(value, depth + 1)
            lead = f",\n{' ' * margin}"
        yield "", f"\n{' ' * (margin - self._indent)}{ends[1]}"


def _parts(container: _Container) -> tuple[Iterable[Any], Iterator[Any] | None, str]:
    """The values of a container, its keys if they have names, and its brackets."""
    if isinstance(container, dict):
        return container.values(), iter(container), "{}"
    return container, None, "[]"


def _key(name: object) -> str:
    return visible_json(_to_json(str(name)))


def _plain_line(value: Any, room: int) -> str | None:
    """A value's one-line form, or None if it does not fit."""
    if _room_beside(value, room) < 0:
        return None
    text = visible_json(json_text(value))
    return text if cells(text) <= room else None


def _room_beside(value: Any, room: int) -> int:
    """Columns left beside the shortest text that a value could have; negative if there are none."""
    if isinstance(value, str):
        # An accent takes no column of its own, so a text that is all but too long may count as too long.
        return room - len(value) - 2
    if not isinstance(value, dict | list | tuple):
        return room - 1
    # As in the styled form. It also ends the recursion.
    if 3 * len(value) > room:
        return -1
    room -= 2 * max(len(value), 1)
    named = isinstance(value, dict)
    for item in value:
        room = _room_beside(value[item], room - len(item) - 4) if named else _room_beside(item, room)
        if room < 0:
            break
    return room


def _flatten(value: Any, line: list[Fragment], room: int) -> int:
    """Add a value's one-line form to a line, and return the columns left; negative if it does not fit."""
    if isinstance(value, str):
        if len(value) + 2 > room:
            return -1
        text = visible_json(_to_json(value))
        line.append((STRING, text))
        return room - cells(text)
    if isinstance(value, dict | list | tuple):
        return _flatten_container(value, line, room)
    text = _scalar_text(value)
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
        yield _scalar_style(value), _scalar_text(value)
        return
    yield STRING, '"'
    for start in range(0, len(value), _CHUNK):
        yield STRING, visible_json(_to_json(value[start : start + _CHUNK])[1:-1])
    yield STRING, '"'


def _scalar_style(value: Any) -> str:
    return CONSTANT if value is None or isinstance(value, bool) else NUMBER
