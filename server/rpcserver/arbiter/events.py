"""What has happened to the server and its workers lately: a ring of events with the times at which they were seen.

The arbiter's parts add to it where they act or are told; clients of the control socket read it. Nothing is decided
here. Times are seconds of CLOCK_MONOTONIC, which every process of the machine shares.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from rpcwire.control import Events, ServerEvent

if TYPE_CHECKING:
    from rpcserver.arbiter.slots import WorkerProcess
    from rpcwire.control import EventKind

MOST_EVENTS: Final = 1024
"""How many events are kept."""


class EventRing:
    """Keeps the last events; a client that asks more seldom than they come is told how many it has missed."""

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
        """Add what happens now; a worker's event tells its generation unless another one is given."""
        self._last += 1
        number = pid = None
        if worker is not None:
            number, pid, generation = worker.number, worker.pid, worker.generation
        at = time.monotonic()
        self._ring.append(ServerEvent(self._last, at, kind, number, pid, generation, signal, lost, text))

    def since(self, number: int) -> Events:
        """Return what came after an event, by its number; 0 returns all that are kept."""
        new = max(0, self._last - number)
        found = list(islice(self._ring, max(0, len(self._ring) - new), None))
        return Events(time.monotonic(), self._last, new - len(found), found)
