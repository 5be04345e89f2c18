"""What a session remembers: its calls and the counts of them, and the variables that its lines named.

All of it is in memory, for the commands that look back; nothing here is written anywhere. How a line names a variable
and a place in it is the language's business.
"""

from __future__ import annotations

import time
from collections import UserDict, deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.view.histogram import Histogram, bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.shell.call import Call

LAST: Final = "_"
"""The name of the last result."""

_SCALAR: Final = 32
"""Bytes that a number, or the frame of a text or container, takes in memory; an estimate."""

_DEEPEST: Final = 100
"""Brackets in brackets in a value that is remembered: what exports and compares values goes into each of them."""

_MOST_WORKERS: Final = 1000
_LONGEST_LINE: Final = 10_000
_NANOSECONDS: Final = 1_000_000_000


class Journal:
    """The latest calls of a session, oldest first; the bytes of the last one alone are kept.

    There are `most` of them. Params, or a result, that take more than about `largest` bytes of memory are not kept with
    their call.
    """

    def __init__(self, *, most: int = 100, largest: int = 1 << 20) -> None:
        self.statistics = CallStatistics()
        self._calls: deque[Call] = deque(maxlen=most)
        self._largest = largest
        self._count = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    @property
    def last(self) -> Call | None:
        """The last call, or None before the first."""
        return self._calls[-1] if self._calls else None

    @property
    def last_without_result(self) -> Call | None:
        """The last call that brought an error or nothing."""
        return next((call for call in reversed(self._calls) if call.error is not None), None)

    def find(self, number: int) -> Call | None:
        """The call with that number, if it is still known."""
        return next((call for call in self._calls if call.number == number), None)

    def add(self, call: Call) -> Call:
        """Count a call, and remember it under the next number, without the values that are too large."""
        self._count += 1
        changes: dict[str, Any] = {"number": self._count}
        if memory_of(call.params, self._largest) is None:
            changes |= {"params": None, "has_params": False}
        if call.reply is not None and memory_of(call.reply.result, self._largest) is None:
            changes |= {"reply": msgspec.structs.replace(call.reply, result=None), "has_result": False}
        if len(call.line) > _LONGEST_LINE:
            changes["line"] = f"{call.line[:_LONGEST_LINE]}…"
        kept = msgspec.structs.replace(call, **changes)
        if self.last is not None:
            self.last.trace.forget_bytes()
        self._calls.append(kept)
        if kept.target:
            # What went to no server says nothing of any.
            self.statistics.add(kept)
        return kept


def memory_of(value: Any, most: int) -> int | None:
    """Bytes, about, that a value of JSON takes in memory; None if more than the most, or nested too deeply.

    What is nested too deeply is nothing for who looks at it. Stops looking once it is known.
    """
    used = 0
    level = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            used += _SCALAR
            if isinstance(item, str):
                used += len(item)
            elif isinstance(item, dict | list | tuple):
                used += _SCALAR * len(item)
            if used > most:
                return None
            if isinstance(item, dict | list | tuple):
                inner.extend(item)
            if isinstance(item, dict):
                inner.extend(item.values())
        if not inner:
            return used
        level = inner
    return None


class CallCounts:
    """Counts of the calls of one method, or of those that one worker answered: numbers alone, however many there are.

    For those that were `served`, the server told how long it worked on them: `service` seconds, added up. The `pid` is
    that of the process which answered last, where that was told.
    """

    __slots__ = ("_buckets", "calls", "errors", "pid", "served", "service", "unanswered")

    def __init__(self) -> None:
        self.calls = self.errors = self.unanswered = self.served = 0
        self.service = 0.0
        self.pid: int | None = None
        self._buckets: dict[int, int] = {}

    def add(self, call: Call, seconds: float) -> None:
        """Count a call that took so many seconds."""
        self.calls += 1
        if call.outcome in {"failed", "cancelled"}:
            # How long nothing came says nothing of how long calls take.
            self.unanswered += 1
            return
        if call.outcome == "error":
            self.errors += 1
        bucket = bucket_of(int(seconds * _NANOSECONDS))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if (service := call.service) is not None:
            self.served += 1
            self.service += service
        if (meta := call.meta) is not None:
            self.pid = meta.pid

    @property
    def times(self) -> Histogram:
        """How long the answered calls took, seen from here."""
        return Histogram(self._buckets)


class CallStatistics:
    """Counts of all calls since a moment."""

    def __init__(self) -> None:
        self.methods: dict[str, CallCounts] = {}
        """In the order of their first calls."""
        self.workers: dict[tuple[str, int | None], CallCounts] = {}
        """By server or instance of a fleet, and worker, or None for calls that did not tell who served them."""
        self._since = time.monotonic()

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return sum(counts.calls for counts in self.methods.values())

    @property
    def errors(self) -> int:
        """How many of them were answered with an error."""
        return sum(counts.errors for counts in self.methods.values())

    @property
    def unanswered(self) -> int:
        """How many of them were not answered."""
        return sum(counts.unanswered for counts in self.methods.values())

    @property
    def seconds(self) -> float:
        """For how long they were counted."""
        return time.monotonic() - self._since

    def add(self, call: Call) -> None:
        """Count a call."""
        server = call.instance or call.target
        key = server, None if call.meta is None else call.meta.worker
        if key not in self.workers and len(self.workers) >= _MOST_WORKERS:
            # No server has so many: numbers that go on and on tell nobody apart.
            key = server, None
        self.methods.setdefault(call.method, CallCounts()).add(call, call.elapsed)
        self.workers.setdefault(key, CallCounts()).add(call, call.elapsed_there)

    def times_of(self, server: str) -> Histogram:
        """How long the calls took that a server answered."""
        times = Histogram()
        for (answered_by, _), counts in self.workers.items():
            if answered_by == server:
                times.add(counts.times.counts)
        return times

    def reset(self) -> None:
        """Begin anew."""
        self.methods.clear()
        self.workers.clear()
        self._since = time.monotonic()


class Variables(UserDict[str, Any]):
    """The results that lines can name, in the order in which they were first given; the last one is `$_`."""
