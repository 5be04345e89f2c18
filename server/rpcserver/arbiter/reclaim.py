"""Clients that wait while every worker is held: whose worker is asked to let go, and what the log says about it.

How long a queue is, TCP tells always and Unix sockets on most kernels. Where it is not told, a sync server whose
workers are all held is taken to have clients that wait: an idle client that loses its connection by the `close`
contract loses nothing by it, and one that nobody would serve would lose everything.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rpcserver.system.scoreboard import SlotState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.arbiter.slots import WorkerProcess
    from rpcserver.system.scoreboard import SlotReading
    from rpcserver.system.settings import Settings

logger = logging.getLogger(__name__)

_SECOND: Final = 1_000_000_000
_WARN_AGAIN: Final = 60 * _SECOND
_ASK_AGAIN: Final = 2 * _SECOND
_LONGEST_PERIOD: Final = 1.0
_SHORTEST_PERIOD: Final = 0.05


class Reclaim:
    """Looks at the workers once a round.

    Args:
        settings: the server's settings.

    Attributes:
        period: seconds between two rounds, at most, so that nobody waits much longer than connections may be idle.
    """

    def __init__(self, settings: Settings) -> None:
        self.period = min(_LONGEST_PERIOD, max(_SHORTEST_PERIOD, settings.reclaim_idle / 2 or _LONGEST_PERIOD))
        self._sync = settings.model == "sync"
        self._most = 1 if self._sync else settings.max_connections
        self._idle = round(settings.reclaim_idle * _SECOND)
        self._idle_text = f"{settings.reclaim_idle:g} s" if self._idle else "never"
        self._waited_before = False
        self._quiet_until = 0
        self._asked: dict[int, tuple[int, int]] = {}

    def look(
        self, workers: Sequence[tuple[WorkerProcess, SlotReading]], waiting: int | None, now: int
    ) -> list[WorkerProcess]:
        """Find the workers that shall let their connection go.

        Args:
            workers: all of them, with what they say.
            waiting: how many clients wait to be accepted; None where that cannot be known.
            now: the time in nanoseconds of CLOCK_MONOTONIC.

        Returns:
            Workers whose connection has been idle longest, not more than clients wait.
        """
        serving = [(worker, reading) for worker, reading in workers if reading.state is SlotState.READY]
        held = bool(serving) and all(reading.connections >= self._most for _, reading in serving)
        if not held or waiting == 0:
            self._waited_before = False
            return []
        chosen = self._idlest(serving, waiting, now)
        # One look may see a client that is accepted in the next moment.
        if self._waited_before and waiting is not None:
            self._warn(len(serving), waiting, now)
        self._waited_before = True
        return chosen

    def _idlest(
        self, serving: Sequence[tuple[WorkerProcess, SlotReading]], waiting: int | None, now: int
    ) -> list[WorkerProcess]:
        if not self._sync or not self._idle:
            return []
        idle = [pair for pair in serving if not pair[1].running and now - pair[1].active > self._idle]
        idle.sort(key=lambda pair: pair[1].active)
        asked, self._asked = self._asked, {}
        chosen: list[WorkerProcess] = []
        for worker, reading in idle[:waiting]:
            connection, again = asked.get(worker.pid, (-1, 0))
            if connection != reading.accepts or now >= again:
                connection, again = reading.accepts, now + _ASK_AGAIN
                chosen.append(worker)
            self._asked[worker.pid] = (connection, again)
        return chosen

    def _warn(self, workers: int, waiting: int, now: int) -> None:
        if now < self._quiet_until:
            return
        self._quiet_until = now + _WARN_AGAIN
        clients = "1 client waits" if waiting == 1 else f"{waiting} clients wait"
        if self._sync:
            cure = f"more --workers, --model thread or a shorter --reclaim-idle ({self._idle_text}) would help"
        else:
            cure = "more --workers or --max-connections would help"
        logger.warning("%s, since connections hold all %d workers: %s", clients, workers, cure)
