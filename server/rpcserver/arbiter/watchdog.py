"""Who is stuck: tells a handler that takes too long from a worker whose own loop has stopped.

It only judges; the arbiter acts. Times are nanoseconds of CLOCK_MONOTONIC, which stands still while the machine
sleeps (CLOCK_BOOTTIME does not), so that a suspended machine makes nobody late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcserver.system.scoreboard import SlotState

if TYPE_CHECKING:
    from rpcserver.system.scoreboard import SlotReading
    from rpcserver.system.settings import Settings

PERIOD: Final = 1.0
"""Seconds between two rounds, at most."""

_SHORTEST_PERIOD: Final = 0.05
_ROUNDS_PER_TIMEOUT: Final = 4
_LEAST_SILENCE: Final = 5.0
_SECOND: Final = 1_000_000_000

_KEEP_OWN_TIME: Final = frozenset({"thread", "pool", "async", "fork"})
"""Models that see to their requests' timeouts themselves: these can answer, or have children to kill."""


class Watchdog:
    """Judges workers by what the scoreboard says.

    Args:
        settings: the server's settings.

    Attributes:
        period: seconds between two rounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.timeout
        self._sync = settings.model not in _KEEP_OWN_TIME
        self._silence = max(settings.timeout, _LEAST_SILENCE)
        self._anew = 0
        self.period = PERIOD
        if settings.timeout:
            self.period = min(PERIOD, max(_SHORTEST_PERIOD, settings.timeout / _ROUNDS_PER_TIMEOUT))

    def begin_anew(self, now: int) -> None:
        """Count nobody's time from before now."""
        self._anew = now

    def judge(self, reading: SlotReading, ready_since: int, now: int) -> str | None:
        """Say what is wrong with a worker, or return None where nothing is.

        Args:
            reading: what it says.
            ready_since: since when it serves.
            now: the time.
        """
        if not self._timeout:
            return None
        if self._sync and reading.running:
            ran = (now - max(reading.request_began, self._anew)) / _SECOND
            if ran > self._timeout:
                return f"has been in a call of {reading.method!r} for {ran:.1f} s, more than --timeout allows"
            return None
        if reading.state is not SlotState.READY or (self._sync and reading.connections):
            # In a connection a sync worker is bound by that connection's own deadlines.
            return None
        silent = (now - max(reading.tick, reading.active, ready_since, self._anew)) / _SECOND
        if silent <= self._silence:
            return None
        if reading.running:
            return f"has not looked for connections for {silent:.1f} s: {reading.method!r} lets no other thread run"
        return f"has not looked for connections for {silent:.1f} s though no call runs: its loop is dead"
