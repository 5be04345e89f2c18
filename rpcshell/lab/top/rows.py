"""What screens of `:top` share: rows of styled text, the keys that move among them, and how keys are told. Pure."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rpcshell.lab.top.columns import FAINT
from rpcshell.view.width import cells, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcshell.view.pretty import Fragment

__all__ = ["BOLD", "LEAVING", "Row", "first_shown", "help_rows", "joined", "key_row", "moved", "row_width", "selected"]

Row = list["Fragment"]

BOLD: Final = "bold"

LEAVING: Final = frozenset({"c-c", "c-d", "<sigint>"})
"""The keys that leave whatever is open."""

_STEPS: Final = {"up": -1, "down": 1, "j": 1, "c-p": -1, "c-n": 1}
_PAGES: Final = {"pageup": -1, "pagedown": 1}
_ENDS: Final = {"home": 0, "g": 0, "end": -1, "G": -1}


def moved(key: str, at: int, page: int, count: int) -> int | None:
    """The row that a key selects from row `at` of `count`, with `page` rows shown; None where the key does not move."""
    if key in _STEPS:
        at += _STEPS[key]
    elif key in _PAGES:
        at += _PAGES[key] * page
    elif key in _ENDS:
        at = _ENDS[key] % max(count, 1)
    else:
        return None
    return min(max(at, 0), max(count - 1, 0))


def first_shown(first: int, selected: int, page: int, count: int) -> int:
    """The first row of the page that has the selected one, as near as can be to the one that was the first."""
    return min(max(first, selected - page + 1), selected, max(count - page, 0))


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


def help_rows(keys: Sequence[tuple[str, str]], reading: Iterable[str], columns: int) -> list[Row]:
    """All keys and what they do, and how to read what is shown."""
    width = max(cells(names) for names, _ in keys)
    found: list[Row] = [[(BOLD, "Keys")]]
    found += [[("", f" {names.ljust(width)}  "), (FAINT, does)] for names, does in keys]
    found.append([])
    for text in reading:
        found += [[(FAINT, f" {line}")] for line in textwrap.wrap(text, max(columns - 2, 10), subsequent_indent="  ")]
    return found


def selected(pieces: Sequence[Fragment], columns: int) -> Row:
    """A row as the selected one, up to its end; colours of its own would be backgrounds that nobody can read on."""
    return [("reverse", "".join(text for _, text in pieces) + " " * max(columns - row_width(pieces), 0))]


def joined(rows: Sequence[Row], columns: int) -> list[Fragment]:
    """Rows one below the other, cut to the width of the screen."""
    pieces: list[Fragment] = []
    for place, one in enumerate(rows):
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
