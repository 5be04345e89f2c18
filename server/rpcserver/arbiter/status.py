"""What the server tells about itself: the structure of `arbiter.status`, and gathering it."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.system.busy import busy_ns
from rpcserver.system.queues import listen_queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.reload import Reload
    from rpcserver.system.busy import BusyShares
    from rpcserver.system.settings import Settings
    from rpcserver.system.sockets import Listener

_SECOND: Final = 1_000_000_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class RunningCall(msgspec.Struct, frozen=True):
    """A call that a worker is in.

    Attributes:
        method: the method's name, cut after 64 bytes.
        seconds: for how long.
    """

    method: str
    seconds: float


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker.

    Attributes:
        worker: its number, from 1; while it is replaced, two workers have the same.
        pid: its process.
        generation: how many times the server had been reloaded when it started.
        state: starting, ready, draining or aborting.
        call: the call that it is in, the longest where it can tell, or null.
        calls_running: how many it is in.
        connections: how many are open.
        accepts: how many it has accepted.
        calls: how many it has answered, errors included.
        errors: how many of these were errors.
        busy_seconds: how long it was in calls, added up.
        busy: the share of the last seconds that it spent in calls; over 1 where several run at once.
        bytes_in: size of the requests.
        bytes_out: size of the replies.
        memory: resident memory in bytes; what workers share is in each.
        age: seconds since it was started.
    """

    worker: int
    pid: int
    generation: int
    state: str
    call: RunningCall | None
    calls_running: int
    connections: int
    accepts: int
    calls: int
    errors: int
    busy_seconds: float
    busy: float
    bytes_in: int
    bytes_out: int
    memory: int
    age: float


class ListenerStatus(msgspec.Struct, frozen=True):
    """One address.

    Attributes:
        address: as targets are written.
        waiting: how many connections wait to be accepted; null where the kernel does not tell.
        limit: how many can.
    """

    address: str
    waiting: int | None
    limit: int | None


class TotalStatus(msgspec.Struct, frozen=True):
    """Counts since the server started, those of workers that have left included.

    Attributes:
        accepts: accepted connections.
        calls: answered calls, errors included.
        errors: how many of these were errors.
        busy_seconds: how long workers were in calls that were answered, added up.
        bytes_in: size of the requests.
        bytes_out: size of the replies.
        died: workers that died by a signal or with an error.
        lost: calls that they were in.
    """

    accepts: int
    calls: int
    errors: int
    busy_seconds: float
    bytes_in: int
    bytes_out: int
    died: int
    lost: int


class ServerStatus(msgspec.Struct, frozen=True):
    """The server.

    Attributes:
        pid: the arbiter's process.
        version: of the program.
        model: the worker model.
        app: what is served, or null for the demo.
        phase: booting, running, draining or quitting.
        generation: how many times the server was reloaded.
        reloading: whether it is being reloaded now.
        reload_problem: why the last reload was given up, or null.
        uptime: seconds since it was started.
        listeners: where it listens.
        wanted: how many workers there shall be.
        workers: those that there are.
        totals: counts.
    """

    pid: int
    version: str
    model: str
    app: str | None
    phase: str
    generation: int
    reloading: bool
    reload_problem: str | None
    uptime: float
    listeners: list[ListenerStatus]
    wanted: int
    workers: list[WorkerStatus]
    totals: TotalStatus


def server_status(
    settings: Settings,
    crew: Crew,
    reload: Reload,
    shares: BusyShares,
    listeners: Sequence[Listener],
    *,
    phase: str,
    uptime: float,
) -> ServerStatus:
    """Describe the server."""
    return ServerStatus(
        pid=os.getpid(),
        version=program_version(),
        model=settings.model,
        app=settings.app,
        phase=phase,
        generation=crew.generation,
        reloading=reload.active,
        reload_problem=reload.problem,
        uptime=round(uptime, 3),
        listeners=listener_statuses(listeners),
        wanted=len(crew.slots),
        workers=worker_statuses(crew, shares),
        totals=total_status(crew),
    )


def worker_statuses(crew: Crew, shares: BusyShares) -> list[WorkerStatus]:
    """Describe every worker, by their numbers."""
    now = time.monotonic_ns()
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
            busy=round(shares.share(reading, now), 4),
            bytes_in=reading.bytes_in,
            bytes_out=reading.bytes_out,
            memory=resident_memory(reading.pid),
            age=round((now - reading.born) / _SECOND, 3),
        )
        for reading in crew.board.readings()
    ]


def listener_statuses(listeners: Sequence[Listener]) -> list[ListenerStatus]:
    """Describe every address."""
    found = []
    for listener in listeners:
        queue = listen_queue(listener.socket) if listener.fileno() >= 0 else None
        waiting, limit = (None, None) if queue is None else (queue.waiting, queue.limit)
        found.append(ListenerStatus(listener.address, waiting, limit))
    return found


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


@functools.cache
def program_version() -> str:
    """Return the version of the program, as it is installed."""
    from importlib.metadata import version

    return version("rpcshell")


def resident_memory(pid: int) -> int:
    """Return a process's resident memory in bytes, or 0 when it has gone: proc(5), statm."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - half the time of a Path
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
