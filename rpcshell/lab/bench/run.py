"""Running a benchmark: load processes are started, begin together, and what they count is put together.

The load is made by processes of their own, so that a prompt that shows the progress takes nothing from it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.target import FleetTarget, Target
from rpcshell.lab.bench.measurement import Interval, Measurement, Plan, RunProgress, shares_summed, summed
from rpcshell.lab.load.messages import Begin, Stop, Task, Tick
from rpcshell.lab.load.process import LoadProcesses, usable_cores
from rpcshell.view.histogram import Histogram
from rpcwire import encode_request, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rpcshell.client.dialects import DialectFactory

_CONNECTIONS_EACH: Final = 64
_CALLS_EACH: Final = 20_000.0
"""Calls a second that one load process begins on time, with something to spare."""

_PAUSE: Final = 0.25


def run_plan(
    plan: Plan,
    on_progress: Callable[[RunProgress], None] = lambda _progress: None,
    unsaid: Mapping[str, Any] = MappingProxyType({}),
    dialects: Mapping[str, DialectFactory] = MappingProxyType({}),
) -> Measurement:
    """Run a benchmark, and tell of the progress four times a second.

    Ctrl-C ends it early, with what there is by then; pressed again, it raises KeyboardInterrupt. What the text of the
    target does not say is `unsaid`, as `Task` has it; `dialects` are those of the configuration, by name.

    Raises:
        ConnectionFailed: The target cannot be reached.
        ShellError: A load process did not do its work.
    """
    target = Target.parse(plan.target, dialects)
    with LoadProcesses(_tasks(plan, target, unsaid, dialects)) as processes:
        processes.connect(target)
        return _Collector(plan, processes, on_progress).finish()


def _tasks(plan: Plan, target: Target, unsaid: Mapping[str, Any], dialects: Mapping[str, DialectFactory]) -> list[Task]:
    wanted = max(-(-plan.connections // _CONNECTIONS_EACH), int((plan.rate or 0.0) / _CALLS_EACH) + 1)
    count = plan.processes or min(usable_cores(), wanted)
    count = max(1, min(count, plan.connections, plan.calls or plan.connections))
    foreign = bool(target.dialect)
    by_client = foreign or isinstance(target, FleetTarget)
    envelopes = {name: msgspec.to_builtins(dialect) for name, dialect in dialects.items()} if foreign else {}
    if by_client:
        first = body = encode_value([plan.method, plan.params], "text")
    else:
        body = encode_request(plan.method, plan.params, close=not plan.plain)
        first = encode_request(plan.method, plan.params, meta=not plan.plain, close=not plan.plain)
    return [
        Task(
            target=plan.target,
            unsaid=dict(unsaid),
            body=body,
            first=first,
            connections=_part(plan.connections, count, number),
            pipeline=plan.pipeline,
            rate=plan.rate / count if plan.rate else None,
            shift=number / plan.rate if plan.rate else 0.0,
            seconds=plan.seconds,
            calls=None if plan.calls is None else _part(plan.calls, count, number),
            timeout=plan.timeout,
            tls=plan.tls,
            plain=foreign or plan.plain,
            idempotent=plan.idempotent,
            envelopes=envelopes,
        )
        for number in range(count)
    ]


def _part(whole: int, parts: int, number: int) -> int:
    """The share of one part of a whole; where it does not divide, the first parts get one more."""
    return whole // parts + (number < whole % parts)


class _Collector:
    """Puts together what the processes report."""

    def __init__(self, plan: Plan, processes: LoadProcesses, on_progress: Callable[[RunProgress], None]) -> None:
        self._plan = plan
        self._processes = processes
        self._on_progress = on_progress
        self._whole = Histogram()
        self._calls = 0
        self._problems: Counter[str] = Counter()
        self._timeline: list[Interval] = []
        self._closed: list[Tick] = []
        """The ticks of the interval that was closed last."""
        self._open: dict[int, list[Tick]] = {}
        """Ticks by their number, until each process has told of that time."""
        self._lasts: list[Tick] = []
        self._interrupted = False

    def finish(self) -> Measurement:
        began_at = time.time()
        with _interrupts(self._stop):
            self._processes.tell(Begin())
            while len(self._lasts) < len(self._processes.all):
                for _, report in self._processes.wait(_PAUSE):
                    if isinstance(report, Tick):
                        self._take(report)
                self._close_intervals()
        lasts = self._lasts
        return Measurement(
            plan=self._plan,
            began=began_at,
            seconds=self._seconds(),
            calls=self._calls,
            latency=self._whole.counts,
            problems=dict(sorted(self._problems.items())),
            unsent=sum(last.unsent for last in lasts),
            timeline=self._timeline,
            workers=dict(sorted(summed(last.workers for last in lasts).items())),
            instances=shares_summed(last.instances for last in lasts),
            bytes_in=sum(last.bytes_in for last in lasts),
            bytes_out=sum(last.bytes_out for last in lasts),
            client_cpu=sum(last.cpu for last in lasts),
            processes=len(lasts),
            examples={kind: said for last in lasts for kind, said in last.examples.items()},
            interrupted=self._interrupted,
        )

    def _stop(self) -> None:
        """End it with what there is; when it is asked for again, without."""
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        self._processes.tell(Stop())

    def _seconds(self) -> float:
        """How long calls were begun or answered, without the wait for those that were given up."""
        last_reply = max(last.last_reply for last in self._lasts)
        whole = max(last.seconds for last in self._lasts)
        if self._plan.seconds is None or self._interrupted:
            return last_reply or whole
        return max(last_reply, min(whole, self._plan.seconds))

    def _take(self, tick: Tick) -> None:
        self._calls += tick.calls
        self._whole.add(tick.latency)
        self._problems.update(tick.problems)
        self._open.setdefault(tick.number, []).append(tick)
        if tick.last:
            self._lasts.append(tick)

    def _close_intervals(self) -> None:
        """Close the intervals that every running process has told of."""
        for number in sorted(self._open):
            ended = sum(last.number < number for last in self._lasts)
            if len(self._open[number]) + ended < len(self._processes.all):
                break
            self._close_interval(self._open.pop(number))

    def _close_interval(self, ticks: list[Tick]) -> None:
        now = max(tick.seconds for tick in ticks)
        if self._timeline and now <= self._timeline[-1].seconds:
            # A process that stood still told of that time too late, and has ended.
            now = self._timeline.pop().seconds
            ticks = self._closed + ticks
        self._closed = ticks
        lately = Histogram(summed(tick.latency for tick in ticks))
        interval = Interval(
            seconds=now,
            length=now - (self._timeline[-1].seconds if self._timeline else 0.0),
            calls=lately.count,
            problems=sum(sum(tick.problems.values()) for tick in ticks),
            p50=lately.percentile(50),
            p99=lately.percentile(99),
        )
        self._timeline.append(interval)
        self._on_progress(
            RunProgress(
                seconds=now,
                calls=self._calls,
                problems=self._problems.total(),
                rate=interval.rate,
                p99=interval.p99,
                share=self._share(now),
            )
        )

    def _share(self, now: float) -> float:
        """How much of the run is over."""
        of_time = now / self._plan.seconds if self._plan.seconds else 0.0
        of_calls = self._calls / self._plan.calls if self._plan.calls else 0.0
        return min(1.0, max(of_time, of_calls))


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on Ctrl-C, rather than raise an exception between two counts that belong together."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda _number, _frame: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
