"""Draws the picture that README shows, of the screen of a real session: `python -m tests.recording.picture`.

A call hangs and is cancelled, `:why` tells what held it up, and Tab fills in a call of `order.place`.
"""

from __future__ import annotations

import re
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

import pyte

from tests.e2e.terminal import CTRL_C, ENTER, SHELL, TAB, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyte.screens import Char

PICTURE: Final = Path(__file__).parents[2] / "rpcshell/guides/session.svg"
_ROWS: Final = 40
_COLUMNS: Final = 100

# Pixels of a cell, as those of usual monospaced fonts at 14 px, and what is around the screen.
_WIDTH: Final = 8.4
_HEIGHT: Final = 18
_MARGIN: Final = 14

_GROUND: Final = "#1c1c1c"
_TEXT: Final = "#d0d0d0"
_NAMED: Final = {"red": "#ff8787", "green": "#87d787", "brown": "#ffd75f", "brightblack": "#949494"}
"""Colours that a terminal has by name; a theme has its own."""


def record(terminal: Terminal) -> None:
    """Have what is to be seen on the screen."""
    terminal.wait_for(r"^4 workers .*\n.*> ")
    terminal.mark()
    terminal.send(f"sleep seconds=60{ENTER}")
    terminal.wait_for("Ctrl-C cancels")
    terminal.send(CTRL_C)
    terminal.wait_for("cancelled[^$]*> ")
    terminal.wait_until_keys()
    terminal.send(f":why{ENTER}")
    terminal.wait_for("now .*[^$]*> ")
    terminal.wait_until_keys()
    terminal.send(f"order.place {TAB}")
    terminal.wait_for("address")
    terminal.wait_until_quiet(0.5)


def cells_of(terminal: Terminal) -> list[list[Char]]:
    """The rows of the screen, each cell with its colours."""
    screen = pyte.Screen(_COLUMNS, _ROWS)
    pyte.ByteStream(screen).feed(terminal.raw)
    return [[screen.buffer[row][column] for column in range(_COLUMNS)] for row in range(_ROWS)]


def as_svg(rows: Sequence[Sequence[Char]], title: str) -> str:
    """A screen as a picture: text that can be selected, and no font or file from elsewhere."""
    width, height = _COLUMNS * _WIDTH + 2 * _MARGIN, len(rows) * _HEIGHT + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{_GROUND}"/>',
    ]
    for number, row in enumerate(rows):
        for (ink, ground, marks), cells in groupby(enumerate(row), lambda cell: _look(cell[1])):
            run = list(cells)
            parts += _run(run[0][0], number, "".join(cell.data for _, cell in run), len(run), ink, ground, marks)
    return "\n".join([*parts, "</svg>", ""])


def _look(cell: Char) -> tuple[str, str, str]:
    """The colours of a cell's text and ground, and what else it has as attributes of SVG."""
    ink, ground = _colour(cell.fg, _TEXT), _colour(cell.bg, _GROUND)
    if cell.reverse:
        ink, ground = ground, ink
    marks = [' font-weight="bold"'] if cell.bold else []
    marks += [' font-style="italic"'] if cell.italics else []
    marks += [' text-decoration="underline"'] if cell.underscore else []
    return ink, ground, "".join(marks)


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else _NAMED.get(name, default)


def _run(column: int, row: int, text: str, columns: int, ink: str, ground: str, marks: str) -> list[str]:
    x, y = _MARGIN + column * _WIDTH, _MARGIN + row * _HEIGHT
    parts = []
    if ground != _GROUND:
        parts.append(f'<rect x="{x:g}" y="{y}" width="{columns * _WIDTH:g}" height="{_HEIGHT}" fill="{ground}"/>')
    if text.strip():
        # Whatever font there is, a run is as wide as its cells.
        shape = f'x="{x:g}" y="{y + 13}" fill={quoteattr(ink)} textLength="{columns * _WIDTH:g}"{marks}'
        parts.append(f'<text {shape} xml:space="preserve">{escape(text)}</text>')
    return parts


def session(home: Path) -> Terminal:
    """A shell in front of a server."""
    command = (*SHELL, "--spawn", "4", "--set", "theme=dark")
    return Terminal(home, command, rows=_ROWS, columns=_COLUMNS, environment={"COLORTERM": "truecolor"})


def main() -> None:
    """Draw the picture anew."""
    with tempfile.TemporaryDirectory() as home, session(Path(home)) as terminal:
        record(terminal)
        rows = cells_of(terminal)
    while rows and not "".join(cell.data for cell in rows[-1]).strip():
        rows.pop()
    PICTURE.write_text(as_svg(rows, "A session of rpcshell"))


if __name__ == "__main__":
    main()
