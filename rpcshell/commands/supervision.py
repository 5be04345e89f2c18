"""Commands that show servers of one's own on this machine and their workers: `:servers`, `:attach`, `:workers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.shell.command import TARGET, command
from rpcshell.view.escape import visible
from rpcshell.view.units import duration, size

if TYPE_CHECKING:
    from rpcshell.servers import ServerStatus, WorkerStatus
    from rpcshell.shell.shell import Shell

WORKER_SPARE: Final = ("gen", "age", "rss", "calls", "pid", "errors", "conns")
"""What a row of a worker can do without on a narrow screen, in this order."""


@command("workers", group="Server")
def workers(shell: Shell) -> None:
    """Show the server's workers and what each of them does.

    It works for a server of yours on this machine. A worker's call is what it runs now, and since when; busy is the
    share of the last seconds that it spent in calls.
    """
    with shell.supervisor.control() as control:
        status = control.status()
    rows = [worker_row(worker, status) for worker in status.workers]
    shell.show_table(rows, status.workers, spare=WORKER_SPARE)
    shell.output.note(server_line(status))


@command("servers", group="Server")
def servers(shell: Shell) -> None:
    """List your servers on this machine, whoever started them."""
    from rpcshell.servers import local_servers
    from rpcshell.view.table import Figure

    found = local_servers()
    if not found:
        shell.output.note("no server of yours runs on this machine; :spawn 10 starts one")
        return
    shell.show_table(
        [
            {
                "pid": server.status.pid,
                "listens": ", ".join(server.addresses),
                "app": server.status.app or "the demo",
                "model": server.status.model,
                "workers": len(server.status.workers),
                "calls": server.status.totals.calls,
                "up": Figure(duration(server.status.uptime)),
            }
            for server in found
        ],
        found,
        spare=("calls", "up", "model", "app"),
    )


@command("attach", group="Server", examples=(":attach 12345", ":attach 127.0.0.1:8080"))
@click.argument("server", type=TARGET)
def attach(shell: Shell, *, server: str) -> None:
    """Join a SERVER of yours on this machine.

    SERVER is its process id, its address, or its control socket. Calls go to it from now on, and it can be watched and
    steered like one that was spawned here.
    """
    found = shell.supervisor.attach(server)
    shell.output.note(server_line(found.status))


def worker_row(worker: WorkerStatus, status: ServerStatus) -> dict[str, Any]:
    """A worker as a row of a table.

    Args:
        worker: The worker.
        status: Of its server.
    """
    from rpcshell.view.table import Figure

    call = worker.call
    running = "-" if call is None else f"{call.method} {duration(call.seconds)}"
    if worker.calls_running > 1:
        running += f" (of {worker.calls_running})"
    row: dict[str, Any] = {"worker": worker.worker, "pid": worker.pid}
    if status.generation:
        row["gen"] = worker.generation
    return row | {
        "state": worker.state if call is None or worker.state != "ready" else "busy",
        "call": running,
        "conns": worker.connections,
        "calls": worker.calls,
        "errors": worker.errors,
        "busy": Figure(f"{worker.busy:.0%}"),
        "rss": Figure(size(worker.memory)),
        "age": Figure(duration(worker.age)),
    }


def server_line(status: ServerStatus) -> str:
    """A server in one line that is safe on a terminal.

    Args:
        status: What it told.
    """
    queues = [f"{one.waiting}/{one.limit}" for one in status.listeners if one.waiting is not None]
    parts = [
        f"pid {status.pid}",
        f"{len(status.workers)} {status.model} worker{'' if len(status.workers) == 1 else 's'}",
        f"queue {' '.join(queues)}" if queues else "",
        f"{status.totals.calls} calls",
        f"{status.totals.errors} errors" if status.totals.errors else "",
        f"{status.totals.died} died, {status.totals.lost} calls lost" if status.totals.died else "no worker died",
        f"generation {status.generation}" if status.generation else "",
        "reloading" if status.reloading else "",
        status.phase if status.phase != "running" else "",
        f"up {duration(status.uptime)}",
    ]
    return visible(" · ".join(part for part in parts if part))
