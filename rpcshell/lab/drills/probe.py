"""A few clients that keep calling while a drill runs, so that lost calls and waits are measured and not guessed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ConnectionLost
from rpcshell.lab.load.callers import Caller, EndedCall, end_callers
from rpcshell.view.units import duration

if TYPE_CHECKING:
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.lab.drills.timeline import Timeline

_CALLS_A_SECOND: Final = 400
"""Of all callers together; a drill measures, it is no load test."""

_KEPT_FOR: Final = 10
"""Calls after which a caller that keeps its connection makes another, so that it never keeps a worker for itself."""

_TIMEOUT: Final = 20.0
_WARM_CALLS: Final = 8
_LEAST_STALL: Final = 0.1
_STALLED: Final = 5
"""A call waits where it takes so many times as long as calls did before the drill, and `_LEAST_STALL` at least."""


class ProbedCall(msgspec.Struct, frozen=True):
    """What is called."""

    method: str
    params: object = None


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the callers have seen: how many calls ended with each `EndedCall.fate`, and how many seconds calls took."""

    method: str
    calls: int
    answered: int
    lost: int
    unsent: int
    refused: int
    busy: int
    errors: int
    timeouts: int
    before: float | None
    """What half of the calls took before the drill; None where there was none."""
    typical: float | None
    """What half of the answered calls took during it; None where there was none."""
    longest: float
    """What the longest took, or has taken so far."""
    waiting: int
    """How many still wait."""


class Probe:
    """The callers. Where they `keep`, every second one keeps its connection for some calls, else none does."""

    def __init__(
        self, target: Target, call: ProbedCall, timeline: Timeline, *, tls: TlsFiles | None, callers: int, keep: bool
    ) -> None:
        self._called = call
        self._timeline = timeline
        self._lock = threading.Lock()
        self._warm = threading.Event()
        self._latencies: list[float] = []
        self._fates: Counter[str] = Counter()
        self._longest = self._longest_wait = 0.0
        self._before: float | None = None
        self._stalled = False
        self._last_good = 0.0
        """When the last call began that was answered as quickly as before the drill."""
        self._callers = [
            Caller(
                target,
                call.method,
                call.params,
                tls=tls,
                timeout=_TIMEOUT,
                pause=callers / _CALLS_A_SECOND,
                calls_each=1 if number % 2 or not keep else _KEPT_FOR,
                on_end=self._take,
            )
            for number in range(callers)
        ]

    def start(self, seconds: float) -> None:
        """Begin to call, and learn how long calls take, for so many seconds at most."""
        for caller in self._callers:
            caller.start()
        self._warm.wait(seconds)

    def count_from_now(self) -> None:
        """Keep what calls took so far as what they take without harm, and count anew."""
        with self._lock:
            self._before = median(self._latencies) if self._latencies else None
            self._latencies = []
            self._fates = Counter()
            self._longest = 0.0

    def look(self, now: float) -> None:
        """Tell the timeline when calls begin to wait, and when they do no longer."""
        waiting = sum(wait > self.stall for wait in self._waits(now))
        if waiting and not self._stalled:
            self._stalled = True
            self._longest_wait = 0.0
            who = "a call waits" if waiting == 1 else f"{waiting} calls wait"
            self._timeline.add("calls_wait", f"{who} for {duration(self.stall)} so far", waiting=waiting)
        elif self._stalled and not waiting:
            self._stalled = False
            longest = duration(self._longest_wait)
            self._timeline.add("calls_go_on", f"calls are answered again; the longest took {longest}")

    def now(self, now: float) -> tuple[float, float | None]:
        """Seconds that the oldest call on its way has waited, and that the last one that was answered took."""
        with self._lock:
            last = self._latencies[-1] if self._latencies else None
        return max(self._waits(now), default=0.0), last

    @property
    def stall(self) -> float:
        """Seconds after which a call counts as one that waits."""
        return max(_LEAST_STALL, _STALLED * (self._before or 0.0))

    def fares_well(self, since: float) -> bool:
        """Whether no call waits, and one that began after a time was answered as quickly as before the drill."""
        return not self._stalled and self._last_good >= since

    @property
    def lost(self) -> int:
        """How many calls were lost."""
        return self._fates["lost"]

    def stop(self, seconds: float) -> None:
        """Make no further calls, and wait so long for those on their way; threads that are left end with theirs."""
        end_callers(self._callers, seconds)

    def report(self) -> ProbeReport:
        """What was seen so far."""
        waits = self._waits(time.monotonic())
        with self._lock:
            fates = self._fates
            return ProbeReport(
                method=self._called.method,
                calls=fates.total(),
                answered=fates["answered"],
                lost=fates["lost"],
                unsent=fates["unsent"],
                refused=fates["refused"],
                busy=fates["busy"],
                errors=fates["error"],
                timeouts=fates["timeout"],
                before=self._before,
                typical=median(self._latencies) if self._latencies else None,
                longest=max([self._longest, *waits]),
                waiting=sum(wait > self.stall for wait in waits),
            )

    def _waits(self, now: float) -> list[float]:
        """For how long each of the calls on their way has waited."""
        return [now - began for caller in self._callers if (began := caller.began) is not None]

    def _take(self, call: EndedCall) -> None:
        fate, took = call.fate, call.took
        with self._lock:
            self._fates[fate] += 1
            self._longest = max(self._longest, took)
            self._longest_wait = max(self._longest_wait, took)
            if fate == "answered":
                self._latencies.append(took)
                if len(self._latencies) >= _WARM_CALLS:
                    self._warm.set()
            if call.reply is not None and fate != "busy" and took <= self.stall:
                self._last_good = call.began
        method, failure = call.method, call.failure
        if fate == "lost" and isinstance(failure, ConnectionLost):
            text = f"a call of {method} is lost, {duration(took)} after it was sent: {_reason(failure)}"
            self._timeline.add("call_lost", text, at=call.ended, after_ms=round(took * 1000, 3))
        elif failure is not None:
            self._timeline.add("call_failed", f"a call of {method} failed: {failure.message}", at=call.ended)
        elif fate == "busy":
            meta = None if call.reply is None else call.reply.meta
            worker = None if meta is None else meta.worker
            self._timeline.add("call_busy", "a call is answered -32001: busy", at=call.ended, worker=worker)


def _reason(error: ConnectionLost) -> str:
    """What a lost connection's message says between its target and the fate of the request."""
    return error.message.partition(f"{error.target}: ")[2].rpartition("; ")[0] or error.message
