"""What the shell and its load processes tell each other: frames of msgpack on the processes' standard streams."""

from __future__ import annotations

import msgspec

from rpcshell.client.tls import TlsFiles

__all__ = ["Begin", "Order", "Ready", "Report", "Stop", "Task", "Tick", "read_order", "read_report", "write"]


class Task(msgspec.Struct, frozen=True, tag="task", kw_only=True):
    """What one process does.

    Attributes:
        target: Where calls go.
        body: Of every request.
        first: Of the first request on a connection: the same call, which asks who serves it.
        connections: How many it holds open.
        pipeline: How many calls at once on each of them, at most.
        rate: Calls a second to begin, whatever becomes of those before; None for one after the other.
        shift: Seconds after the beginning of the first call, where there is a rate.
        seconds: How long to begin new calls; None for no limit.
        calls: How many to begin; None for no limit.
        timeout: Seconds after which a call without a reply is given up.
        tls: The files of the client's side.
    """

    target: str
    body: bytes
    first: bytes
    connections: int
    pipeline: int = 1
    rate: float | None = None
    shift: float = 0.0
    seconds: float | None = None
    calls: int | None = None
    timeout: float = 10.0
    tls: TlsFiles = TlsFiles()


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Everybody is connected: begin."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Begin no new calls, and report."""


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The connections are there, or cannot be made.

    Attributes:
        problem: Why not, or None.
        hint: What to do about it, where there is something to say.
    """

    problem: str | None = None
    hint: str | None = None


class Tick(msgspec.Struct, frozen=True, tag="tick", kw_only=True):
    """What happened since the tick before.

    Attributes:
        number: Which one it is, from 1: those of all processes with the same number are of the same time.
        seconds: Since the beginning.
        calls: Calls that were answered, errors included.
        latency: How many of them took how long, by bucket.
        problems: Calls that went wrong, by what went wrong.
        last: Whether this is the last one; only then the workers and the examples are told.
        last_reply: When the last reply came, in seconds since the beginning; 0 where none has.
        workers: Calls by the worker that answered.
        examples: What the first error of each kind said.
        unsent: Calls that were due and never sent.
        cpu: Processor time of the load process since the beginning, in seconds.
        bytes_in: Size of the replies.
        bytes_out: Size of the requests.
    """

    number: int
    seconds: float
    calls: int
    latency: dict[int, int]
    problems: dict[str, int]
    last: bool = False
    last_reply: float = 0.0
    workers: dict[int, int] = {}
    examples: dict[str, str] = {}
    unsent: int = 0
    cpu: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0


Order = Task | Begin | Stop
Report = Ready | Tick

write = msgspec.msgpack.Encoder().encode
"""Writes any of them."""

read_order = msgspec.msgpack.Decoder(Order).decode
"""Reads what a load process is told."""

read_report = msgspec.msgpack.Decoder(Report).decode
"""Reads what a load process tells."""
