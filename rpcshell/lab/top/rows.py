"""What screens of `:top` share: rows of styled text, and how keys are told. Pure."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rpcshell.view.styles import FAINT
from rpcshell.view.width import cells, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcshell.view.pretty import Fragment

Row = list["Fragment"]

BOLD: Final = "bold"


def key_row(keys: Iterable[tuple[str, str]], shown: Iterable[str], columns: int) -> Row:
    """The first keys, as many as there is room for, with what they do; they are drawn in the order of `shown`."""
    chosen: dict[str, str] = {}
    room = columns
    for key, label in keys:
        needed = cells(key) + 1 + cells(label) + (2 if chosen else 0)
        if needed > room:
            break
        chosen[key] = label
        room -= needed
    pieces: Row = []
    for key in shown:
        if key in chosen:
            pieces += [("", "  " if pieces else ""), (BOLD, key), (FAINT, f" {chosen[key]}")]
    return pieces


def help_screen(keys: Sequence[tuple[str, str]], reading: Iterable[str], rows: int, columns: int) -> list[Fragment]:
    """All keys and what they do, and how to read what is shown."""
    width = max(cells(names) for names, _ in keys)
    found: list[Row] = [[(BOLD, "Keys")]]
    found += [[("", f" {names.ljust(width)}  "), (FAINT, does)] for names, does in keys]
    found.append([])
    for text in reading:
        found += [[(FAINT, f" {line}")] for line in textwrap.wrap(text, max(columns - 2, 10), subsequent_indent="  ")]
    return screen(found, [(FAINT, "any key goes back")], rows, columns)


def selected(pieces: Sequence[Fragment], columns: int) -> Row:
    """A row as the selected one, up to its end; colours of its own would be backgrounds that nobody can read on."""
    return [("reverse", "".join(text for _, text in pieces) + " " * max(columns - row_width(pieces), 0))]


def screen(body: Sequence[Row], bottom: Row, rows: int, columns: int) -> list[Fragment]:
    """Rows one below the other and one at the bottom, cut to the size of the screen, without a newline at its end."""
    above = max(rows - 1, 0)
    pieces: list[Fragment] = []
    for place, one in enumerate([*body[:above], *([] for _ in range(above - len(body))), bottom]):
        if place:
            pieces.append(("", "\n"))
        room = columns
        for style, text in one:
            if room <= 0:
                break
            shown = cut(text, room)
            pieces.append((style, shown))
            room -= cells(shown)
    return pieces


def row_width(pieces: Iterable[Fragment]) -> int:
    """How many columns a row takes."""
    return sum(cells(text) for _, text in pieces)
