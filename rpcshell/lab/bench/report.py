"""What came of a benchmark, for a terminal: figures, bars, plots, and what is worth saying about them.

Everything is safe for a terminal, and follows its width. Styles are names, not colours.
"""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.compare import ahead
from rpcshell.lab.bench.findings import (
    call_text,
    examples_of,
    findings,
    length_text,
    load_text,
    percentile_or_dash,
    server_text,
    target_text,
)
from rpcshell.lab.bench.rounds import contestants_of, whole_intervals
from rpcshell.lab.bench.svg_chart import even_marks, log_marks
from rpcshell.view.bars import bar
from rpcshell.view.escape import visible
from rpcshell.view.pretty import NUMBER, STRING
from rpcshell.view.styles import ERROR, FAINT, HIGH, TITLE
from rpcshell.view.table import Figure, fitting, render_table
from rpcshell.view.units import (
    a_call,
    count_of,
    latency,
    number,
    per_second,
    round_latency,
    round_rate,
    share,
    size,
    size_or_dash,
    unbroken,
)
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from rpcshell.lab.bench.findings import BenchFinding
    from rpcshell.lab.bench.measurement import Measurement
    from rpcshell.view.pretty import Fragment

_PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
"""What is told of latencies, beside the largest."""

_SPARE: Final = ("pss", "p99.9", "cpu a call", "p50", "errors", "p99")
"""Columns that are left out where the screen is too narrow."""

_LABEL: Final = 9
_LONGEST_BAR: Final = 40
_SHORTEST_BAR: Final = 8
_MOST_WORKERS: Final = 16
_SIDE_BY_SIDE: Final = 100
_BETWEEN: Final = 3
_NARROWEST: Final = 20

_NARROWEST_PLOT: Final = 40
"""Columns below which a plot says nothing."""

_PLOT_HEIGHT: Final = 10
_PLOT_LABEL: Final = 6
_FEWEST_INTERVALS: Final = 4


def pieces(measurement: Measurement, width: int) -> Iterator[Fragment]:
    """The report of a run as styled text, which ends in a newline."""
    width = max(width, _NARROWEST)
    yield TITLE, cut(call_text(measurement.plan), width) + "\n"
    about = [load_text(measurement.plan), server_text(measurement), target_text(measurement.plan)]
    yield from _sentence(FAINT, " · ".join(part for part in about if part), width)
    yield "", "\n"
    yield from _figures(measurement, width)
    yield from _workers(measurement, width)
    yield from _instances(measurement, width)
    yield from _plots(measurement, width)
    yield from _told(findings(measurement), width)


def comparison_pieces(measurements: Sequence[Measurement], width: int) -> Iterator[Fragment]:
    """Several runs side by side as styled text, which ends in a newline; rounds of the same model are put together."""
    width = max(width, _NARROWEST)
    contestants = contestants_of(measurements)
    wrong = any(one.whole.failed for one in contestants)
    differing = len({one.whole.server.workers for one in contestants if one.whole.server is not None}) > 1
    rows = []
    for name, whole, *_ in contestants:
        server = whole.server
        row: dict[str, object] = {"model": name}
        if differing:
            row["workers"] = Figure("-" if server is None else number(server.workers))
        row["calls/s"] = Figure(per_second(whole.rate))
        row |= {f"p{percent:g}": Figure(percentile_or_dash(whole, percent)) for percent in (50.0, 99.0, 99.9)}
        row["cpu a call"] = Figure("-" if server is None else a_call(server.cpu, whole.calls))
        row["pss"] = Figure(size_or_dash(None if server is None else server.memory))
        if wrong:
            row["errors"] = Figure(share(whole.failed / whole.attempts) if whole.failed else "0")
        rows.append(row)
    yield from render_table(fitting(rows, width, _SPARE), width)
    yield "", "\n"
    most = max((one.whole.rate for one in contestants), default=0.0)
    longest = max((cells(one.name) for one in contestants), default=0)
    for one in contestants:
        yield "", pad(one.name, longest) + "  "
        yield STRING, bar(one.whole.rate / most if most else 0.0, min(_LONGEST_BAR, width - longest - 2))[0] + "\n"
    yield from _told(ahead(contestants), width)


