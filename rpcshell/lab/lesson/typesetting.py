"""Texts with figures in them as styled lines that fit a screen, in scripts with spaces between words and without."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Final
from unicodedata import category

from rpcshell.view.escape import visible
from rpcshell.view.pretty import NUMBER
from rpcshell.view.units import duration
from rpcshell.view.width import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rpcshell.view.pretty import Fragment

__all__ = ["fill", "span", "typeset"]

_NOT_FIRST: Final = frozenset({"Pe", "Pf", "Po"})
"""Categories of characters that no line begins with: closing brackets and quotes, and most other marks."""

_NOT_LAST: Final = frozenset({"Ps", "Pi"})
"""Those that no line ends with: opening ones."""

_MILLISECOND: Final = 0.001


def span(seconds: float) -> str:
    """A time in its own unit.

    Args:
        seconds: From 0.
    """
    if 0 < seconds < _MILLISECOND:
        return f"{max(round(seconds * 1e6), 1)} µs"
    return duration(seconds).replace(".0 s", " s")


def typeset(template: str, values: Mapping[str, Any], style: str = "") -> list[Fragment]:
    """A text with its figures.

    Args:
        template: With places for them, as in `str.format`; `{name:time}` is for seconds.
        values: The figures; texts among them may come from a server.
        style: That of the text between them.
    """
    pieces: list[Fragment] = []
    for text, name, spec, _ in string.Formatter().parse(template):
        if text:
            pieces.append((style, text))
        if name is not None:
            value = values[name]
            pieces.append((NUMBER, span(value) if spec == "time" else visible(str(value))))
    return pieces


def fill(pieces: Iterable[Fragment], columns: int, *, prefix: Fragment = ("", "")) -> list[list[Fragment]]:
    """Lines that are no wider than a screen, unless a word alone is.

    Args:
        pieces: Safe text of one line.
        columns: Of the screen.
        prefix: What stands before the text; its later lines begin below its first.
    """
    margin = min(cells(prefix[1]), columns // 2)
    lines: list[list[Fragment]] = [[prefix] if prefix[1] else []]
    used = cells(prefix[1])
    space: list[Fragment] = []
    empty = True
    for chunk in _chunks(pieces):
        if chunk[0][1] == " ":
            space = chunk
            continue
        width = sum(cells(text) for _, text in chunk)
        if not empty and used + len(space) + width > columns:
            lines.append([("", " " * margin)] if margin else [])
            used = margin
            empty = True
        if not empty:
            lines[-1] += space
            used += len(space)
        lines[-1] += chunk
        used += width
        space = []
        empty = False
    return [_joined(line) for line in lines]


def _chunks(pieces: Iterable[Fragment]) -> Iterator[list[Fragment]]:
    """Characters that stay together: words, and ideographs with their punctuation; a space is a chunk of its own."""
    chunk: list[Fragment] = []
    for style, text in pieces:
        for character in text:
            if chunk and _may_part(chunk[-1][1], character):
                yield chunk
                chunk = []
            chunk.append((style, character))
    if chunk:
        yield chunk


def _may_part(before: str, after: str) -> bool:
    if " " in (before, after):
        return True
    wide = cells(before) > 1 or cells(after) > 1
    return wide and category(after) not in _NOT_FIRST and category(before) not in _NOT_LAST


def _joined(line: list[Fragment]) -> list[Fragment]:
    """The same with neighbours of one style as one piece."""
    joined: list[Fragment] = []
    for style, text in line:
        if joined and joined[-1][0] == style:
            joined[-1] = style, joined[-1][1] + text
        else:
            joined.append((style, text))
    return joined
