"""What a load process counts between two of its reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.load.messages import Tick
from rpcshell.view.histogram import bucket_of

if TYPE_CHECKING:
    from rpcwire import Fault

__all__ = ["Tally"]

_EXAMPLES: Final = 5
_LONGEST_EXAMPLE: Final = 200
_SECOND: Final = 1_000_000_000


class Tally:
    """Counts."""

    __slots__ = (
        "_cpu",
        "_examples",
        "_number",
        "_problems",
        "_workers",
        "bytes_in",
        "bytes_out",
        "calls",
        "connected",
        "last",
        "latency",
        "unsent",
    )

    def __init__(self) -> None:
        self.calls = 0
        self.latency: dict[int, int] = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.connected = 0
        self.last = 0
        """When the last reply came."""
        self.unsent = 0
        self._problems: dict[str, int] = {}
        self._examples: dict[str, str] = {}
        self._workers: dict[int, int] = {}
        self._number = 0
        self._cpu = 0.0

    def restart(self) -> None:
        """Count processor time from now on: what came before was no load."""
        self._cpu = time.process_time()

    def reply(self, due: int, now: int) -> None:
        """Count a reply that came now to a call that was due then, in nanoseconds."""
        self.last = now
        self.calls += 1
        latency = self.latency
        bucket = bucket_of(now - due)
        latency[bucket] = latency.get(bucket, 0) + 1

    def problem(self, kind: str, count: int = 1) -> None:
        """Count calls that went wrong."""
        if count:
            self._problems[kind] = self._problems.get(kind, 0) + count

    def fault(self, fault: Fault) -> None:
        """Count a reply that is an error, and keep what the first of its kind says."""
        kind = f"error {fault.code}"
        self.problem(kind)
        if kind not in self._examples and len(self._examples) < _EXAMPLES:
            self._examples[kind] = fault.message[:_LONGEST_EXAMPLE]

    def credit(self, worker: int, calls: int) -> None:
        """Count calls that a worker has answered."""
        if worker > 0 and calls:
            self._workers[worker] = self._workers.get(worker, 0) + calls

    def tick(self, began: int, now: int, *, open: int, last: bool = False) -> Tick:  # noqa: A002 - as in a tick
        """What was counted since the tick before."""
        self._number += 1
        tick = Tick(
            number=self._number,
            seconds=(now - began) / _SECOND,
            calls=self.calls,
            latency=self.latency,
            problems=self._problems,
            last=last,
            last_reply=(self.last - began) / _SECOND if self.last else 0.0,
            workers=self._workers if last else {},
            examples=self._examples if last else {},
            open=open,
            connected=self.connected,
            unsent=self.unsent,
            cpu=time.process_time() - self._cpu,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
        )
        self.calls, self.latency, self._problems = 0, {}, {}
        return tick
