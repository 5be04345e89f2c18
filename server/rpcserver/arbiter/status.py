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
from rpcserver.system.printable import printable
from rpcserver.system.scoreboard import SlotReading, Totals  # noqa: TC001 - msgspec reads the fields' types
from rpcserver.system.version import __version__
from rpcwire.control import ListenerStatus, RunningCall, ServerStatus, StemStatus, TotalStatus, WorkerStatus

if TYPE_CHECKING:
    from rpcserver.arbiter.arbiter import Arbiter
    from rpcserver.arbiter.housekeeping import Housekeeping
    from rpcserver.arbiter.memory_gauge import MemoryGauge
    from rpcserver.arbiter.stem_process import StemProcess
    from rpcserver.system.sockets import Listener

_SECOND: Final = 1_000_000_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_NOT_TOLD: Final = MemoryUse()


def server_status(arbiter: Arbiter, gauge: MemoryGauge) -> ServerStatus:
    """Describe the server."""
    crew, settings, housekeeping = arbiter.crew, arbiter.settings, arbiter.housekeeping
    uses = gauge.read(crew.pids)
    now = time.monotonic_ns()
    totals = crew.board.totals()
    return ServerStatus(
        pid=os.getpid(),
        version=__version__,
        model=settings.model,
        app=settings.app and printable(settings.app),
        phase=arbiter.phase.value,
        generation=crew.generation,
        reloading=arbiter.reloads.active,
        reload_problem=arbiter.reloads.problem,
        uptime=round(now / _SECOND - arbiter.started, 3),
        listeners=[_listener_status(listener) for listener in arbiter.listeners],
        wanted=len(crew.slots),
        workers=[
            _worker_status(reading, housekeeping, uses.get(reading.pid, _NOT_TOLD), now)
            for reading in crew.board.readings()
            if reading.pid
        ],
        stems=[_stem_status(stem, uses.get(stem.process.pid, _NOT_TOLD), now) for stem in crew.stems or ()],
        totals=TotalStatus(
            accepts=totals.accepts,
            calls=totals.requests,
            errors=totals.errors,
            busy_seconds=totals.busy_ns / _SECOND,
            bytes_in=totals.bytes_in,
            bytes_out=totals.bytes_out,
            died=totals.died,
            lost=totals.lost,
        ),
        registration=None if arbiter.registration is None else arbiter.registration.status(),
    )


def _worker_status(reading: SlotReading, housekeeping: Housekeeping, use: MemoryUse, now: int) -> WorkerStatus:
    silent = housekeeping.liveness.silent_for(reading, now)
    call = RunningCall(reading.method, round((now - reading.request_began) / _SECOND, 6))
    return WorkerStatus(
        worker=reading.number,
        pid=reading.pid,
        generation=reading.generation,
        state=reading.state.name.lower(),
        call=call if reading.running else None,
        calls_running=reading.running,
        connections=reading.connections,
        accepts=reading.accepts,
        calls=reading.requests,
        errors=reading.errors,
        busy_seconds=busy_ns(reading, now) / _SECOND,
        busy=round(housekeeping.shares.share(reading, now), 4),
        bytes_in=reading.bytes_in,
        bytes_out=reading.bytes_out,
        memory=_resident_memory(reading.pid),
        pss=use.pss,
        uss=use.uss,
        age=round((now - reading.born) / _SECOND, 3),
        silent=None if silent is None else round(silent / _SECOND, 3),
        stalled=housekeeping.liveness.is_stalled(reading, now),
    )


def _stem_status(stem: StemProcess, use: MemoryUse, now: int) -> StemStatus:
    return StemStatus(
        pid=stem.process.pid,
        generation=stem.generation,
        state=stem.state.value,
        memory=_resident_memory(stem.process.pid),
        pss=use.pss,
        uss=use.uss,
        age=round(now / _SECOND - stem.started, 3),
    )


def _listener_status(listener: Listener) -> ListenerStatus:
    """Describe an address; nothing waits at one that is closed."""
    queue = listen_queue(listener.socket) if listener.fileno() >= 0 else None
    if queue is None:
        return ListenerStatus(listener.address)
    return ListenerStatus(listener.address, queue.waiting, queue.limit)


def _resident_memory(pid: int) -> int:
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


def take_sample(arbiter: Arbiter) -> Sample:
    """Read the scoreboard and the listen queues."""
    crew, board, now = arbiter.crew, arbiter.crew.board, time.monotonic_ns()
    liveness = arbiter.housekeeping.liveness
    return Sample(
        __version__,
        arbiter.settings.model,
        crew.generation,
        board.totals(),
        tuple(
            WorkerSample(reading, _resident_memory(reading.pid), liveness.is_stalled(reading, now))
            for reading in board.readings()
            if reading.pid
        ),
        tuple(_listener_status(listener) for listener in arbiter.listeners if listener.fileno() >= 0),
        board.methods(),
        () if crew.stems is None else tuple(crew.stems.pids),
    )
