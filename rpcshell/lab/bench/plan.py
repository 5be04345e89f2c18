"""What a benchmark is asked for, and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec

from rpcshell.client.tls import TlsFiles

__all__ = ["Interval", "Measurement", "Plan", "Progress", "ServerUse"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark.

    Attributes:
        target: Where calls go.
        method: What is called.
        params: With what.
        connections: How many are held open.
        seconds: How long new calls are begun; None for no limit.
        calls: How many calls are begun; None for no limit.
        rate: Calls a second to begin, whatever becomes of those before (open loop); None for each connection to call
            again as soon as it is answered (closed loop).
        pipeline: Calls at once on a connection, at most.
        processes: How many make the load; None for a number that suits.
        timeout: Seconds after which a call without a reply is given up.
        plain: Whether requests carry only a method and its params.
        tls: The files of the client's side.
    """

    target: str
    method: str
    params: Any = None
    connections: int = 8
    seconds: float | None = 10.0
    calls: int | None = None
    rate: float | None = None
    pipeline: int = 1
    processes: int | None = None
    timeout: float = 10.0
    plain: bool = False
    tls: TlsFiles = TlsFiles()


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a part of a run.

    Attributes:
        seconds: When it ended, since the beginning.
        length: How long it was, in seconds.
        calls: Calls that were answered, errors included.
        problems: Calls that went wrong.
        p50: Median latency in seconds.
        p99: 99th percentile in seconds.
    """

    seconds: float
    length: float
    calls: int
    problems: int
    p50: float
    p99: float


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is.

    Attributes:
        seconds: Since the beginning.
        calls: Calls that were answered.
        problems: Calls that went wrong.
        rate: Calls a second lately.
        p99: 99th percentile of lately in seconds.
        share: How much of the run is over, from 0 to 1.
    """

    seconds: float
    calls: int
    problems: int
    rate: float
    p99: float
    share: float


class ServerUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost a server on this machine.

    Attributes:
        model: Its worker model.
        workers: How many workers it had.
        cpu: Processor time of the arbiter and its workers, in seconds.
        memory: Their memory at the end in bytes, what they share counted once (PSS), or None where it is not told.
        died: Workers that died meanwhile.
        lost: Calls that were lost with them.
        waiting: The most connections that were seen waiting to be accepted.
    """

    model: str
    workers: int
    cpu: float
    memory: int | None
    died: int
    lost: int
    waiting: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a benchmark.

    Attributes:
        plan: What was asked for.
        began: When, in seconds since the epoch.
        seconds: From the first call to the last reply.
        calls: Calls that were answered, errors included.
        latency: How many of them took how long, by bucket of a `Histogram`.
        problems: Calls that went wrong, by what went wrong.
        unsent: Calls that were due and could not be sent: the server was slower than the rate asked for.
        timeline: What happened when.
        workers: Calls by the worker that answered; empty where that is not told.
        bytes_in: Size of the replies.
        bytes_out: Size of the requests.
        client_cpu: Processor time of the load processes, in seconds.
        processes: How many they were.
        examples: What the first error of each kind said; texts of the server.
        server: What it cost the server, where that can be known.
        interrupted: Whether it was stopped before its end.
    """

    plan: Plan
    began: float
    seconds: float
    calls: int
    latency: dict[int, int]
    problems: dict[str, int]
    unsent: int
    timeline: list[Interval]
    workers: dict[int, int]
    bytes_in: int
    bytes_out: int
    client_cpu: float
    processes: int = 1
    examples: dict[str, str] = {}
    server: ServerUse | None = None
    interrupted: bool = False

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds if self.seconds else 0.0

    @property
    def answered_well(self) -> int:
        """How many calls were answered without an error."""
        return self.calls - sum(count for kind, count in self.problems.items() if kind.startswith("error "))

    @property
    def failed(self) -> int:
        """How many calls went wrong."""
        return sum(self.problems.values())
