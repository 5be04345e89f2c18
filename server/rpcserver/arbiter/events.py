"""What has happened to the server and its workers lately: a ring of events with the times at which they were seen.

The arbiter's parts add to it where they act or are told; clients of the control socket read it. Nothing is decided
here. Times are seconds of CLOCK_MONOTONIC, which every process of the machine shares.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from rpcserver.arbiter.slots import WorkerProcess

MOST_EVENTS: Final = 1024
"""How many are kept; a client that asks more seldom than they come is told how many it has missed."""

Kind = Literal[
    "forked",
    "ready",
    "start_failed",
    "draining",
    "aborting",
    "left",
    "died",
    "delayed",
    "retiring",
    "reclaim",
    "frozen",
    "thawed",
    "signalled",
    "scaling",
    "reloading",
    "reloaded",
    "reload_failed",
]


class Event(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        number: from 1, without gaps.
        at: when, in seconds of CLOCK_MONOTONIC.
        kind: what: a worker was forked, is ready, did not start, drains or aborts as it was told to, left, died, is
            replaced later since it lived too briefly, wants to be replaced, is asked to let its idle connection go,
            was frozen, thawed or sent a signal; or the server is scaled, is being reloaded, is reloaded or could not
            be.
        worker: the worker's number, or null where it is about none.
        pid: its process, or null.
        generation: its generation, or the one that a reload is about; null where it is about neither.
        signal: the name, without SIG, of what it died of or was sent, or null.
        lost: how many calls it was in when it died.
        text: what else there is to say, or empty.
    """

    number: int
    at: float
    kind: Kind
    worker: int | None = None
    pid: int | None = None
    generation: int | None = None
    signal: str | None = None
    lost: int = 0
    text: str = ""


class Events(msgspec.Struct, frozen=True):
    """Events after one that is known.

    Attributes:
        now: the time, in seconds of CLOCK_MONOTONIC.
        last: the number of the last event that there was.
        missed: how many were asked for that are not kept any more.
        events: the others, in order.
    """

    now: float
    last: int
    missed: int
    events: list[Event]


class EventRing:
    """Keeps the last events."""

    def __init__(self) -> None:
        self._ring: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._last = 0

    def add(
        self,
        kind: Kind,
        worker: WorkerProcess | None = None,
        *,
        generation: int | None = None,
        signal: str | None = None,
        lost: int = 0,
        text: str = "",
    ) -> None:
        """Add what happens now.

        Args:
            kind: what it is.
            worker: whom it is about; its generation is told unless another one is given.
            generation: the one that a reload is about.
            signal: what the worker died of or was sent.
            lost: how many calls it was in.
            text: what else there is to say.
        """
        self._last += 1
        number, pid = (None, None) if worker is None else (worker.number, worker.pid)
        if worker is not None and generation is None:
            generation = worker.generation
        self._ring.append(
            Event(self._last, time.monotonic(), kind, number, pid, generation, signal=signal, lost=lost, text=text)
        )

    def since(self, number: int) -> Events:
        """Return what came after an event.

        Args:
            number: of the last event that is known; 0 for none.
        """
        found: list[Event] = []
        for event in reversed(self._ring):
            if event.number <= number:
                break
            found.append(event)
        found.reverse()
        return Events(time.monotonic(), self._last, max(0, self._last - number) - len(found), found)
