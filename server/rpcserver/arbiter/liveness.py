"""Whether a worker's loop goes round, which that it is ready does not say: it may be stopped, or its loop blocked.

Every worker writes down about once a second that its loop goes round (`Worker.tick`). Which loop that is, and so what a
missing tick means, the models differ in:

| model | the loop | a call that runs |
|---|---|---|
| sync | accepts, reads, and runs calls | keeps it from ticking and is no stall: it is busy, as `--timeout` allows |
| thread, pool | accepts, in the main thread | disturbs it only if it lets no other thread run |
| fork | accepts, and sees to its children | runs in a child, and never disturbs it |
| async | the event loop, which accepts, reads and writes | disturbs it only if it blocks the loop |

So of a sync worker in a call only the kernel can say that it is stopped, and it is asked; in all other cases a worker
is stalled that has not ticked for three seconds. What has made a worker stall is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcserver.system.process import is_stopped
from rpcserver.system.scoreboard import SlotState
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from rpcserver.system.scoreboard import SlotReading

STALLED_AFTER: Final = 3_000_000_000
"""Nanoseconds without a tick, of which there is one a second, after which a worker is stalled."""


class Liveness:
    """Tells workers of a model that serve from those that are stalled."""

    def __init__(self, model: str) -> None:
        self._sync = not MODELS[model].concurrent
        self._anew = 0

    def begin_anew(self, now: int) -> None:
        """Count nobody's time from before now, in nanoseconds of CLOCK_MONOTONIC."""
        self._anew = now

    def silent_for(self, reading: SlotReading, now: int) -> int | None:
        """For how many nanoseconds a ready worker has not ticked; None where it need not tick."""
        if reading.state is not SlotState.READY or (self._sync and reading.running):
            return None
        # A sync worker ticks right after a call, but not in the same moment.
        heard = max(reading.tick, reading.active) if self._sync else reading.tick
        return max(0, now - max(heard, self._anew))

    def is_stalled(self, reading: SlotReading, now: int) -> bool:
        """Whether a ready worker serves nobody, at a time in nanoseconds of CLOCK_MONOTONIC."""
        silent = self.silent_for(reading, now)
        if silent is not None:
            return silent >= STALLED_AFTER
        in_call = reading.state is SlotState.READY and now - max(reading.request_began, self._anew) >= STALLED_AFTER
        return in_call and is_stopped(reading.pid)
