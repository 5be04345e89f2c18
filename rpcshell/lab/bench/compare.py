"""Runs held against each other: the last one of the same call, or several models side by side.

A difference is called one only where it is larger than what the figures vary by themselves (Welch's test at 95 %). What
is compared is a few means, of rounds or of parts of a run, since neighbouring moments of a run are alike.
"""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.findings import BenchFinding, findings
from rpcshell.lab.bench.run_memory import RunMemory, run_of
from rpcshell.view.units import ago, count_of, latency, per_second, share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.lab.bench.measurement import Measurement
    from rpcshell.lab.bench.rounds import Contestant
    from rpcshell.lab.bench.run_memory import RememberedRun

_FEWEST_CHANGES: Final = 3
_LATELY: Final = 10
"""Earlier runs that say how much runs differ from one to the next."""

_NORMAL_MEDIAN: Final = 0.6745
"""The median of what a normal distribution differs from its mean by, in standard deviations."""

_STUDENT: Final = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""The 97.5th percentile of Student's t by degrees of freedom, from 1."""

_STUDENT_BEYOND: Final = 2.1
_LEAST: Final = 0.02
"""What two runs of the same thing may always differ by, as a share."""

_FAILED_APART: Final = 0.01
_LOUD: Final = 0.2
"""Noise in which nothing but large differences can be heard."""

_DEAFENING: Final = 1.0
"""Noise, as a share, beyond which no figure of it means anything."""

_TIMES: Final = 2.0
"""From here on, a difference is told as so many times."""


def ahead(contestants: Sequence[Contestant]) -> list[BenchFinding]:
    """Who is ahead, and how sure that is."""
    working = [one for one in contestants if one.whole.calls and one.whole.failed < one.whole.attempts]
    found = []
    if len(working) > 1:
        kept_up = all(one.whole.keeps_up for one in working)
        if not kept_up:
            found.append(_fastest(working))
        found.append(_quickest(working, working[0].whole.plan.rate if kept_up else None))
        found.append(_advice(working, kept_up=kept_up))
    sentences = [BenchFinding(sentence, serious=False) for sentence in found]
    sentences += [BenchFinding(f"{one.name}: no call succeeded.") for one in contestants if one not in working]
    for one in working:
        sentences += [BenchFinding(f"{one.name}: {finding.text}") for finding in findings(one.whole) if finding.serious]
    return sentences


def _fastest(working: Sequence[Contestant]) -> str:
    first, *others = sorted(working, key=lambda one: -one.whole.rate)
    second = others[0]
    allowed = _rate_noise(first, second)
    lead = _lead(first, second)
    if allowed is None:
        return (
            f"{first.name} came out ahead with {per_second(first.whole.rate)} calls/s, {_more(lead)} {second.name}; "
            "the runs are too short to tell whether that is more than noise."
        )
    if lead > allowed:
        return f"{first.name} is ahead: {_more(lead)} {second.name}, beyond the noise of {share(allowed)}."
    level = [one for one in others if _lead(first, one) <= (_rate_noise(first, one) or 0.0)]
    names = f"{', '.join(one.name for one in [first, *level[:-1]])} and {level[-1].name}"
    apart = max(_lead(first, one) for one in level)
    most = max(_rate_noise(first, one) or 0.0 for one in level)
    loud = most > _LOUD and apart > _LOUD / 2 and _are_comparable(first, others)
    more = " More and longer rounds would tell them apart." if loud else ""
    return f"{names} are level in calls/s: {share(apart)} apart, within the noise of {share(most)}.{more}"


def _advice(working: Sequence[Contestant], *, kept_up: bool) -> str:
    """Which to take, and why, or what would tell, in a sentence."""
    fastest, *others = sorted(working, key=lambda one: -one.whole.rate)
    if not _are_comparable(fastest, others):
        return "These rounds do not tell which to take: more and longer ones would (--rounds 5 -d 5), on a quiet host."
    level = [one for one in working if kept_up or _is_level(_lead(fastest, one), _rate_noise(fastest, one))]
    quickest = min(level, key=lambda one: one.p99)
    quick = [one for one in level if _is_level(_excess(one.p99, quickest.p99), _p99_noise(quickest, one))]
    # Of those that are equally fast, the one with the least memory.
    taken = min(quick, key=_memory)
    server = taken.whole.server
    workers = "" if server is None else f" with {count_of(server.workers, 'worker')}"
    if len(level) == 1:
        return f"Take {taken.name}{workers}: it answers the most calls/s."
    names = " and ".join(one.name for one in level if one is not taken)
    rate = "it keeps up as all do" if kept_up else f"it answers as many calls/s as {names}"
    if len(quick) == 1:
        return f"Take {taken.name}{workers}: {rate}, and has the lowest p99."
    return f"Take {taken.name}{workers}: {rate}, and takes the least memory of those that are as quick."


def _are_comparable(fastest: Contestant, others: Sequence[Contestant]) -> bool:
    """Whether it can be told what of the rates of all is more than noise."""
    return all(_rate_noise(fastest, one) is not None for one in others)


def _is_level(lead: float, allowed: float | None) -> bool:
    """Whether a lead is within the noise or, where that is not known, small."""
    return lead <= (_LEAST if allowed is None else allowed)


def _memory(one: Contestant) -> float:
    return math.inf if one.whole.server is None or one.whole.server.memory is None else one.whole.server.memory


def _p99_noise(one: Contestant, other: Contestant) -> float | None:
    return _noise_of(one, other)(one.p99s, other.p99s)


def _rate_noise(one: Contestant, other: Contestant) -> float | None:
    return _noise_of(one, other)(one.rates, other.rates)


