"""The tables of a page about runs: every number that its charts show, for those who want the numbers or see no charts.

Texts are escaped for HTML here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.charts import points_of
from rpcshell.lab.bench.findings import examples_of, percentile_or_dash, target_text
from rpcshell.view.escape import visible
from rpcshell.view.units import a_call, count_of, in_seconds, latency, number, per_second, share, size, size_or_dash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rpcshell.lab.bench.measurement import Measurement, ServerUse
    from rpcshell.lab.bench.rounds import Contestant

    CellText = Callable[[Measurement], str]

_STEPS: Final = 32
_PERCENTILES: Final = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 100.0)


def _of_server(text: Callable[[ServerUse], str]) -> CellText:
    return lambda run: "-" if run.server is None else text(run.server)


def _percentile(percent: float) -> CellText:
    return lambda run: latency(run.histogram.percentile(percent))


def _with_share(count: int, whole: int) -> str:
    return f"{number(count)} ({share(count / whole)})" if count else "0"


def _each(total: int, count: int) -> str:
    return size(round(total / count)) if count else "-"


def _cores(seconds: float, run: Measurement) -> str:
    return f"{seconds / run.seconds:.2f}" if run.seconds else "-"


_FIGURES: Final[dict[str, dict[str, CellText]]] = {
    "What was asked for": {
        "target": lambda run: target_text(run.plan),
        "connections": lambda run: number(run.plan.connections),
        "calls at once on a connection": lambda run: number(run.plan.pipeline),
        "rate": lambda run: f"{per_second(run.plan.rate)} calls/s" if run.plan.rate else "closed loop",
        "began": lambda run: f"{datetime.fromtimestamp(run.began, UTC):%H:%M:%S} UTC",
        "lasted": lambda run: f"{in_seconds(run.seconds, 2)}{' (stopped)' if run.interrupted else ''}",
    },
    "Calls": {
        "calls a second": lambda run: per_second(run.rate),
        "answered": lambda run: number(run.calls),
        "went wrong": lambda run: _with_share(run.failed, run.attempts),
        "due and never sent": lambda run: _with_share(run.unsent, run.attempts + run.unsent),
        "request": lambda run: _each(run.bytes_out, run.attempts),
        "reply": lambda run: _each(run.bytes_in, run.calls),
    },
    "Latency": {
        **{f"p{percent:g}": _percentile(percent) for percent in (50.0, 75.0, 90.0, 99.0, 99.9)},
        "slowest": lambda run: latency(run.histogram.largest),
        "mean": lambda run: latency(run.histogram.mean),
    },
    "Server": {
        "model": _of_server(lambda server: visible(server.model)),
        "workers": _of_server(lambda server: number(server.workers)),
        "processor time a call": lambda run: "-" if run.server is None else a_call(run.server.cpu, run.calls),
        "processor cores in use": lambda run: "-" if run.server is None else _cores(run.server.cpu, run),
        "memory at the end (PSS)": _of_server(lambda server: size_or_dash(server.memory)),
        "workers that died": _of_server(lambda server: number(server.died)),
        "calls lost with them": _of_server(lambda server: number(server.lost)),
        "most connections in the queue": _of_server(lambda server: number(server.waiting)),
    },
    "Load": {
        "load processes": lambda run: number(run.processes),
        "processor time a call": lambda run: a_call(run.client_cpu, run.calls),
        "processor cores in use": lambda run: _cores(run.client_cpu, run),
    },
}


def figures_table(contestants: Sequence[Contestant]) -> str:
    """All figures of the runs, a column for each."""
    runs = [one.whole for one in contestants]
    body = []
    for title, figures in _FIGURES.items():
        if title == "Server" and not any(run.server for run in runs):
            continue
        body.append(f'<tr><th class="group" scope="rowgroup" colspan="{len(runs) + 1}">{escape(title)}</th></tr>')
        body += [_row(label, map(text, runs)) for label, text in figures.items()]
    head = "".join(f'<th scope="col">{escape(one.name)}</th>' for one in contestants)
    return _scrolling("Every figure", f"<td></td>{head}", "".join(body), kind="main told")


def latency_table(measurement: Measurement) -> str:
    """How many calls took how long, in fewer steps than the chart has."""
    histogram = measurement.histogram
    seen = 0.0
    rows = []
    for step in histogram.steps(_STEPS):
        seen += step.calls
        if step.calls:
            span = f"{latency(step.lower)} to {latency(step.upper)}"
            shares = share(step.calls / histogram.count), share(seen / histogram.count)
            rows.append([span, number(round(step.calls)), *shares])
    return _table("Calls by latency", ("latency", "calls", "share", "so far"), rows)


def percentile_table(contestants: Sequence[Contestant]) -> str:
    """Percentiles of the latency, a column for each run."""
    histograms = [one.whole.histogram for one in contestants]
    rows = [[f"{percent:g} %", *(latency(one.percentile(percent)) for one in histograms)] for percent in _PERCENTILES]
    return _table("Latency by percentile", ("at most", *(one.name for one in contestants)), rows)


def time_table(measurement: Measurement) -> str:
    """What happened when."""
    rows = [
        [
            in_seconds(one.seconds, 2),
            per_second(one.rate),
            number(one.calls),
            number(one.problems),
            latency(one.p50) if one.calls else "-",
            latency(one.p99) if one.calls else "-",
        ]
        for one in points_of(measurement)
    ]
    return _table("Over time", ("until", "calls/s", "calls", "went wrong", "p50", "p99"), rows)


def workers_table(measurement: Measurement) -> str:
    """Which worker answered how many calls."""
    calls = measurement.calls_by_worker()
    whole = sum(calls.values())
    rows = [[str(worker), number(count), share(count / whole)] for worker, count in calls.items()]
    return _table(f"Calls of {count_of(len(calls), 'worker')}", ("worker", "calls", "share"), rows)


def instances_table(measurement: Measurement) -> str:
    """What came of the calls at each instance of a fleet; nothing where there is a single server."""
    rows = [
        [
            visible(name),
            number(found.calls),
            share(found.calls / (measurement.calls or 1)),
            percentile_or_dash(found, 50.0),
            percentile_or_dash(found, 99.0),
            number(found.failed),
            number(found.lost),
        ]
        for name, found in measurement.instances.items()
    ]
    titles = ("instance", "calls", "share", "p50", "p99", "attempts that failed", "calls lost")
    return _table(f"Calls of {count_of(len(rows), 'instance')}", titles, rows) if rows else ""


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
    return _scrolling(f"What went wrong{f', {name}' if name else ''}", head, body, kind="main")


def _table(caption: str, titles: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    return _scrolling(caption, head, "".join(_row(label, cells) for label, *cells in rows))


def _row(label: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{escape(label)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'


def _scrolling(caption: str, head: str, body: str, kind: str = "") -> str:
    """A table that scrolls by itself where it is too wide, with the keyboard too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table class="{kind}">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