def _figures(measurement: Measurement, width: int) -> Iterator[Fragment]:
    rate = f"{per_second(measurement.rate)} calls/s"
    yield from _row("rate", [(NUMBER, rate), ("", length_text(measurement))], width)
    histogram = measurement.histogram
    if measurement.calls:
        percentiles = [f"p{percent:g} {latency(histogram.percentile(percent))}" for percent in _PERCENTILES]
        yield from _row("latency", [("", part) for part in [*percentiles, f"max {latency(histogram.largest)}"]], width)
    if problems := examples_of(measurement):
        whole = f"{number(measurement.failed)} ({share(measurement.failed / measurement.attempts)})"
        yield from _row("errors", [(ERROR, whole)], width)
        for kind, count, said in problems:
            told = f"{kind} ({number(count)})" + (f": {said}" if said else "")
            yield "", " " * _LABEL + cut(told, width - _LABEL) + "\n"
    else:
        yield from _row("errors", [("", "none")], width)
    server = measurement.server
    if server is not None:
        used = [] if server.memory is None else [("", f"{size(server.memory)} PSS")]
        yield from _row("server", [*_time_of(server.cpu, measurement), *used], width)
    processes = count_of(measurement.processes, "load process", "load processes")
    yield from _row("load", [*_time_of(measurement.client_cpu, measurement), ("", processes)], width)


def _time_of(seconds: float, measurement: Measurement) -> list[Fragment]:
    """Processor time by the call and by the second."""
    cores = f"{seconds / measurement.seconds:.2f} cores" if measurement.seconds else "-"
    return [("", f"{a_call(seconds, measurement.calls)} CPU a call"), ("", cores)]


def _row(label: str, parts: Sequence[Fragment], width: int) -> Iterator[Fragment]:
    return _flowed((FAINT, label.ljust(_LABEL)), parts, width, " " * _BETWEEN)


def _sentence(style: str, text: str, width: int, first: str = "") -> Iterator[Fragment]:
    """A sentence in which a number stays with its unit."""
    words = [(style, word.replace("\u00a0", " ")) for word in unbroken(text).split(" ")]
    return _flowed((style, first), words, width, " ")


def _flowed(first: Fragment, parts: Sequence[Fragment], width: int, gap: str) -> Iterator[Fragment]:
    """What stands first, and beside it parts with gaps between them, on as many lines as they take."""
    yield first
    margin = used = cells(first[1])
    for style, part in parts:
        shown = cut(part, width - margin)
        if used > margin and used + len(gap) + cells(shown) > width:
            yield "", "\n" + " " * margin
            used = margin
        elif used > margin:
            shown = gap + shown
        yield style, shown
        used += cells(shown)
    yield "", "\n"


def _workers(measurement: Measurement, width: int) -> Iterator[Fragment]:
    calls = measurement.calls_by_worker()
    whole = sum(calls.values())
    if not whole:
        return
    yield "", "\n"
    shown = calls
    if len(calls) > _MOST_WORKERS:
        ranked = sorted(calls, key=lambda worker: -calls[worker])
        shown = {worker: calls[worker] for worker in (*ranked[: _MOST_WORKERS - 4], *ranked[-4:])}
    most = max(calls.values())
    figures = {worker: (number(count), share(count / whole)) for worker, count in shown.items()}
    widths = [max(len(cell) for cell in column) for column in zip(*figures.values(), strict=True)]
    room = min(_LONGEST_BAR, width - _LABEL - 3 - sum(widths) - 3 * 2)
    for place, (worker, (count, part)) in enumerate(figures.items()):
        if len(calls) > len(shown) and place == _MOST_WORKERS - 4:
            yield FAINT, " " * _LABEL + f"… {len(calls) - len(shown)} more\n"
        yield FAINT, "worker".ljust(_LABEL) if not place else " " * _LABEL
        told = f"{worker:>3}  {count.rjust(widths[0])}  {part.rjust(widths[1])}"
        yield "", cut(told, width - _LABEL)
        if room >= _SHORTEST_BAR:
            yield STRING, "  " + bar(calls[worker] / most, room)[0]
        yield "", "\n"


