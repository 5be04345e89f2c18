"""Runs of the same thing put together, each kind of them beside the others, and their timelines cut to size."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from rpcshell.lab.bench.findings import name_of
from rpcshell.lab.bench.measurement import shares_summed, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.lab.bench.measurement import Interval, Measurement, ServerUse

_PARTS: Final = 4
_SHORTEST: Final = 8
"""Intervals below which a run is too short to be cut into parts."""


class Contestant(NamedTuple):
    """All rounds of a model, to stand beside those of others."""

    name: str
    whole: Measurement
    """All rounds as if they were one run."""
    rates: list[float]
    """Calls a second of each round, or of parts of the only one."""
    p99s: list[float]
    """The same of the 99th percentile, in seconds."""
    rounds: int

    @property
    def p99(self) -> float:
        """In seconds."""
        return self.whole.histogram.percentile(99)


def contestants_of(measurements: Sequence[Measurement]) -> list[Contestant]:
    """Rounds put together by what they are of, in the order in which each came first."""
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(name_of(measurement), []).append(measurement)
    return [_contestant(name, rounds) for name, rounds in groups.items()]


def _contestant(name: str, rounds: list[Measurement]) -> Contestant:
    if len(rounds) > 1:
        p99s = [one.histogram.percentile(99) for one in rounds]
        return Contestant(name, _merged(rounds), [one.rate for one in rounds], p99s, len(rounds))
    (only,) = rounds
    return Contestant(name, only, rate_parts(only), p99_parts(only), 1)


def rate_parts(measurement: Measurement) -> list[float]:
    """Calls a second in a few parts of a run; none where it was too short."""
    return _parts(measurement.timeline, lambda interval: interval.rate)


def p99_parts(measurement: Measurement) -> list[float]:
    """The 99th percentile in a few parts of a run; none where it was too short."""
    return _parts(measurement.timeline, lambda interval: interval.p99)


def whole_intervals(timeline: Sequence[Interval]) -> list[Interval]:
    """A timeline without what was left over at its end, too short to say anything of a rate."""
    usual = max((interval.length for interval in timeline), default=0.0)
    return [interval for interval in timeline if interval.length > usual / 2]


def thinned(timeline: Sequence[Interval], most: int) -> list[Interval]:
    """A timeline with neighbours put together: their rates averaged, the worst of their percentiles."""
    each = -(-len(timeline) // most)
    groups = [timeline[start : start + each] for start in range(0, len(timeline), max(1, each))]
    return [
        replace(
            group[-1],
            length=sum(interval.length for interval in group),
            calls=sum(interval.calls for interval in group),
            problems=sum(interval.problems for interval in group),
            p50=max(interval.p50 for interval in group),
            p99=max(interval.p99 for interval in group),
        )
        for group in groups
    ]


def _merged(rounds: Sequence[Measurement]) -> Measurement:
    """Several runs of the same plan as if they were one, each after the other."""
    timeline: list[Interval] = []
    passed = 0.0
    for one in rounds:
        timeline += [replace(interval, seconds=interval.seconds + passed) for interval in one.timeline]
        passed += one.seconds
    servers = [one.server for one in rounds if one.server is not None]
    return replace(
        rounds[0],
        seconds=passed,
        calls=sum(one.calls for one in rounds),
        latency=summed(one.latency for one in rounds),
        problems=summed(one.problems for one in rounds),
        unsent=sum(one.unsent for one in rounds),
        timeline=timeline,
        workers=summed(one.workers for one in rounds),
        instances=shares_summed(one.instances for one in rounds),
        bytes_in=sum(one.bytes_in for one in rounds),
        bytes_out=sum(one.bytes_out for one in rounds),
        client_cpu=sum(one.client_cpu for one in rounds),
        processes=max(one.processes for one in rounds),
        examples={kind: said for one in rounds for kind, said in one.examples.items()},
        server=_server(servers) if len(servers) == len(rounds) else None,
        interrupted=any(one.interrupted for one in rounds),
    )


def _server(servers: Sequence[ServerUse]) -> ServerUse:
    memories = [server.memory for server in servers if server.memory is not None]
    return replace(
        servers[0],
        cpu=sum(server.cpu for server in servers),
        memory=max(memories) if len(memories) == len(servers) else None,
        died=sum(server.died for server in servers),
        lost=sum(server.lost for server in servers),
        waiting=max(server.waiting for server in servers),
    )


def _parts(timeline: Sequence[Interval], value: Callable[[Interval], float]) -> list[float]:
    """The means of a few parts of a run, without its beginning; none where it was too short."""
    rest = whole_intervals(timeline)[1:]
    if len(rest) < _SHORTEST:
        return []
    edges = [len(rest) * part // _PARTS for part in range(_PARTS + 1)]
    cut = [rest[start:end] for start, end in pairwise(edges)]
    return [
        sum(value(interval) * interval.length for interval in part) / sum(interval.length for interval in part)
        for part in cut
    ]
