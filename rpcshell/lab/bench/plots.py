"""Plots for a terminal, drawn by plotext in plain text: how latencies are spread, and the rate over time.

They have no colours of their own, so that they are readable wherever text is; whoever shows them may colour them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.axes import even_marks, log_marks
from rpcshell.lab.bench.spread import whole_intervals
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import round_latency, round_rate

if TYPE_CHECKING:
    from types import ModuleType

    from rpcshell.lab.bench.plan import Measurement

__all__ = ["NARROWEST", "latency_plot", "rate_plot"]

NARROWEST: Final = 40
"""Columns below which a plot says nothing."""

_HEIGHT: Final = 10
_LABEL: Final = 6
_FEWEST_INTERVALS: Final = 4
_HALVES: Final = 2
"""Marks in a column of the terminal."""


def latency_plot(measurement: Measurement, width: int) -> list[str]:
    """How many calls took how long, with a logarithmic axis of time; nothing where there is nothing to plot.

    However few calls took a time, they are seen.

    Args:
        measurement: What came of a benchmark.
        width: Columns it may take.
    """
    histogram = Histogram(measurement.latency)
    columns = width - _LABEL - 1
    if width < NARROWEST or not histogram.count:
        return []
    steps = histogram.steps(columns)
    shares = [step.calls / histogram.count for step in steps]
    marks = even_marks(max(shares), 4)
    low, high = math.log(steps[0].lower), math.log(steps[-1].upper)
    halves = columns * _HALVES
    at = log_marks(steps[0].lower, steps[-1].upper, max(3, columns // 10))
    plot = _empty(width)
    there = [half for half in range(halves) if shares[half // _HALVES]]
    plot.scatter(there, [shares[half // _HALVES] for half in there], fillx=True, marker="hd")
    plot.xlim(0, halves - 1)
    plot.xticks(
        [(math.log(mark) - low) / (high - low) * halves - 0.5 for mark in at], [round_latency(mark) for mark in at]
    )
    plot.ylim(0, marks[-1])
    plot.yticks(marks, [f"{mark * 100:g} %".rjust(_LABEL) for mark in marks])
    return _lines(plot)


def rate_plot(measurement: Measurement, width: int) -> list[str]:
    """Calls a second over the time of the run; nothing where it was too short.

    Args:
        measurement: What came of a benchmark.
        width: Columns it may take.
    """
    timeline = whole_intervals(measurement.timeline)
    if width < NARROWEST or len(timeline) < _FEWEST_INTERVALS:
        return []
    rates = [interval.calls / interval.length for interval in timeline]
    marks = even_marks(max(rates), 4)
    ends = timeline[-1].seconds
    at = [mark for mark in even_marks(round(ends, 2), max(4, width // 10)) if mark <= ends + 0.01]
    plot = _empty(width)
    plot.plot([interval.seconds - interval.length / 2 for interval in timeline], rates, marker="braille")
    plot.xlim(0, ends)
    plot.xticks(at, [f"{mark:g} s" for mark in at])
    plot.ylim(0, marks[-1])
    plot.yticks(marks, [round_rate(mark).rjust(_LABEL) for mark in marks])
    return _lines(plot)


def _empty(width: int) -> ModuleType:
    """Plotext with nothing in it: it has one figure, which is why nothing may be left there either."""
    import plotext  # type: ignore[import-untyped]  # it has no types

    plotext.clear_figure()
    plotext.theme("clear")
    # It would ask the terminal, which is not where this goes in the end.
    plotext.limit_size(False, False)
    plotext.plot_size(width, _HEIGHT)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    return plotext  # type: ignore[no-any-return]  # it has no types


def _lines(plot: ModuleType) -> list[str]:
    text: str = plot.uncolorize(plot.build())
    plot.clear_figure()
    return [line.rstrip() for line in text.splitlines()]
