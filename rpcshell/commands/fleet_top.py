"""What `:top -n` prints of a fleet: a line for each instance."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from rpcshell.commands.fleet import fleet_title
from rpcshell.lab.top.fleet_feed import PERIOD, FleetFeed
from rpcshell.lab.top.instance_table import SPARE, instance_row
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.shell import Shell


def print_fleet(shell: Shell, fleet: Fleet, count: int) -> None:
    """Show tables, and Ctrl-C ends that."""
    with FleetFeed() as feed:
        try:
            # Rates need two looks.
            for lines in islice(_looks(feed, fleet), 1, count + 1):
                data = [_as_json(line) for line in lines]
                shell.show_table(list(map(instance_row, lines)), data, spare=SPARE)
                for text in _problems(lines):
                    shell.output.note(text)
                shell.output.note(fleet_title(shell, lines))
        except KeyboardInterrupt:
            return


def _looks(feed: FleetFeed, fleet: Fleet) -> Iterator[list[InstanceLine]]:
    while True:
        yield feed.look(fleet.instances)
        time.sleep(PERIOD)


def _problems(lines: Sequence[InstanceLine]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            yield visible(f"{line.state.target}: {line.problem}")


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
