"""What keys do on the screen of one server: which worker is sent a signal, and what is ordered. Nothing is drawn."""

from __future__ import annotations

from typing import Final, Literal

from rpcshell.lab.top.board import LEAVING, Board
from rpcshell.lab.top.columns import SORTS, RowOrder, sorted_lines
from rpcshell.lab.top.feed import Feed, News, WorkerLine

_NEWS_A_MESSAGE_STAYS: Final = 10


class Dashboard(Board[WorkerLine]):
    """The state of the screen; what keys order, the feed does. The details of a worker are its log."""

    def __init__(self, feed: Feed, name: str) -> None:
        super().__init__(SORTS, RowOrder.by)
        self.name = name
        self.news = News()
        self.victim: WorkerLine | None = None
        """The worker that is to be sent the signal, if whoever is asked says so; None where nobody is asked."""
        self.signal: Literal["TERM", "KILL"] = "TERM"
        self._feed = feed
        self._log_of: int | None = None
        self._message_ends = 0
        self._looks = 0

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

    def press(self, key: str) -> None:
        """Do what a key does."""
        self._message_ends = 0
        if self.victim is not None and key not in LEAVING:
            self._answer(self.victim, key)
        else:
            super().press(key)
            self._follow_log()

    def _do(self, key: str) -> None:
        match key:
            case "k" | "delete":
                self.victim, self.signal = self.selected_line, "TERM"
            case "+" | "=":
                self._feed.scale(1)
            case "-":
                self._feed.scale(-1)
            case "R":
                self._feed.reload()
            case _:
                super()._do(key)

    def _answer(self, victim: WorkerLine, key: str) -> None:
        """Take the answer to whether a worker shall be sent a signal."""
        match key:
            case "y" | "Y":
                self._feed.kill(victim.status.worker, victim.status.pid, self.signal)
                self.victim = None
            case "tab" | "left" | "right" | "s-tab":
                self.signal = "KILL" if self.signal == "TERM" else "TERM"
            case "t" | "T":
                self.signal = "TERM"
            case "k" | "K":
                self.signal = "KILL"
            case "n" | "N" | "q" | "escape":
                self.victim = None

    def _arrange(self) -> None:
        picture = self.news.picture
        # One that was killed is not there for a moment; what is selected meanwhile nobody has chosen.
        self._place([] if picture is None else sorted_lines(picture.workers, self.order))
        self._follow_log()

    def _identity(self, line: WorkerLine) -> tuple[int, int]:
        return line.status.pid, line.status.worker

    def _follow_log(self) -> None:
        line = self.selected_line
        worker = line.status.worker if self.with_details and line is not None else None
        if worker != self._log_of:
            self._log_of = worker
            self._feed.follow_log(worker)
