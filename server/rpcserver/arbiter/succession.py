"""What follows where a worker has ended, or could not be started: whether another one starts, and when."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rpcserver.arbiter.slots import LIVED
from rpcserver.system.channel import WorkerFailed
from rpcserver.system.log import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcserver.arbiter.events import EventRing
    from rpcserver.arbiter.overseer import Overseer
    from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
    from rpcserver.system.process import Exit
    from rpcserver.system.scoreboard import SlotReading

logger = logging.getLogger(__name__)


class Succession:
    """Has another worker started where there is room for one, after a delay where workers die of their start.

    Args:
        slots: the places that there are, at any time.
        dismiss: asks a worker to leave.
        start_timeout: how many seconds a worker may take to be ready; 0 is no limit.
    """

    def __init__(
        self,
        slots: Sequence[WorkerSlot],
        dismiss: Callable[[WorkerProcess], None],
        events: EventRing,
        overseer: Overseer,
        start_timeout: float,
    ) -> None:
        self._slots = slots
        self._dismiss = dismiss
        self._events = events
        self._overseer = overseer
        self._start_timeout = start_timeout
        self._shortage = RateLimit()

    def follow(self, worker: WorkerProcess, end: Exit) -> None:
        """See to the place of a worker that was ready once."""
        slot = worker.slot
        level = logging.INFO if end.clean else logging.WARNING
        if slot.worker is not None:
            logger.log(level, "%s %s; a new one has been started", worker, end)
            return
        now, ready_since = time.monotonic(), worker.ready_since
        lived = ready_since is not None and now - ready_since >= LIVED
        delay = slot.retry(now, ready=ready_since is not None, lived=lived)
        if delay:
            self._events.add("delayed", worker, text=f"a new one starts in {delay:g} s")
        when = f"in {delay:g} s" if delay else "at once"
        logger.log(level, "%s %s; a new one starts %s", worker, end, when)

    def follow_early_end(self, worker: WorkerProcess, end: Exit) -> None:
        """See to the place of a worker that was never ready."""
        failure = worker.failure
        if failure is None and worker.deadline is None and self._start_timeout:
            problem = f"worker {worker.number} was not ready after {self._start_timeout:g} s"
            advice = "see what the app does when it starts, or raise --start-timeout"
            failure = WorkerFailed(f"{problem}: {advice}")
        elif failure is None:
            failure = WorkerFailed(f"worker {worker.number} {end} before it was ready")
        self.follow_failed_start(worker.slot, failure, worker, end)

    def follow_failed_start(
        self,
        slot: WorkerSlot,
        failure: WorkerFailed,
        worker: WorkerProcess | None = None,
        end: Exit | None = None,
    ) -> None:
        """See to a slot whose worker did not start; the worker is given where there was a process."""
        known = any(found.short for found in self._slots)
        slot.short = failure.shortage
        former = slot.worker if slot.serves else None
        if failure.shortage and former is not None and any(found.serves for found in self._slots if found is not slot):
            self._say_shortage(failure, "workers leave before others start in their place", known=known)
            self._dismiss(former)
            return
        if self._overseer.start_failed(slot, failure):
            return
        delay = slot.retry(time.monotonic())
        problem = failure.message
        self._events.add("start_failed", worker, text=f"{problem}; the next try is in {delay:g} s")
        if failure.shortage:
            self._say_shortage(failure, "the server goes on with those that it has, and tries again", known=known)
            return
        logger.error("worker %d did not start: %s", slot.number, problem, extra={"traceback": failure.traceback})
        if worker is not None:
            logger.warning("%s %s; a new one starts in %g s", worker, end, delay)

    def _say_shortage(self, failure: WorkerFailed, consequence: str, *, known: bool) -> None:
        if not known and self._shortage.allows():
            logger.warning("%s: %s", failure.message, consequence)


def cannot_start(slot: WorkerSlot, problem: str | None) -> WorkerFailed:
    """Say that a worker cannot be started, since the system has no room for it."""
    return WorkerFailed(f"worker {slot.number} cannot be started: {problem}", shortage=True)


def calls_in(reading: SlotReading) -> str:
    """Say which calls were lost with a worker."""
    if reading.running == 1:
        return f"a call of {reading.method!r}, which is lost"
    return f"{reading.running} calls, which are lost; one was of {reading.method!r}"
