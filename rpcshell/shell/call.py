"""The one record of a call: what was asked of whom, what came of it, and where its time went.

The session makes it, and whoever shows, counts, keeps or explains a call reads it. Values are as they came, secrets
included: whoever shows or stores them masks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rpcshell.client.errors import (
    CallError,
    CallTimeout,
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    NotConnected,
    ProtocolError,
    ShellError,
    UsageError,
)
from rpcshell.shell.call_trace import CallTrace

if TYPE_CHECKING:
    from rpcshell.shell.why.sighting import Sighting
    from rpcwire import Meta, Reply

__all__ = ["Call", "Failure", "Outcome", "Timing"]

Outcome = Literal["ok", "error", "failed", "cancelled"]
"""Of a call: a result, an error reply, no reply, or interrupted before one."""

Failure = Literal["", "unsendable", "unconnected", "lost", "not_run", "timeout", "protocol"]
"""How a call came to have no reply: it could not be written as JSON, there was no connection, the connection ended (and
the server may have run it, or has not), time was up, or what came was no reply."""

_FAILURES: Final[tuple[tuple[type[ShellError], Failure], ...]] = (
    (UsageError, "unsendable"),
    (ConnectionFailed, "unconnected"),
    (NotConnected, "unconnected"),
    (ConnectionLost, "lost"),
    (CallTimeout, "timeout"),
    (ProtocolError, "protocol"),
)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call and what came of it.

    Attributes:
        line: The line as it was typed; empty where a command made the call.
        target: Where it was sent, as it is written for `:connect`.
        began: When, in seconds since the epoch.
        elapsed: Seconds from request to reply, or to giving up.
        reply: The reply, where it was a good one.
        error: What went wrong, where something did; an error reply too.
        trace: What its connection saw.
        sighting: How its server looked meanwhile, where somebody looked.
        number: Which call of the session it was, from 1; the journal sets it.
        has_params: Whether `params` are kept; not where they are too large.
        has_result: Whether the result in `reply` is kept; not where it is too large.
    """

    method: str
    params: Any = None
    line: str = ""
    target: str = ""
    began: float = 0.0
    elapsed: float = 0.0
    reply: Reply | None = None
    error: ShellError | None = None
    trace: CallTrace = msgspec.field(default_factory=CallTrace)
    sighting: Sighting | None = None
    number: int = 0
    has_params: bool = True
    has_result: bool = True

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        match self.error:
            case None:
                return "ok"
            case CallError():
                return "error"
            case Cancelled():
                return "cancelled"
            case _:
                return "failed"

    @property
    def failure(self) -> Failure:
        """How it came to have no reply."""
        if isinstance(self.error, ConnectionLost) and not self.error.may_have_run:
            return "not_run"
        return next((failure for kind, failure in _FAILURES if isinstance(self.error, kind)), "")

    @property
    def result(self) -> Any:
        """The result, or None where there is none."""
        return None if self.reply is None else self.reply.result

    @property
    def out(self) -> str:
        """The out name of the reply, or nothing."""
        return "" if self.reply is None else self.reply.out

    @property
    def code(self) -> int | None:
        """The number of an error reply."""
        return self.error.code if isinstance(self.error, CallError) else None

    @property
    def meta(self) -> Meta | None:
        """Who answered, where that was asked for and told."""
        if isinstance(self.error, CallError):
            return self.error.meta
        return None if self.reply is None else self.reply.meta

    @property
    def timing(self) -> Timing:
        """Where the time went; of a call that is over."""
        return Timing.of(self.trace, None if self.meta is None else self.meta.service_us / 1e6)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a call, in seconds, as far as this side's clock and the server's word tell; their sum is the whole.

    Attributes:
        before: Until a connection was begun to be made or, on one that was there, the request to be sent.
        connect: The lookup of the name, TCP and TLS; 0 on a connection that was there.
        send: Writing the request.
        wait: From there to the first byte of the reply, or to giving up.
        service: The part of `wait` that the server says it worked on it, or None where it has not told.
        transfer: From the first byte of the reply to its last.
        after: What is left: reading the reply.
        dialled: Whether a connection was made for it.
        connected: Whether there was one.
        sent: Whether the whole request was written.
        answered: Whether anything came back.
        attempts: How many times it was, at least in part, sent.
        sent_at: When it was written whole, on `time.monotonic`'s clock, or 0.
        ended_at: When it was over, on the same clock.
    """

    total: float = 0.0
    before: float = 0.0
    connect: float = 0.0
    send: float = 0.0
    wait: float = 0.0
    service: float | None = None
    transfer: float = 0.0
    after: float = 0.0
    dialled: bool = False
    connected: bool = True
    sent: bool = True
    answered: bool = True
    attempts: int = 1
    sent_at: float = 0.0
    ended_at: float = 0.0

    @property
    def began_at(self) -> float:
        """When it was asked for, on `time.monotonic`'s clock."""
        return self.ended_at - self.total

    @property
    def queue(self) -> float | None:
        """The part of `wait` that the server did not work on it, or None where it has not told."""
        return None if self.service is None else max(0.0, self.wait - self.service)

    @classmethod
    def of(cls, trace: CallTrace, service: float | None) -> Timing:
        """The times of a call that is over; `service` in seconds, as the server told."""
        ended = trace.ended
        began_to_act = trace.dialled or trace.sending or ended
        # A connection that was made before the first of several attempts was not made for the last one.
        dialled = trace.dialled > 0
        connect_end = trace.connected or ended
        send_from = trace.sending or ended
        sent = trace.sent or (trace.first or ended if trace.sending else ended)
        first = trace.first or ended
        last = trace.last or ended
        parts = {
            "connect": max(0.0, connect_end - trace.dialled) if dialled else 0.0,
            "send": max(0.0, sent - send_from),
            "wait": max(0.0, first - sent),
            "transfer": max(0.0, last - first),
            "after": max(0.0, ended - last),
        }
        total = ended - trace.began
        return cls(
            total=total,
            before=max(0.0, total - sum(parts.values())) if trace.attempts else max(0.0, began_to_act - trace.began),
            service=service,
            dialled=dialled,
            connected=bool(trace.connected) or not dialled,
            sent=trace.sent > 0,
            answered=trace.reads > 0,
            attempts=trace.attempts,
            sent_at=trace.sent,
            ended_at=ended,
            **parts,
        )
