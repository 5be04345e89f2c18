"""A guide on a terminal: its text filled, its tables in columns that are, and all of it in styles."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rpcshell.guides.markdown import Code, Heading, Item, Paragraph, Table, read_markdown, spans
from rpcshell.view.width import cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.view.pretty import Fragment

_TITLE: Final = "class:documentation.title"
_CODE: Final = "class:documentation.type"
_FAINT: Final = "class:documentation.faint"
_MARGIN: Final = "  "
_GAP: Final = "  "
_NARROWEST: Final = 8
"""Columns that a cell of a table keeps, as long as any has more."""

_PIECE: Final = re.compile(r"\s+|\S+")

_Line = list["Fragment"]
_Word = list["Fragment"]


def guide_page(markdown: str, width: int) -> Iterator[Fragment]:
    """A page in so many columns, as pieces that end in a newline; code may be wider."""
    for line in _lines(markdown, width):
        yield from line
        yield "", "\n"


def guide_text(markdown: str, width: int) -> str:
    """A page in so many columns, without styles and without a newline at its end."""
    return "".join(text for _, text in guide_page(markdown, width)).rstrip("\n")


def table_text(rows: Sequence[Sequence[str]], width: int) -> str:
    """A table in so many columns, without styles."""
    return "\n".join("".join(text for _, text in line).rstrip() for line in _table(rows, width))


def _lines(markdown: str, width: int) -> Iterator[_Line]:
    before: object = None
    for block in read_markdown(markdown):
        if before is not None and not (isinstance(block, Item) and isinstance(before, Item)):
            yield []
        before = block
        match block:
            case Heading(text=text):
                yield [(_TITLE, text)]
            case Paragraph(text=text):
                yield from _filled(_words(text), width)
            case Item(mark=mark, text=text):
                hang = " " * (len(mark) + 1)
                for number, line in enumerate(_filled(_words(text), width - len(hang))):
                    yield [("", hang if number else f"{mark} "), *line]
            case Code(lines=lines):
                yield from ([("", _MARGIN), (_CODE, line)] if line else [] for line in lines)
            case Table(rows=rows):
                yield from _table(rows, width)


def _words(text: str) -> list[_Word]:
    """The words of a text; one may have several pieces, such as code in brackets."""
    words: list[_Word] = [[]]
    for span in spans(text):
        style = _CODE if span.code else "bold" if span.strong else ""
        for piece in _PIECE.findall(span.text):
            if piece.isspace():
                words.append([])
            else:
                words[-1].append((style, piece))
    return [word for word in words if word]


def _width(word: _Line) -> int:
    return sum(cells(text) for _, text in word)


def _filled(words: Sequence[_Word], width: int) -> Iterator[_Line]:
    """Lines of words, each as full as it can be; a word that is longer than a line is cut."""
    line: _Line = []
    for whole in words:
        for word in _cut(whole, width):
            if line and _width(line) + 1 + _width(word) > width:
                yield line
                line = []
            if line:
                line.append((line[-1][0] if line[-1][0] == word[0][0] else "", " "))
            line += word
    yield line


def _cut(word: _Word, width: int) -> Iterator[_Word]:
    if _width(word) <= width:
        yield word
        return
    for style, text in word:
        for start in range(0, len(text), width):
            yield [(style, text[start : start + width])]


def _table(rows: Sequence[Sequence[str]], width: int) -> Iterator[_Line]:
    table = [[_words(cell) for cell in row] for row in rows]
    by_column = list(zip(*table, strict=True))
    widths = _fitted(
        [max(sum(map(_width, cell)) + max(len(cell) - 1, 0) for cell in column) for column in by_column],
        [max((_width(word) for cell in column for word in cell), default=0) for column in by_column],
        width - len(_GAP) * (len(by_column) - 1),
    )
    for number, row in enumerate(table):
        columns = [list(_filled(words, widths[at])) for at, words in enumerate(row)]
        for parts in zip_longest(*columns, fillvalue=[]):
            yield _row(parts, widths, title=not number)
        if not number:
            yield [(_FAINT, _GAP.join("─" * width for width in widths))]


def _row(parts: Sequence[_Line], widths: Sequence[int], *, title: bool) -> _Line:
    line: _Line = []
    for at, part in enumerate(parts):
        line += [(_TITLE, text) for _, text in part] if title else part
        if any(parts[at + 1 :]):
            line.append(("", " " * (widths[at] - _width(part)) + _GAP))
    return line


def _fitted(widths: list[int], longest_words: Sequence[int], room: int) -> list[int]:
    """The widths of columns that have room together: the widest gives way, and no word is cut while others can."""
    while sum(widths) > room:
        spare = [width if width > longest_words[at] else 0 for at, width in enumerate(widths)]
        if not any(spare):
            spare = [width if width > _NARROWEST else 0 for width in widths]
        if not any(spare):
            break
        widths[spare.index(max(spare))] -= 1
    return widths
