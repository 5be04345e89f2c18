"""What the charts of a page show: latencies, rates, and the workers' shares, of one run or of several side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.lab.bench.rounds import thinned, whole_intervals
from rpcshell.lab.bench.svg_chart import Axis, Band, Curve, Rule, even_axis, log_axis, named_axis, xy
from rpcshell.view.units import count_of, in_seconds, latency, per_second, round_latency, round_rate, share
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.bench.measurement import Interval, Measurement
    from rpcshell.lab.bench.rounds import Contestant
    from rpcshell.view.histogram import Histogram

_STEPS: Final = 64
_POINTS: Final = 160
_MOST_POINTS: Final = 120
_FEWEST_INTERVALS: Final = 2
_MARGIN: Final = 1.15
_MOST_NINES: Final = 6
_LONGEST_NAME: Final = 12
_TOLD: Final = (50.0, 90.0, 99.0, 99.9)
_SIDE_BY_SIDE: Final = (50.0, 99.0, 99.9)


class Scale(NamedTuple):
    """What the axes span in the charts of runs that are to be compared by eye."""

    latency: tuple[float, float]
    """From the fastest call to the slowest, in seconds."""
    slowness: tuple[float, float]
    """From the lowest median to the highest 99th percentile over time, in seconds."""
    rate: float
    """The highest number of calls a second."""


def scale_of(runs: Sequence[Measurement]) -> Scale:
    """Axes that suit several runs."""
    histograms = [one.histogram for one in runs if one.calls]
    intervals = [interval for one in runs for interval in points_of(one)]
    answered = [interval for interval in intervals if interval.calls]
    rates = [max(one.calls, one.problems) / one.length for one in intervals]
    return Scale(
        latency=(
            min((one.percentile(0) for one in histograms), default=1e-6),
            max((one.largest for one in histograms), default=1.0),
        ),
        slowness=(
            min((interval.p50 for interval in answered), default=1e-6) / _MARGIN,
            max((interval.p99 for interval in answered), default=1.0) * _MARGIN,
        ),
        rate=max([*rates, *(one.plan.rate or 0.0 for one in runs)], default=0.0),
    )


def points_of(measurement: Measurement) -> list[Interval]:
    """The timeline of a run with no more points than a chart has room for."""
    return thinned(whole_intervals(measurement.timeline), _MOST_POINTS)


def has_timeline(measurement: Measurement) -> bool:
    """Whether the run was long enough for a chart of its time."""
    timeline = points_of(measurement)
    return len(timeline) >= _FEWEST_INTERVALS and any(interval.calls for interval in timeline)


def latency_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """How many calls took how long."""
    histogram = measurement.histogram
    steps = histogram.steps(_STEPS, scale.latency)
    shares = [step.calls / histogram.count for step in steps]
    p50, p99 = histogram.percentile(50), histogram.percentile(99)
    return xy(
        name,
        "Latency distribution",
        f"The share of the calls by latency, on a logarithmic axis. Half of them took at most {latency(p50)}, 99 % at "
        f"most {latency(p99)}, the slowest {latency(histogram.largest)}.",
        log_axis(steps[0].lower, steps[-1].upper, round_latency),
        _share_axis(max(shares)),
        bands=[
            Band(step.lower, step.upper, f"{latency(step.lower)} to {latency(step.upper)}: {share(part)}", part)
            for step, part in zip(steps, shares, strict=True)
            if part
        ],
        rules=[Rule(p50, "p50", upright=True), Rule(p99, "p99", upright=True)],
    )


def percentile_chart(name: str, runs: Sequence[tuple[str, Measurement]]) -> str:
    """How long the slowest calls of each run took; its axis is as wide from 99 to 99.9 % as from 90 to 99 %."""
    curves = [(label, one.histogram) for label, one in runs if one.calls]
    nines = min(_MOST_NINES, max(1.0, math.log10(max(histogram.count for _, histogram in curves))))
    told = "; ".join((f"{label}: " if len(curves) > 1 else "") + _percentiles(one, _TOLD) for label, one in curves)
    lines = []
    for place, (label, histogram) in enumerate(curves):
        last = min(nines, math.log10(max(histogram.count, 10)))
        # Along x: of so many calls, one took longer.
        of = [10 ** (last * step / _POINTS) for step in range(_POINTS + 1)]
        points = [(one, histogram.percentile(100 - 100 / one)) for one in of]
        lines.append(Curve(points, f"series{place % 5}", label if len(curves) > 1 else ""))
    marked = [2.0, *(10.0**place for place in range(1, math.floor(nines) + 1))]
    return xy(
        name,
        "Latency by percentile",
        f"Both axes are logarithmic. {told}.",
        Axis(1.0, 10**nines, lambda _room: [(of, f"{100 - 100 / of:.7g}") for of in marked], "percent", True),
        log_axis(
            min(histogram.percentile(0) for _, histogram in curves) / _MARGIN,
            max(histogram.largest for _, histogram in curves) * _MARGIN,
            round_latency,
            "latency",
        ),
        lines=lines,
        height=280,
    )


def rate_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """Calls a second over the time of the run."""
    timeline = points_of(measurement)
    rates = [interval.rate for interval in timeline]
    wrong = [interval.problems / interval.length for interval in timeline]
    times = [interval.middle for interval in timeline]
    lines = [Curve(list(zip(times, rates, strict=True)), label="answered" if any(wrong) else "", area=True)]
    if any(wrong):
        lines.append(Curve(list(zip(times, wrong, strict=True)), "wrong", "went wrong"))
    return xy(
        name,
        "Rate over time",
        f"Between {per_second(min(rates))} and {per_second(max(rates))} calls a second.",
        _time_axis(timeline),
        even_axis(scale.rate, round_rate, "calls/s"),
        bands=_times(timeline, [f"{per_second(rate)} calls/s" for rate in rates]),
        lines=lines,
        rules=[Rule(measurement.plan.rate, "asked for")] if measurement.plan.rate else [],
    )


def slowness_chart(name: str, measurement: Measurement, scale: Scale) -> str:
    """Median and 99th percentile of the latency over the time of the run."""
    timeline = points_of(measurement)
    worst = max((interval for interval in timeline if interval.calls), key=lambda interval: interval.p99)
    # Where nothing was answered there is no latency, and no line.
    medians = [(one.middle, one.p50 if one.calls else None) for one in timeline]
    slow = [(one.middle, one.p99 if one.calls else None) for one in timeline]
    told = [f"p50 {latency(one.p50)}, p99 {latency(one.p99)}" if one.calls else "no reply" for one in timeline]
    return xy(
        name,
        "Latency over time",
        "On a logarithmic axis. The 99th percentile was highest at "
        f"{in_seconds(worst.seconds)}, with {latency(worst.p99)}.",
        _time_axis(timeline),
        log_axis(*scale.slowness, round_latency, "latency"),
        bands=_times(timeline, told),
        lines=[Curve(medians, "series0", "p50"), Curve(slow, "series1", "p99")],
    )


def workers_chart(name: str, measurement: Measurement) -> str:
    """Which worker answered how many calls."""
    calls = measurement.calls_by_worker()
    whole = sum(calls.values())
    busiest, idlest = max(calls, key=lambda one: calls[one]), min(calls, key=lambda one: calls[one])
    fair = 1 / len(calls)
    return xy(
        name,
        "Share of the calls per worker",
        f"Of {len(calls)} workers, worker {busiest} answered most, {share(calls[busiest] / whole)}, and worker "
        f"{idlest} fewest, {share(calls[idlest] / whole)}. A fair share, which a dashed line marks, is {share(fair)}.",
        named_axis([str(worker) for worker in calls], "worker"),
        _share_axis(calls[busiest] / whole),
        bands=[
            Band(place, place + 1, f"worker {worker}: {count_of(count, 'call')}, {share(count / whole)}", count / whole)
            for place, (worker, count) in enumerate(calls.items())
        ],
        rules=[Rule(fair)],
    )


def speed_chart(name: str, contestants: Sequence[Contestant]) -> str:
    """Calls a second of each, and how far its rounds, or the parts of its only one, differ."""
    part = "round" if contestants[0].rounds > 1 else "part"
    told = [f"{one.name} {per_second(one.whole.rate)}" for one in contestants]
    return xy(
        name,
        "Calls a second, side by side",
        f"{', '.join(told)}. A thin line on each bar spans what was measured between the slowest and the fastest "
        f"{part} of it.",
        _contestant_axis(contestants),
        even_axis(max(max([one.whole.rate, *one.rates]) for one in contestants), round_rate, "calls/s"),
        bands=[
            Band(
                place,
                place + 1,
                words,
                one.whole.rate,
                (min(one.rates), max(one.rates)) if one.rates else None,
                per_second(one.whole.rate),
            )
            for place, (one, words) in enumerate(zip(contestants, told, strict=True))
        ],
    )


def quickness_chart(name: str, contestants: Sequence[Contestant]) -> str:
    """Median, 99th and 99.9th percentile of each, all of which have replies."""
    histograms = [one.whole.histogram for one in contestants]
    found = [[one.percentile(percent) for one in histograms] for percent in _SIDE_BY_SIDE]
    told = [
        f"{one.name}: {_percentiles(histogram, _SIDE_BY_SIDE)}"
        for one, histogram in zip(contestants, histograms, strict=True)
    ]
    return xy(
        name,
        "Latency, side by side",
        f"On a logarithmic axis. {'; '.join(told)}.",
        _contestant_axis(contestants),
        log_axis(min(found[0]) / 1.4, max(found[-1]) * 1.4, round_latency, "latency"),
        bands=[Band(place, place + 1, words) for place, words in enumerate(told)],
        lines=[
            Curve(
                [(place + 0.5, value) for place, value in enumerate(values)],
                f"dot{number}",
                f"p{percent:g}",
                dots=True,
            )
            for number, (percent, values) in enumerate(zip(_SIDE_BY_SIDE, found, strict=True))
        ],
    )


def _percentiles(histogram: Histogram, percents: Sequence[float]) -> str:
    return ", ".join(f"p{percent:g} {latency(histogram.percentile(percent))}" for percent in percents)


def _share_axis(most: float) -> Axis:
    return even_axis(most, lambda mark: f"{mark * 100:g} %", "of the calls")


def _contestant_axis(contestants: Sequence[Contestant]) -> Axis:
    return named_axis([cut(one.name, _LONGEST_NAME) for one in contestants])


def _time_axis(timeline: Sequence[Interval]) -> Axis:
    return even_axis(timeline[-1].seconds, lambda mark: f"{mark:g} s", up_to_mark=False)


def _times(timeline: Sequence[Interval], told: Sequence[str]) -> list[Band]:
    return [
        Band(interval.seconds - interval.length, interval.seconds, f"{in_seconds(interval.seconds, 2)}: {said}")
        for interval, said in zip(timeline, told, strict=True)
    ]
