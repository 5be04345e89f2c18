"""The charts of a page over the time of a run: its rate, and its latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.lab.bench.scales import even_marks, log_marks
from rpcshell.lab.bench.spread import thinned, whole_intervals
from rpcshell.lab.bench.svg import Frame, Mark, chart, log_place, polyline, slot, text, x_axis, y_axis
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import latency, per_second, round_latency, round_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.bench.plan import Interval, Measurement

__all__ = ["Scale", "has_timeline", "points_of", "rate_chart", "scale_of", "slowness_chart"]

_MOST_POINTS: Final = 120
_FEWEST_INTERVALS: Final = 2
_MARGIN: Final = 1.15
_LINE: Final = 20


class Scale(NamedTuple):
    """What the axes span in the charts of runs that are to be compared by eye.

    Attributes:
        latency: From the fastest call to the slowest, in seconds.
        slowness: From the lowest median to the highest 99th percentile over time, in seconds.
        rate: The highest number of calls a second.
    """

    latency: tuple[float, float]
    slowness: tuple[float, float]
    rate: float


def scale_of(runs: Sequence[Measurement]) -> Scale:
    """Axes that suit several runs.

    Args:
        runs: What came of them.
    """
    histograms = [Histogram(one.latency) for one in runs if one.calls]
    intervals = [interval for one in runs for interval in points_of(one)]
    answered = [interval for interval in intervals if interval.calls]
    return Scale(
        latency=(
            min((one.percentile(0) for one in histograms), default=1e-6),
            max((one.largest for one in histograms), default=1.0),
        ),
        slowness=(
            min((interval.p50 for interval in answered), default=1e-6) / _MARGIN,
            max((interval.p99 for interval in answered), default=1.0) * _MARGIN,
        ),
        rate=max(
            [max(one.calls, one.problems) / one.length for one in intervals] + [one.plan.rate or 0.0 for one in runs],
            default=0.0,
        ),
    )


def rate_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """Calls a second over the time of the run.

    Args:
        name: What its parts are called in the page.
        measurement: What came of it.
        scale: What the axes span.
    """
    timeline = points_of(measurement)
    rates = [interval.calls / interval.length for interval in timeline]
    wrong = [interval.problems / interval.length for interval in timeline]
    marks = even_marks(scale.rate, 5)

    def draw(frame: Frame) -> str:
        shapes = [
            y_axis(frame, [Mark(mark / marks[-1], round_rate(mark)) for mark in marks], "calls/s"),
            _time_axis(frame, timeline),
        ]
        points = [
            (_middle(frame, one, timeline), frame.y(rate / marks[-1]))
            for one, rate in zip(timeline, rates, strict=True)
        ]
        area = f"M{points[0][0]} {frame.y(0)}L" + " ".join(f"{x} {y}" for x, y in points)
        shapes.append(f'<path class="area" d="{area}L{points[-1][0]} {frame.y(0)}Z"/>')
        shapes.append(polyline(points, "line series0"))
        if any(wrong):
            bad = [(x, frame.y(value / marks[-1])) for (x, _), value in zip(points, wrong, strict=True)]
            shapes.append(polyline(bad, "line wrong"))
            shapes.append(text(bad[-1][0], bad[-1][1] - 6, "went wrong", anchor="end"))
        if measurement.plan.rate:
            y = frame.y(measurement.plan.rate / marks[-1])
            shapes.append(f'<path class="rule" d="M{frame.x(0)} {y}H{frame.x(1)}"/>')
            shapes.append(text(frame.x(1), y - 5, "asked for", anchor="end"))
        shapes += _readouts(frame, timeline, [f"{per_second(rate)} calls/s" for rate in rates])
        return "".join(shapes)

    told = f"Between {per_second(min(rates))} and {per_second(max(rates))} calls a second."
    return chart(name, "Rate over time", told, draw, 220)


def slowness_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """Median and 99th percentile of the latency over the time of the run.

    Args:
        name: What its parts are called in the page.
        measurement: What came of it.
        scale: What the axes span.
    """
    timeline = points_of(measurement)
    answered = [interval for interval in timeline if interval.calls]
    low, high = scale.slowness

    def draw(frame: Frame) -> str:
        shapes = [
            y_axis(
                frame, [Mark(log_place(m, low, high), round_latency(m)) for m in log_marks(low, high, 6)], "latency"
            ),
            _time_axis(frame, timeline),
        ]
        for kind, label in (("line series0", "p50"), ("line series1", "p99")):
            # Where nothing was answered there is no latency, and no line.
            points: list[tuple[float, float]] = []
            for interval in timeline:
                if interval.calls:
                    points.append(
                        (_middle(frame, interval, timeline), frame.y(log_place(getattr(interval, label), low, high)))
                    )
                elif points:
                    shapes.append(polyline(points, kind))
                    points = []
            shapes.append(polyline(points, kind))
        median, slow = (frame.y(log_place(value, low, high)) for value in (answered[-1].p50, answered[-1].p99))
        below = median - slow < _LINE
        shapes.append(text(frame.x(1), slow - 6, "p99", anchor="end"))
        shapes.append(text(frame.x(1), min(median + 14, frame.y(0) - 3) if below else median - 6, "p50", anchor="end"))
        told = [f"p50 {latency(one.p50)}, p99 {latency(one.p99)}" if one.calls else "no reply" for one in timeline]
        shapes += _readouts(frame, timeline, told)
        return "".join(shapes)

    worst = max(answered, key=lambda interval: interval.p99)
    told = f"The 99th percentile was highest at {worst.seconds:.1f} s, with {latency(worst.p99)}."
    return chart(name, "Latency over time", f"On a logarithmic axis. {told}", draw, 220)


def points_of(measurement: Measurement) -> list[Interval]:
    """The timeline of a run with no more points than a chart has room for."""
    return thinned(whole_intervals(measurement.timeline), _MOST_POINTS)


def has_timeline(measurement: Measurement) -> bool:
    """Whether the run was long enough for a chart of its time."""
    timeline = points_of(measurement)
    return len(timeline) >= _FEWEST_INTERVALS and any(interval.calls for interval in timeline)


def _readouts(frame: Frame, timeline: Sequence[Interval], told: Sequence[str]) -> list[str]:
    ends = timeline[-1].seconds
    slots = []
    for interval, said in zip(timeline, told, strict=True):
        x, end = frame.x(max(0.0, (interval.seconds - interval.length) / ends)), frame.x(interval.seconds / ends)
        middle = (x + end) / 2
        rule = f'<path class="pointer" d="M{middle:.1f} {frame.y(0)}V{frame.y(1)}"/>'
        slots.append(slot(frame, x, end - x, rule, f"{interval.seconds:.2f} s: {said}"))
    return slots


def _time_axis(frame: Frame, timeline: Sequence[Interval]) -> str:
    ends = timeline[-1].seconds
    marks = [mark for mark in even_marks(round(ends, 2), frame.across) if mark <= ends * 1.001]
    return x_axis(frame, [Mark(mark / ends, f"{mark:g} s") for mark in marks])


def _middle(frame: Frame, interval: Interval, timeline: Sequence[Interval]) -> float:
    return frame.x((interval.seconds - interval.length / 2) / timeline[-1].seconds)
