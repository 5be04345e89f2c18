"""One worker's place: the states it goes through, the deadline of each, and when a dead one is replaced.

The arbiter decides and acts; a slot only knows. Times are monotonic seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .channel import ArbiterEnd
    from .process import ChildProcess

LIVED: Final = 1.0
"""A worker that was ready for this long did not die of its start."""

_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 30.0


class SlotState(enum.Enum):
    """What a slot's worker does."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


@dataclass(slots=True)
class Slot:
    """A place for a worker.

    Attributes:
        number: the worker's number, from 1.
        state: what its worker does.
        process: the worker's process, while there is one.
        channel: the arbiter's end of the way to it.
        deadline: when the state has lasted too long: STARTING and DRAINING end by force, DEAD by a new worker.
        early_deaths: how many workers in a row died of their start.
    """

    number: int
    state: SlotState = SlotState.DEAD
    process: ChildProcess | None = None
    channel: ArbiterEnd | None = None
    deadline: float | None = None
    early_deaths: int = 0
    _ready_since: float | None = None
    _used: bool = False

    @property
    def is_unused(self) -> bool:
        """Whether no worker of this slot was ever started."""
        return not self._used

    def started(self, process: ChildProcess, channel: ArbiterEnd, deadline: float | None) -> None:
        """Note a new worker, which must be ready before the deadline."""
        self._used = True
        self.process = process
        self.channel = channel
        self.state = SlotState.STARTING
        self.deadline = deadline
        self._ready_since = None

    def became_ready(self, now: float) -> None:
        """Note that the worker serves."""
        self.state = SlotState.READY
        self.deadline = None
        self._ready_since = now

    def asked_to_stop(self, deadline: float) -> None:
        """Note that the worker was asked to end before the deadline."""
        self.state = SlotState.DRAINING
        self.deadline = deadline

    def died(self, now: float) -> float:
        """Note that the worker has ended, and that a new one is due.

        Returns:
            The seconds until then: none where it had lived, more and more where each dies of its start.
        """
        lived = self._ready_since is not None and now - self._ready_since >= LIVED
        self.early_deaths = 0 if lived else self.early_deaths + 1
        delay = 0.0
        if self.early_deaths:
            delay = min(_FIRST_DELAY * 2.0 ** min(self.early_deaths - 1, 16), _LONGEST_DELAY)
        self.state = SlotState.DEAD
        self.process = None
        self.channel = None
        self.deadline = now + delay
        self._ready_since = None
        return delay
