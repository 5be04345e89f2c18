"""One stem as the arbiter sees it, and what it is ordered to fork; when that happens is decided in `stems`."""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rpcserver.system.channel import WorkerEnd, WorkerFailed
    from rpcserver.system.process import ChildProcess
    from rpcserver.system.stem_link import StemLink


class StemState(enum.Enum):
    """What a stem is about."""

    LOADING = "loading"
    READY = "ready"
    RETIRED = "retired"
    ABORTING = "aborting"


class StemProcess(msgspec.Struct, eq=False):
    """A stem as the arbiter sees it; times are monotonic seconds."""

    generation: int
    process: ChildProcess
    link: StemLink
    announced: bool
    """Whether somebody waits to hear whether its app can be loaded."""
    started: float
    deadline: float | None = None
    """When its state, or an order, has lasted too long."""
    state: StemState = StemState.LOADING
    under_way: int | None = None
    """The index of the worker that it was ordered to fork last, until it says what became of that."""
    loaded_at: float | None = None
    failure: WorkerFailed | None = None
    workers: set[int] = set()
    """The indexes of those that it has forked and that live, or was ordered to fork."""

    def __str__(self) -> str:
        return f"the stem of generation {self.generation} (pid {self.process.pid})"

    def close(self) -> None:
        """Close the descriptors; a stem that runs yet is killed, unless these are a copy of its parent's."""
        self.process.close()
        self.link.close()


class ForkOrder(msgspec.Struct, frozen=True):
    """A worker that is wanted, and what it is to get."""

    worker: int
    index: int
    generation: int
    channel: WorkerEnd
    lifeline: int

    def close(self) -> None:
        """Close the descriptors, of which the stem may have copies."""
        self.channel.close()
        os.close(self.lifeline)
