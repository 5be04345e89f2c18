"""Keeping another number of workers than before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.slots import WorkerSlot, number_of_workers

if TYPE_CHECKING:
    from rpcserver.arbiter.crew import Crew

logger = logging.getLogger(__name__)

MAX_WORKERS: Final = 1000
"""The most workers that a server can be told to keep."""


def scale(crew: Crew, workers: int) -> None:
    """Keep another number of workers: start more, or ask the oldest idle ones to leave."""
    before = len(crew.slots)
    if workers == before:
        return
    logger.info("scaling from %d to %s", before, number_of_workers(workers))
    crew.events.add("scaling", text=f"from {before} to {number_of_workers(workers)}")
    taken = {slot.number for slot in crew.slots}
    free = (number for number in range(1, MAX_WORKERS + 1) if number not in taken)
    for _ in range(workers - before):
        slot = WorkerSlot(next(free))
        crew.slots.append(slot)
        crew.start(slot)
    crew.slots.sort(key=lambda slot: slot.number)
    for slot in sorted(crew.slots, key=lambda slot: _reluctance(crew, slot))[: max(0, before - workers)]:
        crew.remove(slot)


def _reluctance(crew: Crew, slot: WorkerSlot) -> tuple[int, int, int]:
    """What speaks against taking a slot away: a running call, connections, and youth."""
    if slot.worker is None:
        return (-1, 0, 0)
    reading = crew.read(slot.worker)
    return (reading.running, reading.connections, reading.born)
