"""What the server counts of itself, for metrics: the scoreboard and the listen queues at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rpcserver.arbiter.status import resident_memory
from rpcserver.system.errors import ServerError
from rpcserver.system.sockets import listen_queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcserver.system.scoreboard import Scoreboard, SlotReading
    from rpcserver.system.sockets import Listener


class NoSample(ServerError):
    """The arbiter has not answered in time."""

    def __str__(self) -> str:
        return "the arbiter did not answer in time; ask again"


class WorkerSample(msgspec.Struct, frozen=True, array_like=True):
    """One worker at one moment; counts are since it started, and memory is in bytes."""

    worker: int
    generation: int
    state: str
    connections: int
    accepts: int
    requests: int
    errors: int
    busy_ns: int
    bytes_in: int
    bytes_out: int
    resident: int


class QueueSample(msgspec.Struct, frozen=True, array_like=True):
    """How many connections wait to be accepted at an address, and how many can."""

    address: str
    waiting: int
    limit: int


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """The server at one moment; counts are since it started, those of workers that have left included."""

    version: str
    model: str
    generation: int
    accepts: int
    requests: int
    errors: int
    busy_ns: int
    bytes_in: int
    bytes_out: int
    deaths: int
    lost: int
    workers: tuple[WorkerSample, ...]
    queues: tuple[QueueSample, ...]


def take_sample(
    board: Scoreboard, listeners: Iterable[Listener], *, version: str, model: str, generation: int
) -> Sample:
    """Read the scoreboard and the listen queues.

    Args:
        board: the scoreboard.
        listeners: where the server listens; those that are closed are left out.
        version: of the program.
        model: the worker model.
        generation: how many times the server was reloaded.
    """
    totals = board.totals()
    queues = ((found.address, listen_queue(found.socket)) for found in listeners if found.fileno() >= 0)
    return Sample(
        version=version,
        model=model,
        generation=generation,
        accepts=totals.accepts,
        requests=totals.requests,
        errors=totals.errors,
        busy_ns=totals.busy_ns,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
        deaths=totals.died,
        lost=totals.lost,
        workers=tuple(_worker_sample(reading) for reading in board.readings()),
        queues=tuple(QueueSample(address, queue.waiting, queue.limit) for address, queue in queues if queue),
    )


def _worker_sample(reading: SlotReading) -> WorkerSample:
    return WorkerSample(
        worker=reading.number,
        generation=reading.generation,
        state=reading.state.name.lower(),
        connections=reading.connections,
        accepts=reading.accepts,
        requests=reading.requests,
        errors=reading.errors,
        busy_ns=reading.busy_ns,
        bytes_in=reading.bytes_in,
        bytes_out=reading.bytes_out,
        resident=resident_memory(reading.pid),
    )
