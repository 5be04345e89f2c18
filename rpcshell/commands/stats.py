"""The command that tells how the calls of the session went, by method and by worker: `:stats`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.commands.groups import LOOK
from rpcshell.shell.command import command
from rpcshell.view.escape import visible
from rpcshell.view.table import Figure
from rpcshell.view.units import call_time, count_of, duration, number

if TYPE_CHECKING:
    from rpcshell.shell.journal import CallCounts, CallStatistics
    from rpcshell.shell.shell import Shell

_METHOD_SPARE = ("max", "p50", "no reply", "share")
_NONE: Final = Figure("-")
"""Stands where there is nothing to tell."""
_WORKER_SPARE = ("max", "p99", "no reply", "server")


@command("stats", group=LOOK, examples=(":stats", ":stats --reset"))
@click.option("--reset", is_flag=True, help="Begin to count anew.")
def stats(shell: Shell, *, reset: bool) -> None:
    """Count this session's calls by method and by worker.

    Calls, errors, calls without a reply, and how long those took that were answered: half of them no longer than p50,
    99 of 100 no longer than p99. Server is the part of it that workers said they spent, on average. Shares are of all
    calls.
    """
    counts = shell.journal.statistics
    if reset:
        counts.reset()
        shell.output.note("calls are counted from now on")
        return
    if shell.for_programs:
        shell.output.value("", _data(counts))
        return
    if not counts.calls:
        shell.output.note(f"no call in the last {duration(counts.seconds)}")
        return
    methods = sorted(counts.methods.items(), key=lambda item: -item[1].calls)
    rows = [{"method": visible(name), **_row(counted, counts.calls)} for name, counted in methods]
    shell.show_table(rows, spare=_METHOD_SPARE)
    several = len({server for server, _ in counts.workers}) > 1
    kind = "target" if shell.session.fleet is None else "instance"
    found = sorted(counts.workers.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or 0))
    if any(worker is not None for (_, worker), _ in found):
        shell.output.text("")
        shell.show_table(
            [
                {"worker": _NONE if worker is None else worker, "pid": _NONE if counted.pid is None else counted.pid}
                | ({kind: visible(server)} if several else {})
                | _row(counted, counts.calls)
                for (server, worker), counted in found
            ],
            spare=_WORKER_SPARE,
        )
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - counts.seconds))
    shell.output.note(
        f"{count_of(counts.calls, 'call')} since {since} · "
        f"{count_of(counts.errors, 'error')} · {number(counts.unanswered)} without a reply"
    )


def _row(counted: CallCounts, calls: int) -> dict[str, Any]:
    times = {
        name: _NONE if seconds is None else Figure(call_time(seconds)) for name, seconds in _times(counted).items()
    }
    return {
        "calls": counted.calls,
        "share": Figure(f"{counted.calls / calls:.0%}"),
        "errors": counted.errors,
        "no reply": counted.unanswered,
        **times,
    }


def _data(counts: CallStatistics) -> dict[str, Any]:
    """All of it with numbers as they are, for programs; times in seconds."""
    return {
        "calls": counts.calls,
        "errors": counts.errors,
        "unanswered": counts.unanswered,
        "seconds": counts.seconds,
        "methods": [{"method": name, **_figures(counted)} for name, counted in counts.methods.items()],
        "workers": [
            {"target": target, "worker": worker, "pid": counted.pid, **_figures(counted)}
            for (target, worker), counted in counts.workers.items()
        ],
    }


def _figures(counted: CallCounts) -> dict[str, Any]:
    counts = {"calls": counted.calls, "errors": counted.errors, "unanswered": counted.unanswered}
    return counts | _times(counted)


def _times(counted: CallCounts) -> dict[str, float | None]:
    times = counted.times
    return {
        "p50": times.percentile(50) if times.count else None,
        "p99": times.percentile(99) if times.count else None,
        "max": times.largest if times.count else None,
        "server": counted.service / counted.served if counted.served else None,
    }
