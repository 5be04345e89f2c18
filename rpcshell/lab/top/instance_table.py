"""The instances of a fleet as a table, and what its rows are sorted by. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpcshell.lab.top.columns import RowOrder
from rpcshell.shell.fleet import state_text
from rpcshell.view.table import Figure
from rpcshell.view.units import brief_rate, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rpcshell.lab.top.fleet_feed import InstanceLine

SPARE: Final = ("died", "conns", "rss", "queue", "errors", "busy")
"""The columns that a narrow screen can do without, in this order."""

_NOT_KNOWN: Final = Figure("-")
_LEAST: Final = -1.0
"""What stands below all figures: one that is not known."""


def instance_row(line: InstanceLine) -> dict[str, Any]:
    """An instance by its columns."""
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


def _read(name: str) -> Callable[[InstanceLine], float]:
    return lambda line: _LEAST if line.reading is None else getattr(line.reading, name)


def _rate(name: str) -> Callable[[InstanceLine], float]:
    return lambda line: _LEAST if line.rates is None else getattr(line.rates, name)


_KEYS: Final[dict[str, Callable[[InstanceLine], Any]]] = {
    "state": lambda line: (line.state.ejected, _read("stalled")(line), bool(line.problem)),
    "workers": _read("workers"),
    "busy": _rate("busy"),
    "calls/s": _rate("calls"),
    "errors": _read("errors"),
    "conns": _read("connections"),
    "queue": _read("waiting"),
    "died": _read("died"),
    "rss": _read("memory"),
}

INSTANCE_SORTS: Final = ("instance", *_KEYS)
"""What rows can be sorted by, in the order in which it is gone through."""


def instance_order(name: str) -> RowOrder:
    """The order that one expects of a column: the highest first, but for names."""
    return RowOrder(name, falling=name in _KEYS)


def sorted_instances(lines: Iterable[InstanceLine], order: RowOrder) -> list[InstanceLine]:
    """Rows in an order; those that are equal in it by their addresses."""
    key = _KEYS.get(order.name)
    named = sorted(lines, key=lambda line: str(line.state.target), reverse=order.falling and key is None)
    return named if key is None else sorted(named, key=key, reverse=order.falling)
