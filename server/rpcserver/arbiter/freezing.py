"""Workers that are stopped for a while, for drills: SIGSTOP now, SIGCONT when the time is over.

The arbiter keeps the time, so that a worker goes on whatever becomes of the client that had it frozen.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from rpcserver.system.scoreboard import SlotState

if TYPE_CHECKING:
    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.slots import WorkerProcess


class Freezer:
    """Freezes and thaws workers; when the server is to stop, all are thawed at once."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._frozen: dict[int, tuple[WorkerProcess, float]] = {}

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        if self._frozen and self._crew.closing:
            return 0.0
        return min((until for _, until in self._frozen.values()), default=None)

    def run_due(self, now: float) -> None:
        """Thaw those whose time is over."""
        for worker, until in tuple(self._frozen.values()):
            if now >= until or self._crew.closing or worker.state is SlotState.DEAD:
                self._thaw(worker)

    def freeze(self, worker: WorkerProcess, seconds: float) -> None:
        """Stop a worker for so many seconds from now, also where it is stopped already."""
        self._crew.events.add("frozen", worker, text=f"for {seconds:g} s")
        worker.process.send_signal(signal.SIGSTOP)
        self._frozen[worker.pid] = (worker, time.monotonic() + seconds)

    def thaw(self, number: int) -> list[int]:
        """Let all frozen workers with a number go on: while one is replaced there may be two.

        Returns:
            Their pids.
        """
        found = [worker for worker, _ in self._frozen.values() if worker.number == number]
        return [worker.pid for worker in found if self._thaw(worker)]

    def _thaw(self, worker: WorkerProcess) -> bool:
        del self._frozen[worker.pid]
        # The descriptor of one that has died is closed, and may belong to something else.
        if worker.state is SlotState.DEAD:
            return False
        worker.process.send_signal(signal.SIGCONT)
        self._crew.events.add("thawed", worker)
        return True
