"""What the shell and its load processes tell each other, as frames of msgpack, and the tally that is told."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.dialect_names import dialect_name
from rpcshell.client.target import Target, TlsFiles
from rpcshell.view.histogram import bucket_of
from rpcwire import FrameDecoder, frame

if TYPE_CHECKING:
    from rpcshell.client.dialects.envelope import Envelope
    from rpcwire import Fault

LARGEST: Final = 1 << 31
"""Bytes of a message."""

_READ: Final = 256 * 1024
_EXAMPLES: Final = 5
_LONGEST_EXAMPLE: Final = 200
_MOST_WORKERS: Final = 1000

SECOND: Final = 1_000_000_000
"""In nanoseconds, as all times of a load process's clock are."""
NEVER: Final = 1 << 62
STOPPING: Final = SECOND // 2
"""Nanoseconds that the calls under way have when the run is stopped."""


class Task(msgspec.Struct, frozen=True, tag="task", kw_only=True):
    """What one process does: a closed loop on each of its connections, or calls at a rate whatever becomes of them."""

    target: str
    unsaid: dict[str, Any] = {}
    """What is known of the target that its text does not say, by the names of its fields; it may be secret."""
    body: bytes
    """Of every request; in another dialect than the native one `[method, params]`."""
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
    envelopes: dict[str, Any] = {}
    """The tables of dialects that the configuration names."""
    connect_timeout: float = 10.0
    tls: TlsFiles = TlsFiles()
    plain: bool = True
    """Whether requests carry only a method and its params, where clients make them."""
    idempotent: bool = False
    """Whether a call may be made a second time, at another instance of a fleet."""
    insistent: bool = False
    """Begin at once, connect all at the same time, and count connections that cannot be made instead of giving up."""
    period: float = 0.25
    """Seconds from one tick to the next, a multiple of 0.05."""

    @property
    def destination(self) -> Target:
        """The target, with all that is known of it."""
        said = Target.parse(self.target, self.envelopes)
        whole = {**msgspec.structs.asdict(said), **self.unsaid}
        return msgspec.convert(whole, type(said)) if self.unsaid else said

    @property
    def envelope(self) -> Envelope | None:
        """What is spoken there, where the configuration has a name for it."""
        table = self.envelopes.get(dialect_name(self.destination.dialect))
        if table is None:
            return None
        from rpcshell.client.dialects.envelope import Envelope

        return Envelope.from_table(table)

    def due(self, number: int) -> int:
        """When a call is due, counted from 0, where there is a rate: in nanoseconds since the beginning."""
        return int((self.shift + (number / self.rate if self.rate else 0.0)) * SECOND)

    def due_before(self, moment: int) -> int:
        """How many calls are due before a moment, in nanoseconds since the beginning."""
        if not self.rate:
            return 0
        count = max(math.ceil((moment / SECOND - self.shift) * self.rate), 0)
        # One too many or too few by rounding would be told as one that the server has not kept up with.
        while count and self.due(count - 1) >= moment:
            count -= 1
        while self.due(count) < moment:
            count += 1
        return count


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Everybody is connected: begin."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Begin no new calls, give those under way half a second, and report."""


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The connections are there, or cannot be made: then with the problem, and a hint where there is one."""

    problem: str | None = None
    hint: str | None = None


Latencies = dict[int, int]
"""How many of the calls that were answered took how long, by bucket of a `Histogram`."""


class InstanceShare(msgspec.Struct, kw_only=True):
    """What came of the calls at one instance of a fleet."""

    calls: int = 0
    """Those that it answered, with errors too."""
    latency: Latencies = {}
    failed: int = 0
    """Attempts that brought no reply."""
    lost: int = 0
    """Those of them after which the call was given up."""


class Tick(msgspec.Struct, frozen=True, tag="tick", kw_only=True):
    """What happened since the last tick; members that count from the beginning say so."""

    number: int
    """From 1: the ticks of all processes with the same number are of the same time."""
    seconds: float
    """Since the beginning."""
    calls: int
    """Calls that were answered, errors included."""
    latency: Latencies
    problems: dict[str, int]
    """What went wrong: `error CODE`, or one of the kinds that `pool` names."""
    last: bool = False
    """Whether no other follows; only then workers, instances and examples are told."""
    last_reply: float = 0.0
    """When it came, in seconds since the beginning; 0 where none has."""
    workers: dict[int, int] = {}
    """Calls by the worker that answered, since the beginning."""
    instances: dict[str, InstanceShare] = {}
    """What came of the calls at each instance of a fleet, by its address, since the beginning."""
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

_read_order = msgspec.msgpack.Decoder(Order).decode
read_report = msgspec.msgpack.Decoder(Report).decode


class ShellGone(Exception):
    """The shell has ended, and nobody wants to know what came of the run."""


class ShellStreams:
    """What a load process hears from the shell and tells it; where that has ended, all raise `ShellGone`."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        """Readable when it has something to say, or has ended."""
        self._decoder = FrameDecoder(max_frame=LARGEST)

    def next_order(self) -> Order:
        """Wait for what it says next."""
        while (body := self._decoder.next_frame()) is None:
            data = os.read(self.descriptor, _READ)
            if not data:
                raise ShellGone
            self._decoder.feed(data)
        order: Order = _read_order(body)
        return order

    def told_to_stop(self) -> bool:
        """Whether that is what it says next."""
        return isinstance(self.next_order(), Stop)

    def report(self, report: Report) -> None:
        """Tell it something."""
        data = memoryview(frame(write(report)))
        try:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except BrokenPipeError:
            raise ShellGone from None


class Tally:
    """What a load process counts between two ticks."""

    def __init__(self) -> None:
        self.calls = 0
        self.latency: Latencies = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.connected = 0
        self.last = 0
        """When the last reply came."""
        self.unsent = 0
        self._problems: dict[str, int] = {}
        self._examples: dict[str, str] = {}
        self._workers: dict[int, int] = {}
        self._instances: dict[Target, InstanceShare] = {}
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
        """Count calls that a worker has answered; of more workers than any server has, no further ones."""
        if worker > 0 and calls and (worker in self._workers or len(self._workers) < _MOST_WORKERS):
            self._workers[worker] = self._workers.get(worker, 0) + calls

    def at(self, instance: Target) -> InstanceShare:
        """What came of the calls at an instance of a fleet, to be counted on."""
        return self._instances.setdefault(instance, InstanceShare())

    def tick(self, began: int, now: int, *, open: int, last: bool = False) -> Tick:  # noqa: A002 - as in a tick
        """What was counted since the tick before."""
        self._number += 1
        tick = Tick(
            number=self._number,
            seconds=(now - began) / SECOND,
            calls=self.calls,
            latency=self.latency,
            problems=self._problems,
            last=last,
            last_reply=(self.last - began) / SECOND if self.last else 0.0,
            workers=self._workers if last else {},
            instances={str(target): found for target, found in self._instances.items()} if last else {},
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
