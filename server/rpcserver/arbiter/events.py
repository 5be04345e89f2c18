"""What has happened to the server and its workers lately: a ring of events with the times at which they were seen.

The arbiter's parts add to it where they act or are told; clients of the control socket read it. Nothing is decided
here. Times are seconds of CLOCK_MONOTONIC, which every process of the machine shares.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcwire.control import Events, ServerEvent

if TYPE_CHECKING:
    from rpcserver.arbiter.slots import WorkerProcess
    from rpcwire.control import EventKind

MOST_EVENTS: Final = 1024
"""How many are kept; a client that asks more seldom than they come is told how many it has missed."""


class EventRing:
    """Keeps the last events."""

    def __init__(self) -> None:
        self._ring: deque[ServerEvent] = deque(maxlen=MOST_EVENTS)
        self._last = 0

    def add(
        self,
        kind: EventKind,
        worker: WorkerProcess | None = None,
        *,
        generation: int | None = None,
        signal: str | None = None,
        lost: int = 0,
        text: str = "",
    ) -> None:
        """Add what happens now.

        A worker's event tells its generation unless another one is given.
        """
        self._last += 1
        number, pid = (None, None) if worker is None else (worker.number, worker.pid)
        if worker is not None and generation is None:
            generation = worker.generation
        self._ring.append(
            ServerEvent(
                self._last, time.monotonic(), kind, number, pid, generation, signal=signal, lost=lost, text=text
            )
        )

    def since(self, number: int) -> Events:
        """Return what came after an event.

        Args:
            number: of the last event that is known; 0 for none.
        """
        found: list[ServerEvent] = []
        for event in reversed(self._ring):
            if event.number <= number:
                break
            found.append(event)
        found.reverse()
        return Events(time.monotonic(), self._last, max(0, self._last - number) - len(found), found)