def _noise_of(one: Contestant, other: Contestant) -> Callable[[Sequence[float], Sequence[float]], float | None]:
    """How to tell noise: rounds took turns, parts of single runs did not."""
    return paired_noise if one.rounds == other.rounds > 1 else noise


def _lead(first: Contestant, other: Contestant) -> float:
    return _excess(first.whole.rate, other.whole.rate)


def _excess(value: float, base: float) -> float:
    return value / base - 1 if base else 0.0


def _more(lead: float) -> str:
    return f"{lead + 1:.1f} times the calls/s of" if lead + 1 >= _TIMES else f"{share(lead)} more calls/s than"


def _quickest(working: Sequence[Contestant], rate: float | None) -> str:
    """Whose slowest calls are the fastest."""
    first, second = sorted(working, key=lambda one: one.p99)[:2]
    allowed = _p99_noise(first, second)
    both = f"{first.name} {latency(first.p99)}, {second.name} {latency(second.p99)}"
    begin = "" if rate is None else f"All keep up with {per_second(rate)} calls/s. "
    if allowed is None:
        return f"{begin}The lowest p99: {both}; the runs are too short to tell whether that is more than noise."
    if second.p99 - first.p99 <= allowed * (first.p99 + second.p99) / 2:
        return f"{begin}The lowest p99s are level: {both}, within the noise of {share(allowed)}."
    return f"{begin}{first.name} has the lowest p99: {both}."


def against_last(measurement: Measurement, memory: RunMemory) -> str | None:
    """Compare a run with the last one of the same call, in sentences, and remember it for the next one.

    None where there was no such run, or this one says nothing.
    """
    run = run_of(measurement)
    earlier = memory.earlier(run.key)
    memory.remember(measurement)
    return _against(run, earlier) if earlier and run.calls else None


def _against(run: RememberedRun, earlier: Sequence[RememberedRun]) -> str:
    last = earlier[-1]
    when = ago(run.began - last.began)
    if abs(run.failed - last.failed) > _FAILED_APART:
        return (
            f"Against the last run of this call ({when}): {share(run.failed)} of the calls went wrong, "
            f"{share(last.failed)} then. Their rates and latencies do not compare."
        )
    lately = earlier[-_LATELY:]
    rates = _allowed(last.rates, run.rates, [one.rate for one in lately])
    p99s = _allowed(last.p99s, run.p99s, [one.p99 for one in lately])
    rate = f"calls/s {per_second(last.rate)} → {per_second(run.rate)} {_judged(last.rate, run.rate, rates)}"
    p99 = f"p99 {latency(last.p99)} → {latency(run.p99)} {_judged(last.p99, run.p99, p99s, more_is_better=False)}"
    return f"Against the last run of this call ({when}): {rate}; {p99}."


def _judged(before: float, now: float, allowed: float | None, *, more_is_better: bool = True) -> str:
    change = _excess(now, before)
    grown = f"({change + 1:,.1f} times)" if change + 1 >= _TIMES else f"({change * 100:+.1f} %)"
    if allowed is None:
        return f"{grown}, too short to tell from noise"
    if abs(now - before) <= allowed * (now + before) / 2:
        return f"{grown}, within the noise of {share(allowed)}"
    return f"{grown}, {'better' if (change > 0) == more_is_better else 'worse'} (noise {share(allowed)})"


def _allowed(before: Sequence[float], now: Sequence[float], lately: Sequence[float]) -> float | None:
    """The share by which two runs may differ by chance, judged from their own parts and from run to run."""
    known = [allowed for allowed in (noise(before, now), _from_run_to_run(lately)) if allowed is not None]
    return _audible(max(known)) if known else None


def _audible(allowed: float) -> float | None:
    """Noise in which something can be heard at all, or None."""
    return allowed if allowed <= _DEAFENING else None


def _from_run_to_run(values: Sequence[float]) -> float | None:
    """The share by which neighbouring runs nearly always differ; a lasting change counts once."""
    changes = [abs(after - before) for before, after in pairwise(values)]
    middle = statistics.fmean(values) if values else 0.0
    if len(changes) < _FEWEST_CHANGES or middle <= 0:
        return None
    return 2 * statistics.median(changes) / _NORMAL_MEDIAN / middle


def noise(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The share of their mean by which two figures may differ by chance; None where nobody can tell."""
    if len(one) < 2 or len(other) < 2:
        return None
    middle = (statistics.fmean(one) + statistics.fmean(other)) / 2
    if middle <= 0:
        return None
    variances = [statistics.variance(values) / len(values) for values in (one, other)]
    whole = sum(variances)
    if not whole:
        return _LEAST
    freedom = whole**2 / sum(
        variance**2 / (len(values) - 1) for variance, values in zip(variances, (one, other), strict=True)
    )
    return _audible(max(_LEAST, _student(freedom) * math.sqrt(whole) / middle))


def paired_noise(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The same for rounds that took turns, one for one: what disturbed both of a pair cancels out."""
    ratios = [math.log(mine / theirs) for mine, theirs in zip(one, other, strict=True) if mine > 0 and theirs > 0]
    if len(ratios) < 2 or len(ratios) < len(one):
        return None
    error = statistics.stdev(ratios) / math.sqrt(len(ratios))
    return _audible(max(_LEAST, math.expm1(min(_student(len(ratios) - 1) * error, _DEAFENING))))


def _student(freedom: float) -> float:
    place = max(1, math.floor(freedom))
    return _STUDENT[place - 1] if place <= len(_STUDENT) else _STUDENT_BEYOND
