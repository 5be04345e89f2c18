"""Styled text in rows that end between words; what is in a row is others' to say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rpcshell.view.width import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.view.pretty import Fragment

_PARTS: Final = re.compile(r"\n| +|[^ \n]+")


def wrapped(pieces: Iterable[Fragment], columns: int) -> Iterator[Fragment]:
    """Safe text with a new row in the place of the blanks before a word that the row has no room for.

    What begins a row stays, and a word that is wider than the screen goes on in the next row wherever it has to.
    """
    column = 0
    blanks: Fragment | None = None
    word: list[Fragment] = []
    width = 0

    def row_so_far() -> Iterator[Fragment]:
        """The word, after the blanks before it or in a new row."""
        nonlocal column, blanks, width
        if blanks is not None:
            fits = column + len(blanks[1]) + width <= columns or column == 0
            yield blanks if fits else (blanks[0], "\n")
            column = column + len(blanks[1]) if fits else 0
            blanks = None
        yield from word
        column += width
        word.clear()
        width = 0

    for style, text in pieces:
        for part in _PARTS.findall(text):
            if part == "\n":
                yield from row_so_far()
                yield style, part
                column = 0
            elif part[0] == " ":
                yield from row_so_far()
                blanks = style, part
            else:
                word.append((style, part))
                width += cells(part)
    yield from row_so_far()
