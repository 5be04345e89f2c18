"""A screen that remembers what has left it, and answers what a program asks the terminal."""

from __future__ import annotations

import pyte

# A program that takes the whole screen asks for another one first; pyte draws on the same.
ALTERNATE = 1049


class Screen(pyte.Screen):
    """A screen that keeps the rows which leave it at its top, and whose answers go back to the program."""

    def __init__(self, columns: int, lines: int, background: str) -> None:
        self.scrollback: list[str] = []
        self.mark = 0
        self.answers = b""
        self.background = background
        self._rows: dict[int, str] = {}
        super().__init__(columns, lines)

    def row(self, number: int) -> str:
        """The text of a row, without the blanks at its end."""
        # Most of what a program draws changes few rows.
        if self.dirty:
            self._rows = {known: text for known, text in self._rows.items() if known not in self.dirty}
            self.dirty.clear()
        if number not in self._rows:
            cells = self.buffer[number]
            # Cells that nothing was drawn in are blank and not there; a wide character has an empty one after it.
            drawn = range(min(max(cells, default=-1) + 1, self.columns))
            self._rows[number] = "".join([cells[column].data for column in drawn]).rstrip()
        return self._rows[number]

    def index(self) -> None:
        if self.cursor.y == self.lines - 1 and self.margins is None:
            self.scrollback.append(self.row(0))
        super().index()

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        # pyte takes the rows that are too many off the top.
        self.scrollback += [self.row(number) for number in range(self.lines - (lines or self.lines))]
        super().resize(lines, columns)

    def erase_in_display(self, how: int = 0, *args: object, **kwargs: object) -> None:
        super().erase_in_display(how, *args, **kwargs)
        if how in {2, 3}:
            self.mark = min(self.mark, len(self.scrollback))

    def set_mode(self, *modes: int, **options: object) -> None:
        super().set_mode(*modes, **options)
        if ALTERNATE in modes:
            self.mark = min(self.mark, len(self.scrollback))

    def set_icon_name(self, param: str) -> None:
        # pyte reads OSC 11, which asks for the colour of the background (xterm's control sequences), as an OSC 1.
        if param == ";?" and self.background:
            self.answers += f"\x1b]11;{self.background}\x1b\\".encode()

    def write_process_input(self, data: str) -> None:
        self.answers += data.encode()
