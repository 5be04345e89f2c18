"""What the boards of `:top` have in common: the selected row, the order of rows, what is open. Nothing is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.lab.top.columns import RowOrder

LEAVING: Final = frozenset({"c-c", "c-d", "<sigint>"})
"""The keys that leave whatever is open."""

_STEPS: Final = {"up": -1, "down": 1, "j": 1, "c-p": -1, "c-n": 1}
_PAGES: Final = {"pageup": -1, "pagedown": 1}
_ENDS: Final = {"home": 0, "g": 0, "end": -1, "G": -1}

_Line = TypeVar("_Line")


class Board(ABC, Generic[_Line]):
    """The state of a screen that has rows. What they are, and what further keys do, is for those derived from it.

    Rows are sorted by one of the columns in `sorts`, at first by the first; `by` gives the order that suits a column.
    """

    def __init__(self, sorts: Sequence[str], by: Callable[[str], RowOrder]) -> None:
        self.order = by(sorts[0])
        self.lines: list[_Line] = []
        """The rows, in order."""
        self.selected = 0
        """The index of the selected row; 0 where there are none."""
        self.first = 0
        """The row that is drawn first."""
        self.page = 1
        """How many rows are drawn."""
        self.with_details = self.with_help = self.left = False
        self._sought: _Line | None = None
        """The line that is to stay selected."""
        self._sorts = sorts
        self._by = by

    @property
    def selected_line(self) -> _Line | None:
        """The selected row."""
        return self.lines[self.selected] if self.lines else None

    def show(self, page: int) -> list[_Line]:
        """The rows to draw: those around the selected one, and as near as can be to those that were drawn."""
        self.page = max(page, 1)
        last = max(len(self.lines) - self.page, 0)
        self.first = min(max(self.first, self.selected - self.page + 1), self.selected, last)
        return self.lines[self.first : self.first + max(page, 0)]

    def press(self, key: str) -> None:
        """Do what a key does."""
        self._sought = self.selected_line
        if key in LEAVING:
            self.left = True
        elif self.with_help:
            self.with_help = False
        elif key in {"q", "escape"}:
            # What was opened is closed first.
            self.left, self.with_details = not self.with_details, False
        elif key in _STEPS:
            self._select(self.selected + _STEPS[key])
        elif key in _PAGES:
            self._select(self.selected + _PAGES[key] * self.page)
        elif key in _ENDS:
            self._select(_ENDS[key] % max(len(self.lines), 1))
        else:
            self._do(key)

    def _do(self, key: str) -> None:
        match key:
            case "s" | ">":
                self._sort(1)
            case "S" | "<":
                self._sort(-1)
            case "r":
                self.order = replace(self.order, falling=not self.order.falling)
                self._arrange()
            case "enter":
                self.with_details = not self.with_details
            case "?" | "h" | "f1":
                self.with_help = True

    def _select(self, row: int) -> None:
        self.selected = min(max(row, 0), max(len(self.lines) - 1, 0))
        self._sought = self.selected_line

    def _sort(self, step: int) -> None:
        self.order = self._by(self._sorts[(self._sorts.index(self.order.name) + step) % len(self._sorts)])
        self._arrange()

    @abstractmethod
    def _arrange(self) -> None:
        """Put what is known by now in order, and `_place` it."""

    @abstractmethod
    def _identity(self, line: _Line) -> Sequence[object]:
        """What tells that another line is of the same thing, the surest first."""

    def _place(self, lines: list[_Line]) -> None:
        """Have these rows; the selected one stays selected, or what took its place."""
        self.lines = lines
        self._sought = self._sought or self.selected_line
        if self._sought is not None:
            sought = self._identity(self._sought)
            known = [self._identity(line) for line in lines]
            places = (at for same in range(len(sought)) for at, one in enumerate(known) if one[same] == sought[same])
            self.selected = next(places, min(self.selected, max(len(lines) - 1, 0)))
