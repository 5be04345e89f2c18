"""The start of a server: its first workers, and when as many serve as can be had.

What follows then, and what a failure means for the server, is decided in `rpcserver.arbiter.arbiter`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from rpcserver.system.errors import ServerError

if TYPE_CHECKING:
    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.slots import WorkerSlot
    from rpcserver.system.channel import WorkerFailed

_APART: Final = 0.05


class BootError(ServerError):
    """The workers did not start; the traceback has the frames of the user's own code, where it is to blame."""

    def __init__(self, message: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback


class Boot:
    """Starts the first workers of a crew."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._last_try: WorkerSlot | None = None

    def begin(self) -> None:
        """Start one worker per processor now and the others as these become ready, so that the first call is
        answered early; or a little apart, where loading the app is mostly waiting.
        """
        if self._crew.stems is not None:
            self._crew.stems.load(self._crew.generation)
        processors = len(os.sched_getaffinity(0))
        now = time.monotonic()
        for number, slot in enumerate(self._crew.slots[processors:], 1):
            slot.retry_at = now + number * _APART
        for slot in self._crew.slots[:processors]:
            self._crew.start(slot)

    def go_on(self) -> None:
        """Start the next worker, since one is ready."""
        following = next((slot for slot in self._crew.slots if slot.is_unused), None)
        if following is not None:
            self._crew.start(following)

    def count_serving(self) -> int:
        """Return how many workers serve, once none is awaited but those that the system has no room for; else 0."""
        slots = self._crew.slots
        awaited = any(
            not (slot.serves or slot.short or (slot.worker is None and slot.retry_at is None)) for slot in slots
        )
        return 0 if awaited else sum(slot.serves for slot in slots)

    def end(self) -> None:
        """Have those started later that there was no room for."""
        for slot in self._crew.slots:
            if slot.worker is None and slot.retry_at is None:
                slot.retry(time.monotonic())

    def has_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """Whether the server cannot start, since this worker could not."""
        others = [other for other in self._crew.slots if other is not slot]
        if not failure.shortage:
            return True
        if any(other.worker is not None for other in others):
            return False
        if self._last_try is not None or not any(other.short for other in others):
            return True
        # They may have taken the room from each other.
        self._last_try = slot
        for other in others:
            other.retry_at = None
        return False
