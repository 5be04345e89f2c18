"""The command that shows a server of one's own on the whole screen: `:top`."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.fleet import fleet_title
from rpcshell.commands.groups import LOOK
from rpcshell.commands.worker_table import WORKER_SPARE, server_line, worker_row
from rpcshell.lab.top.feed import PERIOD, Tracker
from rpcshell.shell.command import command
from rpcshell.view.table import Figure
from rpcshell.view.units import brief_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.shell import Shell

_HANGING_AFTER: Final = 2.0
"""Seconds without an answer after which a server is said to hang."""

_HINT: Final = ":workers shows the same once, :top -n 1 with rates"
_DUMB: Final = {"dumb", "unknown", ""}


@command("top", group=LOOK, examples=(":top", ":top -n 1"))
@click.option("-n", "--count", metavar="COUNT", type=click.IntRange(min=1), help="Print so many tables instead.")
def top(shell: Shell, *, count: int | None) -> None:
    """Watch workers, or instances, on the whole screen.

    It is drawn anew twice a second and works for a server of yours on this machine. Keys select and sort, kill a
    worker, scale and reload the server, and show a worker's log; ? lists them, q leaves.

    Of a fleet there is a line for each instance, which keys select and sort: of those that are yours on this machine,
    and of those whose metrics the registry knows, as it does of servers with --metrics.
    """
    if (fleet := shell.session.fleet) is not None:
        if count is None:
            _draw(shell, fleet)
            return
        from rpcshell.commands.fleet_top import print_fleet

        print_fleet(shell, fleet, count)
        return
    if count is not None:
        _print(shell, count)
        return
    _require_terminal(shell)
    # What is wrong from the start is an error like any other.
    with shell.supervisor.control() as control:
        control.status()
    _draw(shell)
    # The server may have been reloaded by a key there.
    shell.session.refresh()


def _draw(shell: Shell, fleet: Fleet | None = None) -> None:
    """Draw the instances of a fleet, or else the server's workers, on the terminal until that is left."""
    _require_terminal(shell)
    from rpcshell.lab.top.screen import run_fleet_top, run_top

    run: Callable[..., None]
    if fleet is not None:
        run = partial(run_fleet_top, lambda: fleet.instances, partial(fleet_title, shell))
    else:
        name = shell.session.name or str(shell.session.target)
        run = partial(run_top, partial(shell.supervisor.control, timeout=_HANGING_AFTER), name)
    if (lent := shell.output.lend()) is not None:
        with lent as terminal:
            run(style=terminal.style, depth=terminal.depth, output=terminal.output)
    elif shell.interactive or os.environ.get("TERM", "dumb") in _DUMB:
        raise UsageError(":top cannot draw on this kind of terminal", hint=_HINT)
    else:
        run(theme=shell.settings.theme)


def _require_terminal(shell: Shell) -> None:
    if not shell.at_terminal:
        raise UsageError(":top draws on a terminal, and its output goes elsewhere", hint=_HINT)


def _print(shell: Shell, count: int) -> None:
    tracker = Tracker()
    with shell.supervisor.control() as control, suppress(KeyboardInterrupt):
        # Rates need two looks.
        tracker.add(control.status())
        for _ in range(count):
            time.sleep(PERIOD)
            picture = tracker.add(control.status())
            rows = [
                worker_row(line.status, picture.status) | {"calls/s": Figure(brief_rate(line.rate))}
                for line in picture.workers
            ]
            shell.show_table(rows, picture, spare=WORKER_SPARE)
            shell.output.note(f"{brief_rate(picture.rate)} calls/s · {server_line(picture.status)}")
