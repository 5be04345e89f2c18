"""The charts of a page about a run: latencies and their percentiles, rate and latency over time, share per worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.findings import share_by_worker
from rpcshell.lab.bench.scales import even_marks, latency_steps, log_marks
from rpcshell.lab.bench.svg import Frame, Mark, chart, log_place, polyline, slot, text, x_axis, y_axis
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import count_of, latency, round_latency, share
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.bench.plan import Measurement
    from rpcshell.lab.bench.time_charts import Scale

__all__ = ["latency_chart", "percentile_chart", "workers_chart"]

_STEPS: Final = 64
_LABEL: Final = 34
"""What the name of a percentile takes."""

_POINTS: Final = 160
_MARGIN: Final = 1.15
_MOST_NINES: Final = 6


def latency_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """How many calls took how long.

    Args:
        name: What its parts are called in the page.
        measurement: What came of the run.
        scale: What the axes span.
    """
    histogram = Histogram(measurement.latency)
    steps = latency_steps(histogram, _STEPS, scale.latency)
    whole = histogram.count
    marks = even_marks(max(step.calls for step in steps) / whole, 5)
    low, high = steps[0].lower, steps[-1].upper
    p50, p99 = histogram.percentile(50), histogram.percentile(99)

    def draw(frame: Frame) -> str:
        shapes = [
            y_axis(frame, [Mark(mark / marks[-1], f"{mark * 100:g} %") for mark in marks], "of the calls"),
            x_axis(
                frame, [Mark(log_place(m, low, high), round_latency(m)) for m in log_marks(low, high, frame.across)]
            ),
        ]
        width = frame.columns / len(steps)
        for place, step in enumerate(steps):
            if not step.calls:
                continue
            # However few calls there are, they are seen.
            bar = max(1.5, step.calls / whole / marks[-1] * frame.rows)
            at = frame.x(place / len(steps))
            told = f"{latency(step.lower)} to {latency(step.upper)}: {share(step.calls / whole)}"
            shapes.append(
                slot(
                    frame,
                    at,
                    width,
                    f'<rect class="bar" x="{at + 0.4:.1f}" y="{frame.y(0) - bar:.1f}" width="{width - 0.8:.1f}" '
                    f'height="{bar:.1f}"/>',
                    told,
                )
            )
        apart = frame.columns * (log_place(p99, low, high) - log_place(p50, low, high))
        for percent, value, down in (("p50", p50, 9), ("p99", p99, 9 if apart > _LABEL else 23)):
            x = frame.x(log_place(value, low, high))
            shapes.append(f'<path class="rule" d="M{x} {frame.y(0)}V{frame.y(1)}"/>')
            left = x > frame.x(0.85)
            shapes.append(text(x - 4 if left else x + 4, frame.y(1) + down, percent, anchor="end" if left else "start"))
        return "".join(shapes)

    return chart(
        name,
        "Latency distribution",
        f"The share of the calls by latency, on a logarithmic axis. Half of them took at most {latency(p50)}, 99 % at "
        f"most {latency(p99)}, the slowest {latency(histogram.largest)}.",
        draw,
    )


def percentile_chart(name: str, runs: Sequence[tuple[str, Measurement]]) -> str:
    """How long the slowest calls took, with an axis that is as wide from 99 to 99.9 % as from 90 to 99 %.

    Args:
        name: What its parts are called in the page.
        runs: What came of the runs, each with its name; those without a reply are left out.
    """
    curves = [(label, Histogram(one.latency)) for label, one in runs if one.calls]
    low = min(histogram.percentile(0) for _, histogram in curves) / _MARGIN
    high = max(histogram.largest for _, histogram in curves) * _MARGIN
    nines = min(_MOST_NINES, max(1.0, math.log10(max(histogram.count for _, histogram in curves))))

    def draw(frame: Frame) -> str:
        frame = frame._replace(bottom=44 + (20 if len(curves) > 1 else 0))
        percents = [50.0, *(100 - 100 / 10**place for place in range(1, math.floor(nines) + 1))]
        unit, title = ("", "percent") if frame.narrow else (" %", "")
        shapes = [
            y_axis(
                frame, [Mark(log_place(m, low, high), round_latency(m)) for m in log_marks(low, high, 7)], "latency"
            ),
            x_axis(frame, [Mark(_nines(percent) / nines, f"{percent:.7g}{unit}") for percent in percents], title),
        ]
        for place, (label, histogram) in enumerate(curves):
            last = min(nines, math.log10(max(histogram.count, 10)))
            points = []
            for step in range(_POINTS + 1):
                at = last * step / _POINTS
                value = histogram.percentile(100 - 100 / 10**at)
                points.append((frame.x(at / nines), frame.y(log_place(value, low, high))))
            shapes.append(polyline(points, f"line series{place % 5}"))
            if len(curves) > 1:
                shapes.append(_key(frame, place, len(curves), label))
        return "".join(shapes)

    told = "; ".join(
        f"{label + ': ' if len(curves) > 1 else ''}"
        + ", ".join(f"p{percent:g} {latency(one.percentile(percent))}" for percent in (50.0, 90.0, 99.0, 99.9))
        for label, one in curves
    )
    return chart(name, "Latency by percentile", f"Both axes are logarithmic. {told}.", draw, 280)


def workers_chart(name: str, measurement: Measurement) -> str:
    """Which worker answered how many calls.

    Args:
        name: What its parts are called in the page.
        measurement: What came of the run.
    """
    calls = share_by_worker(measurement)
    whole = sum(calls.values())
    marks = even_marks(max(calls.values()) / whole, 5)

    def draw(frame: Frame) -> str:
        each = frame.columns / len(calls)
        every = -(-len(calls) // max(1, int(frame.columns // 28)))
        names = [Mark((place + 0.5) / len(calls), str(w)) for place, w in enumerate(calls) if place % every == 0]
        shapes = [
            y_axis(frame, [Mark(mark / marks[-1], f"{mark * 100:g} %") for mark in marks], "of the calls"),
            x_axis(frame, names, "worker"),
        ]
        width = max(1.0, min(each - 2, 56.0))
        for place, (worker, count) in enumerate(calls.items()):
            part = count / whole / marks[-1]
            at = frame.x((place + 0.5) / len(calls))
            bar = f'<rect class="bar" x="{at - width / 2:.1f}" y="{frame.y(part)}" width="{width:.1f}" '
            bar += f'height="{part * frame.rows:.1f}"/>'
            told = f"worker {worker}: {count_of(count, 'call')}, {share(count / whole)}"
            shapes.append(slot(frame, at - each / 2, each, bar, told))
        fair = frame.y(1 / len(calls) / marks[-1])
        shapes.append(f'<path class="rule" d="M{frame.x(0)} {fair}H{frame.x(1)}"/>')
        return "".join(shapes)

    busiest, idlest = max(calls, key=lambda one: calls[one]), min(calls, key=lambda one: calls[one])
    return chart(
        name,
        "Share of the calls per worker",
        f"Of {len(calls)} workers, worker {busiest} answered most, {share(calls[busiest] / whole)}, and worker "
        f"{idlest} fewest, {share(calls[idlest] / whole)}. A fair share, which a dashed line marks, is "
        f"{share(1 / len(calls))}.",
        draw,
        220,
    )


def _nines(percent: float) -> float:
    """Where a percentile is on an axis on which each 9 takes as much as the one before."""
    return -math.log10(1 - percent / 100)


def _fitting(percents: Sequence[float], frame: Frame) -> list[float]:
    """Those percentiles whose texts have room beside each other."""
    return [percent for percent in percents if not frame.narrow or percent != 50.0]


def _key(frame: Frame, place: int, count: int, label: str) -> str:
    """A line of a series and its name, below the chart."""
    x, y = frame.x(place / count), frame.height - 6
    line = f'<path class="line series{place % 5}" d="M{x} {y - 4}h18"/>'
    return line + text(x + 23, y, cut(label, max(4, int(frame.columns / count // 8) - 3)), "key")
