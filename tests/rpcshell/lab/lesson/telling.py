"""Keeps what a step tells, so that it can be compared with what really happened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rpcshell.lab.lesson.english import TEXTS
from rpcshell.lab.lesson.page import Page
from rpcwire.control import ServerStatus
from tests.rpcshell.commands.recording import Recording


class Told(Page):
    """A page that keeps what it is told, and shows it too."""

    def __init__(self, name: str) -> None:
        self._shown = Recording()
        super().__init__(self._shown, TEXTS, TEXTS.steps[name], 80)
        self.moments: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[ServerStatus] = []
        self.counts: list[int] = []
        self.rows: list[dict[str, str]] = []
        self.conclusion: dict[str, Any] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        """The figures of a moment."""
        (values,) = [values for one, values in self.moments if one == name]
        return values

    @property
    def times(self) -> list[float]:
        """The seconds that stand before the moments."""
        return [float(found[1]) for text in self._shown.texts if (found := re.match(r" *([0-9.]+) s  ", text))]

    def tell(self, moment: str, **figures: Any) -> None:
        super().tell(moment, **figures)
        self.moments.append((moment, figures))

    def draw(self, status: ServerStatus, *, queue: bool = True) -> None:
        super().draw(status, queue=queue)
        self.statuses.append(status)

    def draw_shares(self, counts: Sequence[int]) -> None:
        super().draw_shares(counts)
        self.counts = list(counts)

    def show_models(self, rows: Sequence[dict[str, str]]) -> None:
        super().show_models(rows)
        self.rows = list(rows)

    def conclude(self, **figures: Any) -> None:
        super().conclude(**figures)
        self.conclusion = figures
