"""Counting the calls of a session: by method and by worker, numbers alone, however many calls there are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.view.histogram import Histogram, bucket_of

if TYPE_CHECKING:
    from rpcshell.shell.journal import CallRecord

__all__ = ["Counted", "Tally", "WorkerKey"]

_NANOSECONDS: Final = 1_000_000_000

WorkerKey = tuple[str, int | None]
"""A target, and the number of a worker; None for calls that did not tell who served them."""


class Counted:
    """The calls of one method, or those that one worker answered.

    Attributes:
        calls: How many there were.
        errors: How many of them were answered with an error.
        unanswered: How many were not answered.
        served: How many told how long the server worked on them.
        service: How long that was, in seconds, added up.
        pid: The process that answered last, where that was told.
    """

    __slots__ = ("_buckets", "calls", "errors", "pid", "served", "service", "unanswered")

    def __init__(self) -> None:
        self.calls = self.errors = self.unanswered = self.served = 0
        self.service = 0.0
        self.pid: int | None = None
        self._buckets: dict[int, int] = {}

    def add(self, record: CallRecord) -> None:
        """Count a call.

        Args:
            record: What came of it.
        """
        self.calls += 1
        if record.outcome in {"failed", "cancelled"}:
            # How long nothing came says nothing of how long calls take.
            self.unanswered += 1
            return
        if record.outcome == "error":
            self.errors += 1
        bucket = bucket_of(int(record.elapsed * _NANOSECONDS))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if record.meta is not None:
            self.served += 1
            self.service += record.meta.service_us / 1e6
            self.pid = record.meta.pid

    @property
    def times(self) -> Histogram:
        """How long the answered calls took, seen from here."""
        return Histogram(self._buckets)


class TallySummary(msgspec.Struct, frozen=True):
    """Counts of all calls.

    Attributes:
        calls: How many there were.
        errors: How many of them were answered with an error.
        unanswered: How many were not answered.
        seconds: Since when they were counted.
    """

    calls: int
    errors: int
    unanswered: int
    seconds: float


class Tally:
    """The counts of a session."""

    def __init__(self) -> None:
        self.methods: dict[str, Counted] = {}
        """By method, in the order of their first calls."""
        self.workers: dict[WorkerKey, Counted] = {}
        """By target and worker."""
        self._since = time.monotonic()

    def add(self, record: CallRecord) -> None:
        """Count a call.

        Args:
            record: What came of it.
        """
        key = record.target, None if record.meta is None else record.meta.worker
        self.methods.setdefault(record.method, Counted()).add(record)
        self.workers.setdefault(key, Counted()).add(record)

    def reset(self) -> None:
        """Begin anew."""
        self.methods.clear()
        self.workers.clear()
        self._since = time.monotonic()

    @property
    def summary(self) -> TallySummary:
        """All calls together."""
        counted = self.methods.values()
        return TallySummary(
            sum(one.calls for one in counted),
            sum(one.errors for one in counted),
            sum(one.unanswered for one in counted),
            time.monotonic() - self._since,
        )
