"""Gathering what the server tells about itself: the result of `arbiter.status`, and samples for metrics.

Workers that have no process yet are not told of.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.housekeeping import busy_ns
from rpcserver.arbiter.memory_gauge import MemoryUse
from rpcserver.system.errors import ServerError
from rpcserver.system.listen_queue import listen_queue
from rpcserver.system.method_board import MethodReadings  # noqa: TC001 - as below
from rpcserver.system.scoreboard import SlotReading, Totals  # noqa: TC001 - msgspec reads the fields' types
from rpcserver.system.version import __version__
from rpcwire.control import ListenerStatus, RunningCall, ServerStatus, StemStatus, TotalStatus, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.housekeeping import Housekeeping
    from rpcserver.arbiter.liveness import Liveness
    from rpcserver.arbiter.memory_gauge import MemoryGauge
    from rpcserver.arbiter.registration import Registration
    from rpcserver.arbiter.reload import Reload
    from rpcserver.arbiter.stems import Stems
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener

_SECOND: Final = 1_000_000_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_NOT_TOLD: Final = MemoryUse()


def server_status(
    settings: ServerSettings,
    crew: Crew,
    reload: Reload,
    housekeeping: Housekeeping,
    listeners: Sequence[Listener],
    *,
    phase: str,
    uptime: float,
    registration: Registration | None = None,
    gauge: MemoryGauge,
) -> ServerStatus:
    """Describe the server."""
    uses = gauge.read(crew.pids)
    return ServerStatus(
        pid=os.getpid(),
        version=__version__,
        model=settings.model,
        app=settings.app,
        phase=phase,
        generation=crew.generation,
        reloading=reload.active,
        reload_problem=reload.problem,
        uptime=round(uptime, 3),
        listeners=[listener_status(listener) for listener in listeners],
        wanted=len(crew.slots),
        workers=worker_statuses(crew, housekeeping, uses),
        stems=[] if crew.stems is None else stem_statuses(crew.stems, uses),
        totals=total_status(crew),
        registration=None if registration is None else registration.status(),
    )


def worker_statuses(crew: Crew, housekeeping: Housekeeping, uses: Mapping[int, MemoryUse]) -> list[WorkerStatus]:
    """Describe every worker, by their numbers; with what they take of memory by their pids."""
    now = time.monotonic_ns()
    liveness = housekeeping.liveness
    return [
        WorkerStatus(
            worker=reading.number,
            pid=reading.pid,
            generation=reading.generation,
            state=reading.state.name.lower(),
            call=RunningCall(reading.method, round((now - reading.request_began) / _SECOND, 6))
            if reading.running
            else None,
            calls_running=reading.running,
            connections=reading.connections,
            accepts=reading.accepts,
            calls=reading.requests,
            errors=reading.errors,
            busy_seconds=busy_ns(reading, now) / _SECOND,
            busy=round(housekeeping.shares.share(reading, now), 4),
            bytes_in=reading.bytes_in,
            bytes_out=reading.bytes_out,
            memory=resident_memory(reading.pid),
            pss=uses.get(reading.pid, _NOT_TOLD).pss,
            uss=uses.get(reading.pid, _NOT_TOLD).uss,
            age=round((now - reading.born) / _SECOND, 3),
            silent=None if (silent := liveness.silent_for(reading, now)) is None else round(silent / _SECOND, 3),
            stalled=liveness.is_stalled(reading, now),
        )
        for reading in crew.board.readings()
        if reading.pid
    ]


def stem_statuses(stems: Stems, uses: Mapping[int, MemoryUse]) -> list[StemStatus]:
    """Describe every stem."""
    now = time.monotonic()
    return [
        StemStatus(
            pid=stem.process.pid,
            generation=stem.generation,
            state=stem.state.value,
            memory=resident_memory(stem.process.pid),
            pss=uses.get(stem.process.pid, _NOT_TOLD).pss,
            uss=uses.get(stem.process.pid, _NOT_TOLD).uss,
            age=round(now - stem.started, 3),
        )
        for stem in stems
    ]


def listener_status(listener: Listener) -> ListenerStatus:
    """Describe an address; nothing waits at one that is closed."""
    queue = listen_queue(listener.socket) if listener.fileno() >= 0 else None
    return ListenerStatus(listener.address, *((None, None) if queue is None else (queue.waiting, queue.limit)))


def total_status(crew: Crew) -> TotalStatus:
    """Add everything up."""
    totals = crew.board.totals()
    return TotalStatus(
        accepts=totals.accepts,
        calls=totals.requests,
        errors=totals.errors,
        busy_seconds=totals.busy_ns / _SECOND,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
        died=totals.died,
        lost=totals.lost,
    )


def resident_memory(pid: int) -> int:
    """Return a process's resident memory in bytes, or 0 when it has gone: proc(5), statm."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - half the time of a Path
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


class NoSample(ServerError):
    """The arbiter has not answered in time."""

    def __str__(self) -> str:
        return "the arbiter did not answer in time; ask again"


class WorkerSample(msgspec.Struct, frozen=True, array_like=True):
    """One worker at one moment: its slot on the scoreboard, its resident memory in bytes, and whether it is stalled."""

    reading: SlotReading
    resident: int
    stalled: bool = False


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """The server at one moment, for metrics; the listeners are those that are open."""

    version: str
    model: str
    generation: int
    totals: Totals
    workers: tuple[WorkerSample, ...]
    listeners: tuple[ListenerStatus, ...]
    methods: MethodReadings | None = None
    stems: tuple[int, ...] = ()
    """The processes that fork the workers, where they are preloaded."""


def take_sample(crew: Crew, listeners: Iterable[Listener], *, model: str, liveness: Liveness) -> Sample:
    """Read the scoreboard and the listen queues."""
    board, stems, now = crew.board, crew.stems, time.monotonic_ns()
    return Sample(
        __version__,
        model,
        crew.generation,
        board.totals(),
        tuple(
            WorkerSample(reading, resident_memory(reading.pid), liveness.is_stalled(reading, now))
            for reading in board.readings()
            if reading.pid
        ),
        tuple(listener_status(listener) for listener in listeners if listener.fileno() >= 0),
        board.methods(),
        () if stems is None else tuple(stems.pids),
    )