def _instances(measurement: Measurement, width: int) -> Iterator[Fragment]:
    found = measurement.instances
    if not found:
        return
    yield "", "\n"
    rows = [
        {
            "instance": visible(name),
            "calls": Figure(number(one.calls)),
            "share": Figure(share(one.calls / (measurement.calls or 1))),
            "p50": Figure(percentile_or_dash(one, 50.0)),
            "p99": Figure(percentile_or_dash(one, 99.0)),
            "failed": one.failed,
            "lost": one.lost,
        }
        for name, one in found.items()
    ]
    yield from render_table(fitting(rows, width, ("p50", "p99")), width)


def _plots(measurement: Measurement, width: int) -> Iterator[Fragment]:
    if width < _NARROWEST_PLOT:
        return
    beside = width >= _SIDE_BY_SIDE
    each = (width - _BETWEEN) // 2 if beside else width
    plots = [
        [title, *lines]
        for title, lines in (
            ("share of the calls by latency", _latency_plot(measurement, each)),
            ("calls/s over time", _rate_plot(measurement, each)),
        )
        if lines
    ]
    if beside and len(plots) > 1:
        plots = [[pad(left, each + _BETWEEN) + right for left, right in zip_longest(*plots, fillvalue="")]]
    for title, *lines in plots:
        yield FAINT, f"\n{title.rstrip()}\n"
        yield "", "".join(f"{line.rstrip()}\n" for line in lines)


def _latency_plot(measurement: Measurement, width: int) -> list[str]:
    """How many calls took how long, with a logarithmic axis of time; nothing where there is nothing to plot.

    However few calls took a time, they are seen.
    """
    histogram = measurement.histogram
    columns = width - _PLOT_LABEL - 1
    steps = histogram.steps(columns)
    if not steps:
        return []
    # Each column of the terminal has two marks.
    shares = [step.calls / histogram.count for step in steps for _ in range(2)]
    there = {place: part for place, part in enumerate(shares) if part}
    low, high = math.log(steps[0].lower), math.log(steps[-1].upper)
    marks = {
        (math.log(mark) - low) / (high - low) * len(shares) - 0.5: round_latency(mark)
        for mark in log_marks(steps[0].lower, steps[-1].upper, max(3, columns // 10))
    }
    heights = {mark: f"{mark * 100:g} %" for mark in even_marks(max(shares), 4)}
    bars = list(there), list(there.values())
    return _plot(width, lambda plot: plot.scatter(*bars, fillx=True, marker="hd"), len(shares) - 1, marks, heights)


def _rate_plot(measurement: Measurement, width: int) -> list[str]:
    """Calls a second over the time of the run; nothing where it was too short."""
    timeline = whole_intervals(measurement.timeline)
    if len(timeline) < _FEWEST_INTERVALS:
        return []
    rates = [interval.rate for interval in timeline]
    middles = [interval.middle for interval in timeline]
    ends = timeline[-1].seconds
    times = even_marks(round(ends, 2), max(4, width // 10))
    marks = {mark: f"{mark:g} s" for mark in times if mark <= ends + 0.01}
    heights = {mark: round_rate(mark) for mark in even_marks(max(rates), 4)}
    return _plot(width, lambda plot: plot.plot(middles, rates, marker="braille"), ends, marks, heights)


def _plot(
    width: int, draw: Callable[[ModuleType], None], right: float, marks: dict[float, str], heights: dict[float, str]
) -> list[str]:
    """The lines of what is drawn from 0 to `right` and up to the highest mark, with marks at both axes."""
    import plotext  # type: ignore[import-untyped]  # it has no types

    # It has one figure, in which nothing may be, and nothing may be left.
    plotext.clear_figure()
    plotext.theme("clear")
    # It would ask the terminal, which is not where this goes in the end.
    plotext.limit_size(False, False)
    plotext.plot_size(width, _PLOT_HEIGHT)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    draw(plotext)
    plotext.xlim(0, right)
    plotext.xticks(list(marks), list(marks.values()))
    plotext.ylim(0, max(heights))
    plotext.yticks(list(heights), [text.rjust(_PLOT_LABEL) for text in heights.values()])
    text: str = plotext.uncolorize(plotext.build())
    plotext.clear_figure()
    return [line.rstrip() for line in text.splitlines()]


def _told(found: Sequence[BenchFinding], width: int) -> Iterator[Fragment]:
    if found:
        yield "", "\n"
    for finding in found:
        yield from _sentence(HIGH if finding.serious else "", finding.text, width, first="• ")
