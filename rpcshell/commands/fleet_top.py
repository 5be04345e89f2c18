"""What `:top -n` prints of a fleet: a line for each instance."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from rpcshell.commands.fleet import fleet_title
from rpcshell.lab.top.feed import PERIOD
from rpcshell.lab.top.fleet_feed import FleetFeed
from rpcshell.lab.top.instance_table import SPARE, instance_row
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.shell import Shell


def print_fleet(shell: Shell, fleet: Fleet, count: int) -> None:
    """Show `count` tables, one a period; Ctrl-C ends that before."""
    with FleetFeed() as feed, suppress(KeyboardInterrupt):
        # Rates need two looks.
        feed.look(fleet.instances)
        for _ in range(count):
            time.sleep(PERIOD)
            lines = feed.look(fleet.instances)
            shell.show_table(list(map(instance_row, lines)), list(map(_as_json, lines)), spare=SPARE)
            for line in lines:
                if line.problem:
                    shell.output.note(visible(f"{line.state.target}: {line.problem}"))
            shell.output.note(fleet_title(shell, lines))


def _as_json(line: InstanceLine) -> dict[str, Any]:
    """An instance for programs; rates a second, memory in bytes."""
    reading = {} if line.reading is None else msgspec.to_builtins(line.reading)
    reading.pop("at", None)
    return {
        "address": str(line.state.target),
        "state": "ejected" if line.state.ejected else "ready",
        "problem": line.problem or None,
        "rate": None if line.rates is None else line.rates.calls,
        "busy": None if line.rates is None else line.rates.busy,
        **reading,
    }
