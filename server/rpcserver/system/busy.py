"""How busy each worker has been lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.system.scoreboard import SlotReading

_WINDOW: Final = 10_000_000_000


class BusyShares:
    """What share of the last ten seconds or so each worker was busy; fed once a round."""

    def __init__(self) -> None:
        self._samples: dict[int, tuple[int, int]] = {}
        self._older: dict[int, tuple[int, int]] = {}
        self._turned = 0

    def sample(self, readings: Sequence[SlotReading], now: int) -> None:
        """Note how busy workers have been so far."""
        if now - self._turned >= _WINDOW // 2:
            self._older, self._samples = (
                self._samples,
                {reading.pid: (now, busy_ns(reading, now)) for reading in readings},
            )
            self._turned = now

    def share(self, reading: SlotReading, now: int) -> float:
        """Return a worker's share since it was sampled, or since its start."""
        at, busy = self._older.get(reading.pid) or self._samples.get(reading.pid) or (reading.born, 0)
        return max(0.0, (busy_ns(reading, now) - busy) / max(1, now - at))


def busy_ns(reading: SlotReading, now: int) -> int:
    """How long a worker was in calls, the one that it is in included."""
    return reading.busy_ns + (max(0, now - reading.request_began) if reading.running else 0)
