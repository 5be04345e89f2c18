"""The turns of the arbiter's loop: one wait for events and deadlines, and noticing that it could not run.

CLOCK_MONOTONIC stands still while the machine sleeps, so that makes nobody late. A process that was stopped, frozen
or starved comes back late for its own deadline, and then the workers' deadlines are not held against them.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcserver.system.poller import Poller

logger = logging.getLogger(__name__)

_LATE: Final = 1.0


class Part(Protocol):
    """Whoever has something to do at a certain time."""

    @property
    def deadline(self) -> float | None:
        """When `turn` has something to do, in monotonic seconds."""

    def turn(self, now: float) -> None:
        """Do what is due at that time."""


class Turns:
    """Goes round.

    Args:
        poller: calls back for events.
        parts: who is called at their deadlines.
        forgive: is told for how many seconds this process could not run, before `parts` are called.
    """

    def __init__(self, poller: Poller, parts: Sequence[Part], forgive: Callable[[float], None]) -> None:
        self._poller = poller
        self._parts = parts
        self._forgive = forgive
        self._last = time.monotonic()

    def next(self) -> None:
        """Wait for one event or deadline, and see to all that are due."""
        due = min((part.deadline for part in self._parts if part.deadline is not None), default=None)
        before = time.monotonic()
        self._poller.wait(None if due is None else max(0.0, due - before))
        now = time.monotonic()
        stopped = _lapse(self._last, before)
        if due is not None:
            stopped += _lapse(max(due, before), now)
        if stopped:
            logger.info("this process could not run for %.1f s; the workers are not blamed for it", stopped)
            self._forgive(stopped)
        self._last = now
        for part in self._parts:
            part.turn(now)


def _lapse(due: float, now: float) -> float:
    late = now - due
    return late if late > _LATE else 0.0
