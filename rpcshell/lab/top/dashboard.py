"""What keys do: which worker is selected, how rows are sorted, what is asked, and what is ordered. Nothing is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from rpcshell.lab.top.columns import SORTS, RowOrder, sorted_lines
from rpcshell.lab.top.feed import News
from rpcshell.lab.top.rows import LEAVING, first_shown, moved

if TYPE_CHECKING:
    from rpcshell.lab.top.feed import WorkerLine

__all__ = ["Dashboard", "Signal", "Steering"]

Signal = Literal["TERM", "KILL"]

_NEWS_A_MESSAGE_STAYS: Final = 10


class Steering(Protocol):
    """What keys order."""

    def kill(self, worker: int, pid: int, signal: str) -> None:
        """Send a worker a signal."""

    def scale(self, by: int) -> None:
        """Keep more workers, or fewer."""

    def reload(self) -> None:
        """Replace the workers one by one."""

    def follow_log(self, worker: int | None) -> None:
        """Read a worker's log."""


class Dashboard:
    """The state of the screen; keys order what `steering` takes."""

    def __init__(self, steering: Steering, name: str = "") -> None:
        self.name = name
        self.news = News()
        self.order = RowOrder()
        self.first = 0
        """The row that is drawn first."""
        self.page = 1
        """How many rows are drawn."""
        self.victim: WorkerLine | None = None
        """The worker that is to be sent the signal, if whoever is asked says so; None where nobody is asked."""
        self.signal: Signal = "TERM"
        self.with_log = False
        self.with_help = False
        self.left = False
        self._steering = steering
        self._lines: list[WorkerLine] = []
        self._selected = 0
        self._sought: WorkerLine | None = None
        self._message_ends = 0
        self._looks = 0

    @property
    def lines(self) -> list[WorkerLine]:
        """The rows, in order."""
        return self._lines

    @property
    def selected(self) -> int:
        """The index of the selected row; 0 where there are none."""
        return self._selected

    @property
    def selected_line(self) -> WorkerLine | None:
        """The selected row."""
        return self._lines[self._selected] if self._lines else None

    @property
    def message(self) -> str:
        """What came of the last order, while that is new; empty otherwise."""
        return self.news.said[1] if self._looks < self._message_ends else ""

    def update(self, news: News) -> None:
        """Take in news."""
        if news is self.news:
            return
        self._looks += news.picture is not self.news.picture or news.silent != self.news.silent
        if news.said[0] != self.news.said[0]:
            self._message_ends = self._looks + _NEWS_A_MESSAGE_STAYS
        self.news = news
        self._arrange()

    def show(self, page: int) -> list[WorkerLine]:
        """The rows to draw: those around the selected one."""
        self.page = max(page, 1)
        self.first = first_shown(self.first, self._selected, self.page, len(self._lines))
        return self._lines[self.first : self.first + max(page, 0)]

    def press(self, key: str) -> None:
        """Do what a key does."""
        self._message_ends = 0
        self._sought = self.selected_line
        if key in LEAVING:
            self.left = True
        elif self.with_help:
            self.with_help = False
        elif self.victim is not None:
            self._answer(self.victim, key)
        elif key in {"q", "escape"}:
            self._close()
        elif (selected := moved(key, self._selected, self.page, len(self._lines))) is not None:
            self._select(selected)
        else:
            self._do(key)

    def _do(self, key: str) -> None:
        match key:
            case "s" | ">":
                self._sort(1)
            case "S" | "<":
                self._sort(-1)
            case "r":
                self.order = self.order.turned_round()
                self._arrange()
            case "k" | "delete":
                self.victim, self.signal = self.selected_line, "TERM"
            case "+" | "=":
                self._steering.scale(1)
            case "-":
                self._steering.scale(-1)
            case "R":
                self._steering.reload()
            case "enter":
                self.with_log = not self.with_log
                self._follow()
            case "?" | "h" | "f1":
                self.with_help = True

    def _answer(self, victim: WorkerLine, key: str) -> None:
        """Take the answer to whether a worker shall be sent a signal."""
        match key:
            case "y" | "Y":
                self._steering.kill(victim.status.worker, victim.status.pid, self.signal)
                self.victim = None
            case "tab" | "left" | "right" | "s-tab":
                self.signal = "KILL" if self.signal == "TERM" else "TERM"
            case "t" | "T":
                self.signal = "TERM"
            case "k" | "K":
                self.signal = "KILL"
            case "n" | "N" | "q" | "escape":
                self.victim = None

    def _close(self) -> None:
        """Leave, or at first what was opened."""
        if self.with_log:
            self.with_log = False
            self._follow()
        else:
            self.left = True

    def _select(self, row: int) -> None:
        self._selected = row
        self._sought = self.selected_line
        if self.with_log:
            self._follow()

    def _sort(self, step: int) -> None:
        name = SORTS[(SORTS.index(self.order.name) + step) % len(SORTS)]
        self.order = RowOrder.by(name)
        self._arrange()

    def _arrange(self) -> None:
        """Put the rows in order; the selected worker stays selected, or the one that took its place."""
        picture = self.news.picture
        self._lines = [] if picture is None else sorted_lines(picture.workers, self.order)
        # One that was killed is not there for a moment; what is selected meanwhile nobody has chosen.
        self._sought = self._sought or self.selected_line
        if self._sought is not None:
            self._selected = self._place_of(self._sought)
        if self.with_log:
            self._follow()

    def _place_of(self, sought: WorkerLine) -> int:
        for same in ("pid", "worker"):
            wanted = getattr(sought.status, same)
            for place, line in enumerate(self._lines):
                if getattr(line.status, same) == wanted:
                    return place
        return min(self._selected, max(len(self._lines) - 1, 0))

    def _follow(self) -> None:
        line = self.selected_line
        self._steering.follow_log(line.status.worker if self.with_log and line is not None else None)
