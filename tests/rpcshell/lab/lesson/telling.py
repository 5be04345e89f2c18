"""Keeps what a step tells, so that it can be compared with what really happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpcwire.control import ServerStatus


class Told:
    """A teller that shows nothing."""

    def __init__(self) -> None:
        self.moments: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        self.statuses: list[ServerStatus] = []
        self.counts: list[int] = []
        self.rows: list[dict[str, str]] = []
        self.conclusion: dict[str, Any] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        """The figures of a moment."""
        (values,) = [values for one, values in self.moments if one == name]
        return values

    def moment(self, at: float, name: str, values: dict[str, Any]) -> None:
        self.times.append(at)
        self.moments.append((name, values))

    def status(self, status: ServerStatus, *, queue: bool) -> None:
        self.statuses.append(status)

    def shares(self, counts: Sequence[int]) -> None:
        self.counts = list(counts)

    def models(self, rows: Sequence[dict[str, str]]) -> None:
        self.rows = list(rows)

    def so(self, values: dict[str, Any]) -> None:
        self.conclusion = values
