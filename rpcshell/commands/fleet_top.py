"""What `:top` shows of a fleet: a line for each instance, drawn again and again, or printed."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.commands.fleet import fleet_line, state_text
from rpcshell.lab.top.fleet_feed import PERIOD, FleetFeed
from rpcshell.view.escape import visible
from rpcshell.view.render import FOOTER
from rpcshell.view.table import Figure, fitting, render_table
from rpcshell.view.units import brief_rate, size
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.shell import Shell
    from rpcshell.view.pretty import Fragment

_SPARE: Final = ("died", "conns", "rss", "queue", "errors", "busy")
_NOT_KNOWN: Final = Figure("-")
_ROWS_BESIDE: Final = 4
"""The title, the head of the table, its rule, and one that stays empty."""


def watch_fleet(shell: Shell, fleet: Fleet) -> None:
    """Draw the instances over each other until Ctrl-C is pressed."""
    live = shell.output.live()
    if live is None:
        raise UsageError(":top cannot draw on this kind of terminal", hint=":top -n 1 prints it once")
    lines: list[InstanceLine] = []
    with live as place, FleetFeed() as feed:
        try:
            for lines in _looks(feed, fleet):
                rows, columns = place.size
                table = list(render_table(fitting(list(map(_row, lines)), columns, _SPARE), columns))
                head = f"{_title(shell, lines)} · {time.strftime('%H:%M:%S')} · Ctrl-C stops"
                problems = [(FOOTER, cut(text, columns) + "\n") for text in _problems(lines)]
                place.draw([(FOOTER, cut(head, columns) + "\n"), *_first([*table, *problems], rows - _ROWS_BESIDE)])
        except KeyboardInterrupt:
            pass
    if lines:
        shell.show_table(list(map(_row, lines)), spare=_SPARE)


def print_fleet(shell: Shell, fleet: Fleet, count: int) -> None:
    """Show tables, and Ctrl-C ends that."""
    with FleetFeed() as feed:
        try:
            # Rates need two looks.
            for lines in islice(_looks(feed, fleet), 1, count + 1):
                data = [_as_json(line) for line in lines]
                shell.show_table(list(map(_row, lines)), data, spare=_SPARE)
                for text in _problems(lines):
                    shell.output.note(text)
                shell.output.note(_title(shell, lines))
        except KeyboardInterrupt:
            return


def _looks(feed: FleetFeed, fleet: Fleet) -> Iterator[list[InstanceLine]]:
    while True:
        yield feed.look(fleet.instances)
        time.sleep(PERIOD)


def _first(pieces: Sequence[Fragment], rows: int) -> Iterator[Fragment]:
    """Pieces of as many lines as there is room for."""
    for style, text in pieces:
        if rows < 1:
            return
        rows -= text.count("\n")
        yield style, text


def _title(shell: Shell, lines: Sequence[InstanceLine]) -> str:
    rates = [line.rates.calls for line in lines if line.rates is not None]
    rate = f" · {brief_rate(sum(rates))} calls/s" if rates else ""
    return visible(f"{fleet_line(shell, [line.state for line in lines])}{rate}")


def _problems(lines: Sequence[InstanceLine]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            yield visible(f"{line.state.target}: {line.problem}")


def _row(line: InstanceLine) -> dict[str, Any]:
    state, reading, rates = line.state, line.reading, line.rates
    row: dict[str, Any] = {"instance": str(state.target), "state": state_text(state)}
    if reading is None:
        model, workers = state.model, state.workers
        told = f"{workers} {model}" if workers and model else "-"
        nothing = dict.fromkeys(("busy", "calls/s", "errors", "conns", "queue", "died", "rss"), _NOT_KNOWN)
        return row | {"workers": told} | nothing
    if reading.stalled:
        row["state"] = f"{reading.stalled} stalled"
    few = f"{reading.ready} of " if reading.ready != reading.workers else ""
    return row | {
        "workers": f"{few}{reading.workers} {reading.model}",
        "busy": _NOT_KNOWN if rates is None else Figure(f"{rates.busy:.0%}"),
        "calls/s": _NOT_KNOWN if rates is None else Figure(brief_rate(rates.calls)),
        "errors": reading.errors,
        "conns": reading.connections,
        "queue": reading.waiting,
        "died": reading.died,
        "rss": Figure(size(reading.memory)),
    }


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
