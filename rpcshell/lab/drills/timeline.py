"""A timeline: what happened when, in order, shown while it grows. What happens is found out elsewhere."""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Moment", "Timeline"]

_SHOWN: Final = 12
"""Moments of a kind that are shown; the others are counted, and told to programs."""

_SHOWN_ONCE: Final = frozenset({"call_busy"})

_KEPT: Final = 5000

_WHEN: Final = attrgetter("at")


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        at: When, on `time.monotonic`'s clock.
        event: What, in a word, for programs.
        text: The same for people, safe on a terminal.
        details: Numbers and names that go with it: worker, pid, signal.
    """

    at: float
    event: str
    text: str
    details: dict[str, Any] = {}


class Timeline:
    """Moments of one drill; any thread may add to it.

    Args:
        show: Takes each line as soon as nothing earlier can come any more; None shows nothing.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self.began = time.monotonic()
        self._show = show
        self._lock = threading.Lock()
        self._moments: list[Moment] = []
        self._unshown = 0
        self._counts: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()

    def start(self) -> None:
        """Count from now on; what was added before is forgotten."""
        with self._lock:
            self.began = time.monotonic()
            self._moments.clear()
            self._counts.clear()
            self._unshown = 0

    def add(self, event: str, text: str, *, at: float | None = None, **details: Any) -> None:
        """Add a moment.

        Args:
            event: What happened, in a word.
            text: The same for people; it may hold what came from a server.
            at: When, on `time.monotonic`'s clock; now if not given.
            details: What goes with it; None is left out.
        """
        known = {name: value for name, value in details.items() if value is not None}
        moment = Moment(time.monotonic() if at is None else at, event, visible(text), known)
        with self._lock:
            self._counts[event] += 1
            if len(self._moments) < _KEPT:
                # What was shown stays before what comes late.
                bisect.insort(self._moments, moment, lo=self._unshown, key=_WHEN)

    def flush(self, before: float = float("inf")) -> None:
        """Show what happened before a time; nothing earlier may be added later.

        Args:
            before: On `time.monotonic`'s clock.
        """
        with self._lock:
            end = bisect.bisect_left(self._moments, before, lo=self._unshown, key=_WHEN)
            ready = self._moments[self._unshown : end]
            self._unshown = end
        if self._show is None:
            return
        for moment in ready:
            self._seen[moment.event] += 1
            most = 1 if moment.event in _SHOWN_ONCE else _SHOWN
            if self._seen[moment.event] <= most:
                self._show(f"{self.milliseconds(moment.at):>9.1f} ms  {moment.text}")
            elif self._seen[moment.event] == most + 1:
                self._show(f"{'…':>12}  more of this kind ({moment.event}) are counted, but not shown")

    def milliseconds(self, at: float) -> float:
        """A time as milliseconds since the start."""
        return (at - self.began) * 1000

    def count(self, event: str) -> int:
        """How many moments of a kind there were."""
        with self._lock:
            return self._counts[event]

    def find(self, event: str) -> list[Moment]:
        """The moments of a kind, in order."""
        with self._lock:
            return [moment for moment in self._moments if moment.event == event]

    def rows(self) -> list[dict[str, Any]]:
        """All moments as objects for programs, with `ms`, `event`, their details and `text`."""
        with self._lock:
            return [
                {"ms": round(self.milliseconds(one.at), 3), "event": one.event, **one.details, "text": one.text}
                for one in self._moments
            ]
