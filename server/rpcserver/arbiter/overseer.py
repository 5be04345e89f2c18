"""Whom the arbiter's parts tell what happens to workers and stems: the arbiter itself, and the crew of its forks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
    from rpcserver.system.channel import ArbiterEnd, WorkerFailed


class ForkOverseer(Protocol):
    """Whom stems tell about the workers that they are ordered to fork; that is the crew."""

    def fork_failed(self, index: int, problem: str | None = None) -> None:
        """A worker was not forked, for a reason; where none is told, it can be ordered again at once."""

    def settle_fork(self, index: int, problem: str | None = None) -> bool:
        """Read what a worker has said so far; returns whether it was forked."""


class Overseer(Protocol):
    """Whom the crew and the stems tell what happens, before it is logged or acted upon there; that is the arbiter."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """A worker serves."""

    def worker_wants_connection(self, channel: ArbiterEnd) -> None:
        """A draining worker is free for a connection that waits."""

    def start_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """A worker did not get ready; returns whether that is dealt with, and no other one shall be started."""

    def worker_left(self) -> None:
        """A worker has ended, and whatever follows from it has been seen to."""

    def app_loaded(self) -> None:
        """The app was loaded, as asked: the workers that start from now on come of the new stem."""

    def app_failed(self, failure: WorkerFailed) -> None:
        """The app could not be loaded, as was asked; where there was a stem, it stays."""
