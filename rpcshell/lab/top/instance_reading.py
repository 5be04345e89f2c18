"""What an instance of a fleet tells of itself at a moment, by its control socket or as metrics for Prometheus. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcwire.control import ServerStatus

_PREFIX: Final = "rpcserver_"
_LINE: Final = re.compile(rf"{_PREFIX}([a-z_]+)(?:\{{([^}}]*)\}})? (\S+)")
# A name is read from its beginning alone: from each of its letters, one of megabytes would never end.
_LABEL: Final = re.compile(r'(?<![a-z_])([a-z_]+)="((?:[^"\\]|\\.)*)"')
_COUNTABLE: Final = 1e15
_WINDOW: Final = 2.0
"""Seconds over which rates are measured, at most."""


class InstanceReading(msgspec.Struct, frozen=True):
    """What an instance tells, and when, in seconds on a clock that goes on evenly."""

    at: float
    model: str
    workers: int
    ready: int
    stalled: int
    """Of the workers that are ready."""
    connections: int
    waiting: int
    """Connections that are not accepted yet."""
    memory: int
    """Resident bytes of the workers, those shared counted for each."""
    generation: int
    calls: int
    """Answered so far, with errors too."""
    errors: int
    busy_seconds: float
    """Time in calls so far, added up."""
    died: int


class Rates(msgspec.Struct, frozen=True):
    """What an instance did lately."""

    calls: float
    """A second."""
    busy: float
    """The share of its workers' time that they spent in calls; over 1 where several run at once in a worker."""

    @classmethod
    def between(cls, readings: list[InstanceReading]) -> Rates | None:
        """Those of the last seconds of readings in order, or None where there is nothing to compare with."""
        last = readings[-1]
        for first in readings:
            span = last.at - first.at
            # One that was started anew counts from 0.
            if 0 < span <= _WINDOW and first.calls <= last.calls and first.busy_seconds <= last.busy_seconds:
                busy = (last.busy_seconds - first.busy_seconds) / span
                return cls((last.calls - first.calls) / span, busy / max(last.workers, 1))
        return None


def of_status(status: ServerStatus, at: float) -> InstanceReading:
    """What a control socket tells."""
    workers = status.workers
    return InstanceReading(
        at=at,
        model=status.model,
        workers=len(workers),
        ready=sum(worker.state == "ready" for worker in workers),
        stalled=sum(worker.stalled for worker in workers),
        connections=sum(worker.connections for worker in workers),
        waiting=status.waiting,
        memory=sum(worker.memory for worker in workers),
        generation=status.generation,
        calls=status.totals.calls,
        errors=status.totals.errors,
        busy_seconds=status.totals.busy_seconds,
        died=status.totals.died,
    )


def of_metrics(text: str, at: float) -> InstanceReading:
    """What the text of `/metrics` tells; raises `ProtocolError` where it is not that of an rpcserver.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    samples = [
        (name, dict(_LABEL.findall(labels or "")), _number(value))
        for name, labels, value in (found.groups() for found in map(_LINE.match, text.splitlines()) if found)
    ]
    if not any(name == "requests_total" for name, *_ in samples):
        raise ProtocolError("its metrics are not those of an rpcserver")

    def total(wanted: str, fits: Callable[[dict[str, str]], bool] = lambda _labels: True) -> float:
        return sum(value for name, labels, value in samples if name == wanted and fits(labels))

    return InstanceReading(
        at=at,
        model=next((labels.get("model", "") for name, labels, _ in samples if name == "server_info"), ""),
        workers=int(total("workers")),
        ready=int(total("workers", lambda labels: labels.get("state") == "ready")),
        stalled=int(total("worker_stalled")),
        connections=int(total("worker_connections")),
        waiting=int(total("listen_queue")),
        memory=int(total("worker_resident_bytes")),
        generation=int(total("generation")),
        calls=int(total("requests_total")),
        errors=int(total("errors_total")),
        busy_seconds=total("busy_seconds_total"),
        died=int(total("worker_deaths_total")),
    )


def _number(text: str) -> float:
    """The number of a sample; 0 for what no instance could count."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0 <= found < _COUNTABLE else 0.0
