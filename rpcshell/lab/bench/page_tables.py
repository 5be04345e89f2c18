"""The tables of a page about runs: every number that its charts show, for those who want the numbers or see no charts.

Texts are escaped for HTML here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.lab.bench.charts import points_of
from rpcshell.lab.bench.findings import examples_of, target_text
from rpcshell.view.escape import visible
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import a_call, count_of, in_seconds, latency, number, per_second, share, size, size_or_dash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rpcshell.lab.bench.measurement import Measurement
    from rpcshell.lab.bench.rounds import Contestant

__all__ = [
    "errors_table",
    "figures_table",
    "instances_table",
    "latency_table",
    "percentile_table",
    "time_table",
    "workers_table",
]

_STEPS: Final = 32
_PERCENTILES: Final = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 100.0)
_SHOWN: Final = (50.0, 75.0, 90.0, 99.0, 99.9)


class _Row(NamedTuple):
    label: str
    cells: list[str]


def figures_table(contestants: Sequence[Contestant]) -> str:
    """All figures of the runs, a column for each."""
    runs = [one.whole for one in contestants]
    groups = [
        ("What was asked for", list(_asked(runs))),
        ("Calls", list(_calls(runs))),
        ("Latency", list(_latencies(runs))),
        ("Server", list(_servers(runs))),
        ("Load", list(_loads(runs))),
    ]
    head = "".join(f'<th scope="col">{escape(one.name)}</th>' for one in contestants)
    body = []
    for title, rows in groups:
        if rows:
            wide = len(contestants) + 1
            body.append(f'<tr><th class="group" scope="rowgroup" colspan="{wide}">{escape(title)}</th></tr>')
        for row in rows:
            cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells)
            body.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    return _table("Every figure", f"<td></td>{head}", "".join(body), kind="main told")


def _asked(runs: Sequence[Measurement]) -> Iterator[_Row]:
    yield _Row("target", [target_text(one.plan) for one in runs])
    yield _Row("connections", [number(one.plan.connections) for one in runs])
    yield _Row("calls at once on a connection", [number(one.plan.pipeline) for one in runs])
    yield _Row("rate", [f"{per_second(one.plan.rate)} calls/s" if one.plan.rate else "closed loop" for one in runs])
    yield _Row("began", [datetime.fromtimestamp(one.began, UTC).strftime("%H:%M:%S UTC") for one in runs])
    yield _Row("lasted", [f"{in_seconds(one.seconds, 2)}{' (stopped)' if one.interrupted else ''}" for one in runs])


def _calls(runs: Sequence[Measurement]) -> Iterator[_Row]:
    yield _Row("calls a second", [per_second(one.rate) for one in runs])
    yield _Row("answered", [number(one.calls) for one in runs])
    yield _Row("went wrong", [_with_share(one.failed, one.attempts) for one in runs])
    yield _Row("due and never sent", [_with_share(one.unsent, one.attempts + one.unsent) for one in runs])
    yield _Row("request", [_each(one.bytes_out, one.attempts) for one in runs])
    yield _Row("reply", [_each(one.bytes_in, one.calls) for one in runs])


def _latencies(runs: Sequence[Measurement]) -> Iterator[_Row]:
    histograms = [Histogram(one.latency) for one in runs]
    for percent in _SHOWN:
        yield _Row(f"p{percent:g}", [latency(one.percentile(percent)) for one in histograms])
    yield _Row("slowest", [latency(one.largest) for one in histograms])
    yield _Row("mean", [latency(one.mean) for one in histograms])


def _servers(runs: Sequence[Measurement]) -> Iterator[_Row]:
    servers = [one.server for one in runs]
    if not any(servers):
        return
    yield _Row("model", ["-" if one is None else visible(one.model) for one in servers])
    yield _Row("workers", ["-" if one is None else number(one.workers) for one in servers])
    yield _Row(
        "processor time a call",
        ["-" if one.server is None else a_call(one.server.cpu, one.calls) for one in runs],
    )
    yield _Row(
        "processor cores in use",
        ["-" if one.server is None else _cores(one.server.cpu, one.seconds) for one in runs],
    )
    yield _Row("memory at the end (PSS)", [size_or_dash(None if one is None else one.memory) for one in servers])
    yield _Row("workers that died", ["-" if one is None else number(one.died) for one in servers])
    yield _Row("calls lost with them", ["-" if one is None else number(one.lost) for one in servers])
    yield _Row("most connections in the queue", ["-" if one is None else number(one.waiting) for one in servers])


def _loads(runs: Sequence[Measurement]) -> Iterator[_Row]:
    yield _Row("load processes", [number(one.processes) for one in runs])
    yield _Row("processor time a call", [a_call(one.client_cpu, one.calls) for one in runs])
    yield _Row("processor cores in use", [_cores(one.client_cpu, one.seconds) for one in runs])


def _with_share(count: int, whole: int) -> str:
    return f"{number(count)} ({share(count / whole)})" if count else "0"


def _each(total: int, count: int) -> str:
    return size(round(total / count)) if count else "-"


def _cores(seconds: float, length: float) -> str:
    return f"{seconds / length:.2f}" if length else "-"


def latency_table(measurement: Measurement) -> str:
    """How many calls took how long, in fewer steps than the chart has."""
    histogram = Histogram(measurement.latency)
    seen = 0.0
    rows = []
    for step in histogram.steps(_STEPS):
        seen += step.calls
        if step.calls:
            rows.append(
                _Row(
                    f"{latency(step.lower)} to {latency(step.upper)}",
                    [number(round(step.calls)), share(step.calls / histogram.count), share(seen / histogram.count)],
                )
            )
    return _rows("Calls by latency", ("latency", "calls", "share", "so far"), rows)


def percentile_table(contestants: Sequence[Contestant]) -> str:
    """Percentiles of the latency, a column for each run."""
    histograms = [Histogram(one.whole.latency) for one in contestants]
    rows = [
        _Row(f"{percent:g} %", [latency(one.percentile(percent)) for one in histograms]) for percent in _PERCENTILES
    ]
    return _rows("Latency by percentile", ("at most", *(one.name for one in contestants)), rows)


def time_table(measurement: Measurement) -> str:
    """What happened when."""
    rows = [
        _Row(
            f"{in_seconds(one.seconds, 2)}",
            [
                per_second(one.calls / one.length),
                number(one.calls),
                number(one.problems),
                latency(one.p50) if one.calls else "-",
                latency(one.p99) if one.calls else "-",
            ],
        )
        for one in points_of(measurement)
    ]
    return _rows("Over time", ("until", "calls/s", "calls", "went wrong", "p50", "p99"), rows)


def workers_table(measurement: Measurement) -> str:
    """Which worker answered how many calls."""
    calls = measurement.calls_by_worker()
    whole = sum(calls.values())
    rows = [_Row(str(worker), [number(count), share(count / whole)]) for worker, count in calls.items()]
    return _rows(f"Calls of {count_of(len(calls), 'worker')}", ("worker", "calls", "share"), rows)


def instances_table(measurement: Measurement) -> str:
    """What came of the calls at each instance of a fleet; nothing where there is a single server."""
    rows = []
    for name, found in measurement.instances.items():
        histogram = Histogram(found.latency)
        slow = [latency(histogram.percentile(percent)) if found.calls else "-" for percent in (50.0, 99.0)]
        shared = share(found.calls / (measurement.calls or 1))
        counted = [number(found.calls), shared, *slow, number(found.failed), number(found.lost)]
        rows.append(_Row(visible(name), counted))
    titles = ("instance", "calls", "share", "p50", "p99", "attempts that failed", "calls lost")
    return _rows(f"Calls of {count_of(len(rows), 'instance')}", titles, rows) if rows else ""


def errors_table(measurement: Measurement, name: str) -> str:
    """What went wrong, or nothing where nothing did."""
    found = examples_of(measurement)
    if not found:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(kind)}</th><td>{number(count)}</td><td class="text">{escape(said)}</td></tr>'
        for kind, count, said in found
    )
    head = '<th scope="col">what</th><th scope="col">calls</th><th class="text" scope="col">the first one said</th>'
    return _table(f"What went wrong{f', {name}' if name else ''}", head, body, kind="main")


def _rows(caption: str, titles: Iterable[str], rows: Iterable[_Row]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row.cells)}</tr>'
        for row in rows
    )
    return _table(caption, head, body)


def _table(caption: str, head: str, body: str, kind: str = "") -> str:
    """A table that scrolls by itself where it is too wide, with the keyboard too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table class="{kind}">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
