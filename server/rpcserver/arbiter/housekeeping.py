"""Rounds, once a second or more often: who is stuck, who waits in vain, and how busy everybody is."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rpcserver.arbiter.reclaim import Reclaim
from rpcserver.arbiter.watchdog import Watchdog
from rpcserver.system.busy import BusyShares
from rpcserver.system.scoreboard import SlotState
from rpcserver.system.sockets import listen_queue
from rpcserver.workers.base import RECLAIM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.system.settings import Settings
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)


class Patrol:
    """Goes its rounds.

    Args:
        settings: the server's settings.
        crew: the workers.
        listeners: what they accept connections from.

    Attributes:
        shares: how busy each worker is.
        deadline: when the next round is due, in monotonic seconds.
    """

    def __init__(self, settings: Settings, crew: Crew, listeners: Sequence[Listener]) -> None:
        self._crew = crew
        self._listeners = listeners
        self._watchdog = Watchdog(settings)
        self._reclaim = Reclaim(settings)
        self.shares = BusyShares()
        self._period = min(self._watchdog.period, self._reclaim.period)
        self.deadline: float | None = time.monotonic() + self._period

    def forgive(self) -> None:
        """Count nobody's time from before now, since this process could not look."""
        self._watchdog.begin_anew(time.monotonic_ns())

    def turn(self, now: float) -> None:
        """Go the round if it is due."""
        if self.deadline is None or now < self.deadline:
            return
        self.deadline = now + self._period
        crew = self._crew
        now_ns = time.monotonic_ns()
        readings = [(worker, crew.read(worker)) for worker in crew]
        for worker, reading in readings:
            problem = self._watchdog.judge(reading, round((worker.ready_since or now) * 1e9), now_ns)
            if problem is not None and worker.state in {SlotState.READY, SlotState.DRAINING}:
                logger.error("%s %s; its stack follows, and it is killed", worker, problem)
                crew.abort(worker)
        self.shares.sample([reading for _, reading in readings], now_ns)
        if crew.closing:
            return
        for worker in self._reclaim.look(readings, self._waiting(), now_ns):
            crew.events.add("reclaim", worker)
            worker.process.send_signal(RECLAIM)

    def _waiting(self) -> int | None:
        """How many clients wait; None where no listener has any and one cannot tell."""
        queues = [listen_queue(listener.socket) for listener in self._listeners]
        waiting = sum(queue.waiting for queue in queues if queue is not None)
        return None if not waiting and None in queues else waiting
