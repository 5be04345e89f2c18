"""What changes between two looks at a server: rates, busy shares and their history. No clock and no server in here."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcwire.control import ServerStatus, WorkerStatus

__all__ = ["Picture", "Tracker", "WorkerLine"]

_POINTS: Final = 61
"""Looks that are remembered: half a minute of them."""

_CLOSEST: Final = 0.2
"""Seconds between two of them, at least: rates over less would be noise."""

_WINDOW: Final = 2.0
"""Seconds over which what is said in figures is measured; the graph has every look."""


class WorkerLine(msgspec.Struct, frozen=True):
    """A worker, and what it did lately.

    Attributes:
        status: What the server told of it.
        rate: Calls a second, or None before there is anything to compare with.
        busy: The share of the time that it spent in calls; over 1 where several run at once.
        history: Calls a second from look to look, the latest last.
    """

    status: WorkerStatus
    rate: float | None
    busy: float
    history: tuple[float, ...]


class Picture(msgspec.Struct, frozen=True):
    """A server, and what it did lately.

    Attributes:
        status: What it told.
        rate: Calls a second, or None before there is anything to compare with.
        history: Calls a second from look to look, the latest last.
        workers: The workers.
    """

    status: ServerStatus
    rate: float | None
    history: tuple[float, ...]
    workers: tuple[WorkerLine, ...]


class Tracker:
    """Compares what a server tells with what it told before. Times are the server's own, whenever its words come."""

    def __init__(self) -> None:
        self._pid = 0
        self._total = _Track()
        self._workers: dict[int, _Track] = {}

    def add(self, status: ServerStatus) -> Picture:
        """Take in what a server told.

        Args:
            status: Later than the one before, or of another server.
        """
        now = status.uptime
        first = status.pid != self._pid or self._total.ends_after(now)
        if first:
            self._pid, self._total, self._workers = status.pid, _Track(), {}
        totals = status.totals
        self._total.add(_Point(now, totals.calls, totals.busy_seconds))
        workers: dict[int, _Track] = {}
        for worker in status.workers:
            point = _Point(now, worker.calls, worker.busy_seconds)
            track = self._workers.get(worker.pid)
            if track is None or not track.is_followed_by(point):
                # What was born while somebody looked began with nothing; of the others that is long ago.
                track = _Track() if first else _Track(_Point(now - worker.age, 0, 0.0))
            track.add(point)
            workers[worker.pid] = track
        self._workers = workers
        return Picture(
            status,
            self._total.rate,
            tuple(self._total.history()),
            tuple(_line(worker, workers[worker.pid]) for worker in status.workers),
        )


def _line(worker: WorkerStatus, track: _Track) -> WorkerLine:
    busy = track.busy
    return WorkerLine(worker, track.rate, worker.busy if busy is None else busy, tuple(track.history()))


class _Point(NamedTuple):
    seconds: float
    calls: int
    busy: float


class _Track:
    """The counts of one worker, or of all."""

    def __init__(self, *points: _Point) -> None:
        self._points = deque(points, _POINTS)

    def ends_after(self, seconds: float) -> bool:
        return bool(self._points) and self._points[-1].seconds > seconds

    def is_followed_by(self, point: _Point) -> bool:
        """Whether the counts went on; those of another process with the same id begin anew."""
        return not self._points or point.calls >= self._points[-1].calls

    def add(self, point: _Point) -> None:
        if not self._points or point.seconds - self._points[-1].seconds >= _CLOSEST:
            self._points.append(point)

    def history(self) -> Iterator[float]:
        for before, after in pairwise(self._points):
            yield (after.calls - before.calls) / (after.seconds - before.seconds)

    @property
    def rate(self) -> float | None:
        span = self._span()
        return None if span is None else (span[1].calls - span[0].calls) / (span[1].seconds - span[0].seconds)

    @property
    def busy(self) -> float | None:
        span = self._span()
        return None if span is None else max(0.0, (span[1].busy - span[0].busy) / (span[1].seconds - span[0].seconds))

    def _span(self) -> tuple[_Point, _Point] | None:
        """The points between which lately is."""
        if len(self._points) < 2:
            return None
        last = self._points[-1]
        for before in reversed(self._points):
            if last.seconds - before.seconds >= _WINDOW:
                return before, last
        return self._points[0], last
