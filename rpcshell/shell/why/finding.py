"""What a diagnosis comes to, and the words that all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.servers import WorkerStatus

__all__ = ["SLOW", "Finding", "all_of", "named", "seconds"]

SLOW: Final = 0.05
"""Seconds from which an answered call is worth a word on what took so long."""


class Finding(NamedTuple):
    """Why, and what to do.

    Attributes:
        cause: One sentence.
        advice: What to do about it, without a full stop.
    """

    cause: str
    advice: str


def seconds(amount: float) -> str:
    """A time with its unit.

    Args:
        amount: In seconds.
    """
    if amount >= 1:
        return f"{amount:.1f} s" if amount < 60 else f"{int(amount) // 60} min {int(amount) % 60} s"
    return f"{amount * 1000:.3g} ms"


def named(worker: WorkerStatus) -> str:
    """A worker as a sentence calls it.

    Args:
        worker: Which.
    """
    return f"worker {worker.worker} (pid {worker.pid})"


def all_of(workers: Sequence[WorkerStatus]) -> str:
    """Workers, all that there are, and the verb that goes with them.

    Args:
        workers: At least one.
    """
    if len(workers) == 1:
        return f"the only worker, {workers[0].worker}, was"
    return "both workers were" if len(workers) == 2 else f"all {len(workers)} workers were"
