"""A few clients that keep calling while a drill runs, so that lost calls and waits are measured and not guessed.

They go by the rule of the shell's own client (`rpcshell.client.fleet`), and take no call for idempotent: what may
have run is not sent again, and is counted as lost.
"""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.client import Client
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError
from rpcshell.view.units import duration
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcshell.client.tls import TlsFiles
    from rpcshell.lab.drills.timeline import Timeline

__all__ = ["Probe", "ProbeReport", "ProbedCall"]

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
    """What is called.

    Attributes:
        method: The method.
        params: Its params.
    """

    method: str
    params: object = None


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the callers have seen.

    Attributes:
        method: What was called.
        calls: How many calls came to an end.
        answered: How many of these with a result.
        lost: How many may have run, but brought no reply.
        unsent: How many could not be made since the connection ended before they ran, again and again.
        refused: How many found no connection.
        busy: How many were answered that the server is busy.
        errors: How many were answered another error.
        timeouts: How many brought no reply within 20 s.
        before: Seconds that half of the calls took before the drill, or None where there was none.
        typical: Seconds that half of the answered calls took during it, or None where there was none.
        longest: Seconds that the longest took, or has taken so far.
        waiting: How many still wait.
    """

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
    typical: float | None
    longest: float
    waiting: int


class _Counts:
    """What came of calls; guarded by the probe's lock."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.lost = self.unsent = self.refused = self.busy = self.errors = self.timeouts = 0
        self.longest = 0.0


