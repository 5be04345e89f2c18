"""Workers as rows of a table, and a server in one line: what commands that show them have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpcshell.view.escape import visible
from rpcshell.view.table import Figure
from rpcshell.view.units import count_of, duration, size, size_or_dash

if TYPE_CHECKING:
    from rpcwire.control import ServerStatus, WorkerStatus

WORKER_SPARE: Final = ("gen", "age", "rss", "uss", "pss", "calls", "pid", "errors", "conns")
"""What a row of a worker can do without on a narrow screen, in this order."""


def worker_row(worker: WorkerStatus, status: ServerStatus) -> dict[str, Any]:
    """A worker as a row of a table."""
    call = worker.call
    running = "-" if call is None else f"{call.method} {duration(call.seconds)}"
    if worker.calls_running > 1:
        running += f" (of {worker.calls_running})"
    row: dict[str, Any] = {"worker": worker.worker, "pid": worker.pid}
    if status.generation:
        row["gen"] = worker.generation
    return row | {
        "state": worker.activity,
        "call": running,
        "conns": worker.connections,
        "calls": worker.calls,
        "errors": worker.errors,
        "busy": Figure(f"{worker.busy:.0%}"),
        "rss": Figure(size(worker.memory)),
        "pss": Figure(size_or_dash(worker.pss)),
        "uss": Figure(size_or_dash(worker.uss)),
        "age": Figure(duration(worker.age)),
    }


def _preloaded(status: ServerStatus) -> str:
    """Say which process workers come of, and what all of them take together; nothing where there is none."""
    stem = next((stem for stem in reversed(status.stems) if stem.state != "retired"), None)
    if stem is None:
        return ""
    shares = [worker.pss for worker in status.workers] + [one.pss for one in status.stems]
    together = sum(share for share in shares if share is not None)
    told = f", {size(together)} with its workers" if None not in shares else ""
    return f"stem pid {stem.pid}{'' if stem.state == 'ready' else f' {stem.state}'}{told}"


def server_line(status: ServerStatus) -> str:
    """A server in one line that is safe on a terminal."""
    queues = [f"{one.waiting}/{one.limit}" for one in status.listeners if one.waiting is not None]
    stalled = sum(worker.stalled for worker in status.workers)
    parts = [
        f"pid {status.pid}",
        count_of(len(status.workers), f"{status.model} worker"),
        f"{stalled} stalled" if stalled else "",
        f"queue {' '.join(queues)}" if queues else "",
        count_of(status.totals.calls, "call"),
        count_of(status.totals.errors, "error") if status.totals.errors else "",
        f"{status.totals.died} died, {count_of(status.totals.lost, 'call')} lost"
        if status.totals.died
        else "no worker died",
        f"generation {status.generation}" if status.generation else "",
        "reloading" if status.reloading else "",
        _preloaded(status),
        status.phase if status.phase != "running" else "",
        status.registration.summary if status.registration is not None else "",
        f"up {duration(status.uptime)}",
    ]
    return visible(" · ".join(part for part in parts if part))
