"""Gathering what the server tells about itself: the result of `arbiter.status`."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Final

from rpcserver.system.busy import busy_ns
from rpcserver.system.sockets import listen_queue
from rpcwire.control import ListenerStatus, RunningCall, ServerStatus, TotalStatus, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.reload import Reload
    from rpcserver.system.busy import BusyShares
    from rpcserver.system.settings import Settings
    from rpcserver.system.sockets import Listener

_SECOND: Final = 1_000_000_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


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