class Probe:
    """The callers, each in a thread.

    Args:
        target: Where they call.
        tls: Files of TLS.
        call: What they call.
        timeline: Where lost calls and long waits are told.
        callers: How many.
        keep: Whether every second one keeps its connection for some calls; the others make one for each call.
    """

    def __init__(
        self,
        target: Target,
        call: ProbedCall,
        timeline: Timeline,
        *,
        tls: TlsFiles | None = None,
        callers: int = 2,
        keep: bool = True,
    ) -> None:
        self._target = target
        self._tls = tls
        self._called = call
        self._keep = keep
        self._timeline = timeline
        self._pause = callers / _CALLS_A_SECOND
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._warm = threading.Event()
        self._counts = _Counts()
        self._before: float | None = None
        self._began: dict[int, float] = {}
        self._stalled = False
        self._good = 0.0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"probe-{number}", daemon=True)
            for number in range(callers)
        ]

    def start(self, seconds: float) -> None:
        """Begin to call, and learn how long calls take.

        Args:
            seconds: How long to wait for that, at most.
        """
        for thread in self._threads:
            thread.start()
        self._warm.wait(seconds)

    def count_from_now(self) -> None:
        """Keep what calls took so far as what they take without harm, and count anew."""
        with self._lock:
            latencies = self._counts.latencies
            self._before = median(latencies) if latencies else None
            self._counts = _Counts()

    def look(self, now: float) -> None:
        """Tell the timeline when calls begin to wait, and when they do no longer.

        Args:
            now: On `time.monotonic`'s clock.
        """
        with self._lock:
            waiting = [began for began in self._began.values() if now - began > self.stall]
        if waiting and not self._stalled:
            self._stalled = True
            who = "a call waits" if len(waiting) == 1 else f"{len(waiting)} calls wait"
            self._timeline.add("calls_wait", f"{who} for {duration(self.stall)} so far", waiting=len(waiting))
        elif self._stalled and not waiting:
            self._stalled = False
            self._timeline.add("calls_go_on", f"calls are answered again; the longest took {duration(self.longest)}")

    def now(self, now: float) -> tuple[float, float | None]:
        """How calls fare at a time.

        Args:
            now: On `time.monotonic`'s clock.

        Returns:
            Seconds that the oldest call on its way has waited, and that the last one that was answered took.
        """
        with self._lock:
            waited = max((now - began for began in self._began.values()), default=0.0)
            return waited, self._counts.latencies[-1] if self._counts.latencies else None

    @property
    def stall(self) -> float:
        """Seconds after which a call counts as one that waits."""
        return max(_LEAST_STALL, _STALLED * (self._before or 0.0))

    @property
    def longest(self) -> float:
        """Seconds that the longest call took."""
        return self._counts.longest

    def fares_well(self, since: float) -> bool:
        """Whether no call waits, and one was answered as quickly as before the drill.

        Args:
            since: When that one has begun at the earliest, on `time.monotonic`'s clock.
        """
        return not self._stalled and self._good >= since

    @property
    def lost(self) -> int:
        """How many calls were lost."""
        return self._counts.lost

    def stop(self, seconds: float) -> None:
        """Make no further calls, and wait for those that are on their way.

        Args:
            seconds: How long, at most; threads that are left end with their calls.
        """
        self._over.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def report(self) -> ProbeReport:
        """What was seen so far."""
        now = time.monotonic()
        with self._lock:
            found = self._counts
            latencies = list(found.latencies)
            waits = [now - began for began in self._began.values()]
        return ProbeReport(
            method=self._called.method,
            calls=len(latencies)
            + found.lost
            + found.unsent
            + found.refused
            + found.busy
            + found.errors
            + found.timeouts,
            answered=len(latencies),
            lost=found.lost,
            unsent=found.unsent,
            refused=found.refused,
            busy=found.busy,
            errors=found.errors,
            timeouts=found.timeouts,
            before=self._before,
            typical=median(latencies) if latencies else None,
            longest=max([found.longest, *waits]),
            waiting=sum(wait > self.stall for wait in waits),
        )

    def _run(self, number: int) -> None:
        kept_for = 1 if number % 2 or not self._keep else _KEPT_FOR
        made = 0
        with Client(self._target, timeout=_TIMEOUT, connect_timeout=_TIMEOUT, tls=self._tls) as client:
            while not self._over.is_set():
                self._call(number, client)
                made += 1
                if made % kept_for == 0:
                    client.close()
                self._over.wait(self._pause)

    def _call(self, number: int, client: Client) -> None:
        began = time.monotonic()
        with self._lock:
            self._began[number] = began
        failure: ShellError | None = None
        code: int | None = None
        worker: int | None = None
        try:
            reply = client.exchange(self._called.method, self._called.params, meta=True)
            code = None if reply.fault is None else reply.fault.code
            worker = None if reply.meta is None else reply.meta.worker
        except ShellError as error:
            failure = error
        ended = time.monotonic()
        with self._lock:
            del self._began[number]
            self._count(ended - began, failure, code)
            if failure is None and code != ErrorCode.BUSY and ended - began <= self.stall:
                self._good = began
        took = duration(ended - began)
        if isinstance(failure, ConnectionLost) and failure.may_have_run:
            text = f"a call of {self._called.method} is lost, {took} after it was sent: {_reason(failure)}"
            self._timeline.add("call_lost", text, at=ended, after_ms=round((ended - began) * 1000, 3))
        elif failure is not None:
            self._timeline.add("call_failed", f"a call of {self._called.method} failed: {failure.message}", at=ended)
        elif code == ErrorCode.BUSY:
            self._timeline.add("call_busy", "a call is answered -32001: busy", at=ended, worker=worker)

    def _count(self, elapsed: float, failure: ShellError | None, code: int | None) -> None:
        found = self._counts
        found.longest = max(found.longest, elapsed)
        match failure:
            case None if code is None:
                found.latencies.append(elapsed)
                if len(found.latencies) >= _WARM_CALLS:
                    self._warm.set()
            case None if code == ErrorCode.BUSY:
                found.busy += 1
            case None:
                found.errors += 1
            case ConnectionLost(may_have_run=True):
                found.lost += 1
            case ConnectionLost():
                found.unsent += 1
            case ConnectionFailed():
                found.refused += 1
            case CallTimeout():
                found.timeouts += 1
            case _:
                found.errors += 1


def _reason(error: ConnectionLost) -> str:
    """What a lost connection's message says between its target and the fate of the request."""
    return error.message.partition(f"{error.target}: ")[2].rpartition("; ")[0] or error.message
