"""One worker's place, and the workers in it: the states they go through, and when a dead one is replaced.

The arbiter decides and acts; slots and workers only know. Times are monotonic seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.system.scoreboard import SlotState

if TYPE_CHECKING:
    from rpcserver.system.channel import ArbiterEnd, LoadedService, WorkerFailed
    from rpcserver.system.process import ChildProcess

LAST_WORDS: Final = 1.0
"""Seconds that a process has to write its stack to the log, before it is killed."""

LIVED: Final = 1.0
"""A worker that was ready for this long did not die of its start."""

_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 30.0
_LONGEST_DELAY_ONCE_READY: Final = 1.0


def backoff(failures: int, first: float, longest: float) -> float:
    """For how many seconds another try waits: none without a failure, and twice as many after each more."""
    return min(first * 2.0 ** min(failures - 1, 16), longest) if failures > 0 else 0.0


def number_of_workers(number: int) -> str:
    """How many they are, in words: `1 worker`, `3 workers`."""
    return "1 worker" if number == 1 else f"{number} workers"


class WorkerProcess(msgspec.Struct, eq=False):
    """A worker as the arbiter sees it."""

    slot: WorkerSlot
    index: int
    """On the scoreboard."""
    generation: int
    process: ChildProcess
    channel: ArbiterEnd
    deadline: float | None = None
    """When its state has lasted too long and is ended by force."""
    state: SlotState = SlotState.STARTING
    ready_since: float | None = None
    retiring: bool = False
    """Whether it has asked to be replaced."""
    loaded: LoadedService | None = None
    """What it serves, where it is told."""
    failure: WorkerFailed | None = None
    """Why it could not start, where it has said so."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return self.slot.number

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"


class WorkerSlot(msgspec.Struct, eq=False):
    """A place for a worker; its workers have its number, from 1."""

    number: int
    worker: WorkerProcess | None = None
    """The one that serves, or starts where none serves."""
    successor: WorkerProcess | None = None
    """One that starts while another one serves, and takes its place when it is ready."""
    retry_at: float | None = None
    """When another worker is started, in monotonic seconds; None where none is to be."""
    early_deaths: int = 0
    """How many workers in a row died of their start."""
    short: bool = False
    """Whether the system had no room for the last one that was to start."""

    @property
    def serves(self) -> bool:
        """Whether there is a worker that is ready."""
        return self.worker is not None and self.worker.state is SlotState.READY

    def entered(self, worker: WorkerProcess) -> None:
        """Note a new worker: the only one, or the successor of the one there."""
        if self.worker is None:
            self.worker = worker
        else:
            self.successor = worker

    def promote(self) -> WorkerProcess | None:
        """Put the successor in its place, and return whom it succeeds."""
        former, self.worker, self.successor = self.worker, self.successor, None
        return former

    def left(self, worker: WorkerProcess) -> bool:
        """Note that a worker has ended, whose successor takes its place even if it still starts.

        False is returned for one that had no place any more, as its successor serves already.
        """
        if worker is self.successor:
            self.successor = None
        elif worker is self.worker:
            self.promote()
        else:
            return False
        return True

    def retry(self, now: float, *, ready: bool = False, lived: bool = False) -> float:
        """Have a worker started later, and return in how many seconds.

        That is none where the last one had lived, more and more where each dies of its start, but no more than one
        where each gets ready first.
        """
        self.early_deaths = 0 if lived else self.early_deaths + 1
        delay = backoff(self.early_deaths, _FIRST_DELAY, _LONGEST_DELAY_ONCE_READY if ready else _LONGEST_DELAY)
        self.retry_at = now + delay
        return delay
