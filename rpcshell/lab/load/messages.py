"""What the shell and its load processes tell each other: frames of msgpack on the processes' standard streams."""

from __future__ import annotations

import msgspec

from rpcshell.client.tls import TlsFiles

__all__ = ["Begin", "Order", "Ready", "Report", "Stop", "Task", "Tick", "read_order", "read_report", "write"]


class Task(msgspec.Struct, frozen=True, tag="task", kw_only=True):
    """What one process does: a closed loop on each of its connections, or calls at a rate whatever becomes of them."""

    target: str
    body: bytes
    """Of every request."""

    first: bytes
    """Of the first request on a connection: the same call, which asks who serves it where the server knows that."""

    connections: int
    pipeline: int = 1
    """Calls under way on a connection, at most."""

    rate: float | None = None
    """Calls a second to begin; None for a closed loop."""

    shift: float = 0.0
    """Seconds from the beginning to the first call, where there is a rate."""

    seconds: float | None = None
    """How long new calls are begun; None for no limit."""

    calls: int | None = None
    """How many are begun; None for no limit."""

    timeout: float = 10.0
    """Seconds after which a call without a reply is given up."""

    connect_timeout: float = 10.0
    tls: TlsFiles = TlsFiles()

    insistent: bool = False
    """Begin at once, connect all at the same time, and count connections that cannot be made instead of giving up."""

    period: float = 0.25
    """Seconds from one tick to the next, a multiple of 0.05."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Everybody is connected: begin."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Begin no new calls, give those under way half a second, and report."""


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The connections are there, or cannot be made: then with the problem, and a hint where there is one."""

    problem: str | None = None
    hint: str | None = None


class Tick(msgspec.Struct, frozen=True, tag="tick", kw_only=True):
    """What happened since the tick before, unless it says that it counts from the beginning."""

    number: int
    """From 1: the ticks of all processes with the same number are of the same time."""

    seconds: float
    """Since the beginning."""

    calls: int
    """Calls that were answered, errors included."""

    latency: dict[int, int]
    """How many of them took how long, by bucket of a `Histogram`."""

    problems: dict[str, int]
    """What went wrong: `error CODE`, or one of the kinds that `generator` names."""

    last: bool = False
    """Whether no other follows; only then workers and examples are told."""

    last_reply: float = 0.0
    """When it came, in seconds since the beginning; 0 where none has."""

    workers: dict[int, int] = {}
    """Calls by the worker that answered, since the beginning."""

    examples: dict[str, str] = {}
    """What the first error of each kind said."""

    open: int = 0
    """Connections that are open now."""

    connected: int = 0
    """Connections that were made, since the beginning."""

    unsent: int = 0
    """Calls that were due and never sent, since the beginning."""

    cpu: float = 0.0
    """Processor seconds of the load process since the beginning."""

    bytes_in: int = 0
    bytes_out: int = 0
    """Since the beginning, both."""


Order = Task | Begin | Stop
Report = Ready | Tick

write = msgspec.msgpack.Encoder().encode
"""Writes any of them."""

read_order = msgspec.msgpack.Decoder(Order).decode
read_report = msgspec.msgpack.Decoder(Report).decode
