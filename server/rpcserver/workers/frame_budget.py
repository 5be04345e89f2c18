"""How many bytes of large requests the connections of one worker hold together; and that the system gets back what was
held, of large replies too.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from rpcserver.system.log import RateLimit
from rpcserver.system.scoreboard import BUFFERED
from rpcserver.workers.limits import SAID_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcserver.system.scoreboard import SlotBoard
    from rpcserver.system.settings import ServerSettings

logger = logging.getLogger(__name__)

# Found once for all workers.
_MALLOC_TRIM, _MALLOPT = (getattr(ctypes.CDLL(None), name, None) for name in ("malloc_trim", "mallopt"))
_M_ARENA_MAX: Final = -8  # malloc.h


class FrameBudget:
    """What the connections of a worker may hold of requests that come in many reads.

    It is counted from a request's second read on, so that small ones always pass, until its reply is held. One request
    of `max_frame` passes in any case. Processes of the fork model share a budget: each writes down its own part on its
    `board`, which is one of `others`; two at the same moment may both pass.
    """

    def __init__(self, settings: ServerSettings, board: SlotBoard, others: Sequence[SlotBoard] = ()) -> None:
        self._limit = max(settings.max_buffered, settings.max_frame) if settings.max_buffered else 0
        self._cells = board.cells
        self._shares = [other.cells for other in others] or [board.cells]
        self._lock = threading.Lock()
        self._full = RateLimit(SAID_AGAIN)
        self._freed = False
        self._trim = _trimmer()

    @property
    def held(self) -> int:
        """How many bytes are held in all."""
        return sum(cells[BUFFERED] for cells in self._shares)

    def take(self, count: int) -> bool:
        """Count so many bytes more as held; False, and nothing is counted, where they are too many."""
        with self._lock:
            room = not self._limit or self.held + count <= self._limit
            if room:
                self._cells[BUFFERED] += count
        if not room and self._full.allows():
            logger.warning(
                "a large request was turned away, as others hold the %d bytes that there are for them: "
                "more --max-buffered or --workers would help",
                self._limit,
            )
        return room

    def release(self, count: int) -> None:
        """Count so many bytes as held no more."""
        with self._lock:
            self._cells[BUFFERED] -= count
        self.note_freed()

    def note_freed(self) -> None:
        """Note that much may have been freed, for the next `tick`."""
        self._freed = True

    def tick(self) -> None:
        """Give back to the system what was freed; called about once a second."""
        if self._freed and self._trim is not None:
            self._freed = False
            self._trim(0)


class BudgetShare:
    """What one connection holds of a budget: `held` bytes are counted as its own.

    It is `used` from a large request or reply on, until both are let go of with `release`.
    """

    __slots__ = ("_budget", "held", "used")

    def __init__(self, budget: FrameBudget | None) -> None:
        self._budget = budget
        self.held = 0
        self.used = False

    def hold(self, count: int) -> bool:
        """Count so many bytes in all as held here; False, and nothing is counted, where they are too many."""
        if self._budget is not None and count > self.held:
            if not self._budget.take(count - self.held):
                return False
            self.held = count
            self.used = True
        return True

    def release(self) -> None:
        """Hold nothing any more."""
        if self.used:
            if self._budget is not None:
                self._budget.release(self.held)
            self.held = 0
            self.used = False


def _trimmer() -> Callable[[int], int] | None:
    """Return malloc_trim(3), which can give back all that is free; None where the C library is not glibc.

    glibc keeps what threads free in arenas of their own, of which it gives back none or little: 20 that had each run
    one request of 16 MiB held 230 MiB. Under the GIL they need no more than one arena.
    """
    if _MALLOPT is not None and "MALLOC_ARENA_MAX" not in os.environ:
        _MALLOPT(_M_ARENA_MAX, 1)
    return _MALLOC_TRIM
