"""The Markdown of the guides as blocks: as much of it as they use, and nothing of how it is shown."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADING: Final = re.compile(r"(#+) (.+)")
_ITEM: Final = re.compile(r"(-|\d+\.) (.+)")
_IMAGE: Final = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_CELL: Final = re.compile(r"(?<!\\)\|")
_MARKED: Final = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*")


class Heading(NamedTuple):
    """A heading; that of the page has level 1."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """Text that is filled."""

    text: str


class Item(NamedTuple):
    """A point of a list, with the mark that it has, as `-` or `1.`."""

    mark: str
    text: str


class Code(NamedTuple):
    """Lines that stay as they are."""

    lines: tuple[str, ...]


class Table(NamedTuple):
    """Rows of cells, the titles first."""

    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Item | Code | Table


class Span(NamedTuple):
    """A piece of a text: code, strong, or neither."""

    text: str
    code: bool = False
    strong: bool = False


def read_markdown(text: str) -> Iterator[Block]:
    """The blocks of a page, in their order; pictures are left out."""
    lines = iter(text.splitlines())
    open_text: list[str] = []
    for line in lines:
        if line.startswith("```"):
            yield from _closed(open_text)
            yield Code(tuple(takewhile(lambda inner: inner != "```", lines)))
        elif line.startswith("|"):
            yield from _closed(open_text)
            rows = [line, *takewhile(lambda row: row.startswith("|"), lines)]
            titles = _cells(line)
            missing = ("",) * len(titles)
            yield Table((titles, *((_cells(row) + missing)[: len(titles)] for row in rows[2:])))
        elif heading := _HEADING.fullmatch(line):
            yield from _closed(open_text)
            yield Heading(len(heading[1]), heading[2])
        elif not line or _IMAGE.fullmatch(line):
            yield from _closed(open_text)
        else:
            if _ITEM.fullmatch(line):
                yield from _closed(open_text)
            open_text.append(line.strip())
    yield from _closed(open_text)


def _closed(lines: list[str]) -> Iterator[Paragraph | Item]:
    if lines:
        text = " ".join(lines)
        lines.clear()
        item = _ITEM.fullmatch(text)
        yield Item(item[1], item[2]) if item else Paragraph(text)


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELL.split(row.strip().strip("|")))


def spans(text: str) -> Iterator[Span]:
    """The pieces of a text. A link to a guide becomes the line that shows it, any other its text and the address."""
    text = _LINK.sub(_linked, text)
    end = 0
    for found in _MARKED.finditer(text):
        if found.start() > end:
            yield Span(text[end : found.start()])
        yield Span(found[1], code=True) if found[1] else Span(found[2], strong=True)
        end = found.end()
    if end < len(text):
        yield Span(text[end:])


def _linked(link: re.Match[str]) -> str:
    text, address = link[1], link[2].partition("#")[0]
    if not address:
        return text
    if "://" in address:
        return f"{text} ({address})"
    name = PurePath(address).stem
    if not address.endswith(".md"):
        return f"`{text}`"
    return f"`:help {name}`" if text in {name, f"{name}.md"} else f"{text} (`:help {name}`)"
