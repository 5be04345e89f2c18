"""A run in words that are safe for a terminal: the call, the load, the server, and what is worth saying of the figures.

That is what a figure means where it is easily missed: who waited, who was idle, what was not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.lab.load.process import usable_cores
from rpcshell.line.brief import brief
from rpcshell.line.masking import mask_params, mask_secrets, mask_text
from rpcshell.line.secrets import named_params
from rpcshell.view.escape import visible
from rpcshell.view.histogram import Histogram
from rpcshell.view.plain import compact
from rpcshell.view.units import count_of, in_seconds, latency, number, per_second, plural, share
from rpcwire.worker_models import worker_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.lab.bench.measurement import Measurement, Plan
    from rpcshell.lab.load.messages import InstanceShare

_NEAR: Final = 0.85
"""Share of its processor time from which a load process has none to spare."""

_MUCH_MORE: Final = 1.6
"""Times the fair share of a worker that is worth a word."""

_LONGEST_PARAMS: Final = 200
_ENOUGH_CALLS: Final = 100
_STALL: Final = 0.25
_STALL_MEDIANS: Final = 100


class BenchFinding(NamedTuple):
    """Something worth saying, in one or two sentences, and whether the figures are to be read with it in mind."""

    text: str
    serious: bool = True


def call_text(plan: Plan) -> str:
    """The method and its params on one line, without secrets; long params are cut."""
    if plan.params is None:
        return visible(plan.method)
    params = brief(compact(mask_params(plan.params, plan.names)), _LONGEST_PARAMS)
    return f"{visible(plan.method)} {params}"


def load_text(plan: Plan) -> str:
    """How the calls were made: on how many connections, at which rate."""
    parts = [count_of(plan.connections, "connection")]
    if plan.pipeline > 1:
        parts.append(f"up to {plan.pipeline} calls at once on each")
    parts.append(f"{per_second(plan.rate)} calls/s (open loop)" if plan.rate else "closed loop")
    return ", ".join(parts)


def length_text(measurement: Measurement) -> str:
    """How many calls there were, in which time."""
    return f"{count_of(measurement.calls, 'call')} in {in_seconds(measurement.seconds)}"


def server_text(measurement: Measurement) -> str:
    """The workers that answered, or nothing where that is not known."""
    server = measurement.server
    return "" if server is None else count_of(server.workers, f"{visible(server.model)} worker")


def target_text(plan: Plan) -> str:
    """Where the calls went."""
    return visible(mask_secrets(plan.target))


def percentile_or_dash(found: Measurement | InstanceShare, percent: float) -> str:
    """A percentile of the latency, or a dash where no call was answered."""
    return latency(Histogram(found.latency).percentile(percent)) if found.calls else "-"


def name_of(measurement: Measurement) -> str:
    """What a measurement is called beside others: its worker model, or else its target."""
    return target_text(measurement.plan) if measurement.server is None else visible(measurement.server.model)


def examples_of(measurement: Measurement) -> list[tuple[str, int, str]]:
    """What went wrong, the most frequent first: its kind, how often, and what the first one said."""
    named = named_params(measurement.plan.params, measurement.plan.names)
    return [
        (visible(kind), count, visible(mask_text(measurement.examples.get(kind, ""), named)))
        for kind, count in sorted(measurement.problems.items(), key=lambda item: -item[1])
    ]


def findings(measurement: Measurement) -> list[BenchFinding]:
    """What is worth saying, the most important first."""
    looks = (_ending, _failures, _losses, _behind, _held, _shares, _client, _silence, _hidden)
    return [finding for look in looks for finding in look(measurement)]


def _ending(measurement: Measurement) -> Iterator[BenchFinding]:
    plan = measurement.plan
    if measurement.interrupted:
        seconds = "" if plan.seconds is None else f"{plan.seconds:g} s"
        calls = "" if plan.calls is None else count_of(plan.calls, "call")
        of = f" of {' or '.join(filter(None, (seconds, calls)))}" if seconds or calls else ""
        yield BenchFinding(f"Stopped after {in_seconds(measurement.seconds)}{of}: these are the figures until then.")
    if not measurement.calls:
        yield BenchFinding("No call was answered, so there is nothing to tell of latencies.")


def _failures(measurement: Measurement) -> Iterator[BenchFinding]:
    failed = measurement.failed
    if not failed or not measurement.calls:
        return
    if failed >= measurement.attempts:
        yield BenchFinding(
            "Every call went wrong: the figures say how fast errors come, not how fast the work is done."
        )
    else:
        yield BenchFinding(
            f"{share(failed / measurement.attempts)} of the calls went wrong; errors are in the latencies too."
        )


def _losses(measurement: Measurement) -> Iterator[BenchFinding]:
    lost_at = {name: found.lost for name, found in measurement.instances.items() if found.lost}
    if lost_at:
        places = ", ".join(f"{visible(name)} ({number(lost)})" for name, lost in lost_at.items())
        yield BenchFinding(
            f"{count_of(sum(lost_at.values()), 'call')} had no reply, and went to no other instance: {places}."
        )
    server = measurement.server
    if server is not None and server.died:
        lost = f"{count_of(server.lost, 'call')} {plural(server.lost, 'was', 'were')} lost with them"
        yield BenchFinding(
            f"{count_of(server.died, 'worker')} died meanwhile; {lost if server.lost else 'no call was lost'}."
        )


def _behind(measurement: Measurement) -> Iterator[BenchFinding]:
    plan = measurement.plan
    if plan.rate is None or not measurement.unsent:
        return
    due = measurement.attempts + measurement.unsent
    room = count_of(plan.connections * plan.pipeline, "call")
    yield BenchFinding(
        f"The server did not keep up with {per_second(plan.rate)} calls/s: {number(measurement.unsent)} "
        f"({share(measurement.unsent / due)}) were due and never sent, since {room} at once is all that "
        f"{count_of(plan.connections, 'connection')} can hold. Latency counts from when a call was due."
    )


def _unserved(measurement: Measurement) -> int:
    """The connections for which there is no worker, where each serves one until that ends."""
    server = measurement.server
    if server is None or worker_model(server.model).concurrent:
        return 0
    return max(measurement.plan.connections - server.workers, 0)


def _held(measurement: Measurement) -> Iterator[BenchFinding]:
    """A sync worker serves a connection to its end; those that come after it wait, though they are connected."""
    server, plan = measurement.server, measurement.plan
    if server is None:
        return
    if more := _unserved(measurement):
        yield BenchFinding(
            f"{count_of(plan.connections, 'connection')} for {count_of(server.workers, 'sync worker')}: each worker "
            f"serves one connection until that ends, so {number(more)} had to wait however idle the others were. "
            f"Use {count_of(plan.connections, 'worker')}, or the model thread, pool or async."
        )
    elif server.waiting:
        were = plural(server.waiting, "was", "were")
        yield BenchFinding(
            f"Up to {count_of(server.waiting, 'connection')} {were} seen waiting to be accepted.", serious=False
        )


def _shares(measurement: Measurement) -> Iterator[BenchFinding]:
    calls = measurement.calls_by_worker()
    whole = sum(calls.values())
    if len(calls) < 2 or whole < _ENOUGH_CALLS:
        return
    connections = measurement.plan.connections
    idle = sum(not count for count in calls.values())
    if connections < len(calls):
        yield BenchFinding(
            f"{count_of(connections, 'connection')} can keep at most {number(connections)} of {len(calls)} workers "
            "busy: each connection stays with the worker that took it.",
            serious=False,
        )
        return
    busiest = max(calls, key=lambda worker: calls[worker])
    if calls[busiest] > _MUCH_MORE * whole / len(calls):
        none = f", and {count_of(idle, 'worker')} answered none" if idle else ""
        yield BenchFinding(
            f"Worker {busiest} answered {share(calls[busiest] / whole)} of the calls, where {share(1 / len(calls))} is "
            f"a fair share{none}: each connection stays with the worker that took it.",
        )


def _client(measurement: Measurement) -> Iterator[BenchFinding]:
    cores, connections = usable_cores(), measurement.plan.connections
    most = min(measurement.processes, cores)
    if not measurement.seconds or measurement.keeps_up:
        return
    used = measurement.client_cpu / measurement.seconds
    if used < _NEAR * most:
        return
    processes = count_of(measurement.processes, "load process", "load processes")
    helps = "more of them" if measurement.processes < min(cores, connections) else "a machine of their own"
    yield BenchFinding(
        f"The load itself was the limit: {processes} used {used:.2f} of {count_of(most, 'processor core')}, so the "
        f"server may be faster than this. They would need {helps}."
    )


def _silence(measurement: Measurement) -> Iterator[BenchFinding]:
    longest = silent = end = 0.0
    for interval in measurement.timeline:
        silent = 0.0 if interval.calls else silent + interval.length
        if silent > longest:
            longest, end = silent, interval.seconds
    rate = measurement.plan.rate
    # Between two calls that are due far apart there is nothing to answer.
    if longest >= max(_STALL, 2 / rate if rate else 0.0) and measurement.calls:
        yield BenchFinding(f"No call was answered from {in_seconds(end - longest)} to {in_seconds(end)}.")


def _hidden(measurement: Measurement) -> Iterator[BenchFinding]:
    """What a closed loop does not show; where connections wait for a worker, that is told already."""
    histogram = measurement.histogram
    slowest = histogram.largest
    if (
        measurement.plan.rate is None
        and not _unserved(measurement)
        and measurement.calls >= _ENOUGH_CALLS
        and slowest >= max(_STALL, _STALL_MEDIANS * histogram.percentile(50))
    ):
        yield BenchFinding(
            f"The slowest call took {latency(slowest)}. A closed loop begins nothing while it waits, and so counts a "
            "stall once for each connection; --rate shows what callers would see that do not wait for each other."
        )
