"""The one record of a call: what was asked of whom, what came of it, and where its time went.

The session makes it, and whoever shows, counts, keeps or explains a call reads it. Values are as they came, secrets
included: whoever shows or stores them masks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rpcshell.client.dialects import TextReply
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
from rpcshell.client.trace import CallTrace
from rpcshell.shell.timing import Timing

if TYPE_CHECKING:
    from rpcshell.shell.why.sighting import Sighting
    from rpcwire import Meta, Reply

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
    """One call and what came of it."""

    method: str
    params: Any = None
    line: str = ""
    """As it was typed; empty where a command made the call."""
    target: str = ""
    """As it is written for `:connect`."""
    began: float = 0.0
    """Seconds since the epoch."""
    elapsed: float = 0.0
    """Seconds from request to reply, or to giving up."""
    reply: Reply | None = None
    """Where it was a good one."""
    error: ShellError | None = None
    """An error reply too."""
    trace: CallTrace = msgspec.field(default_factory=CallTrace)
    names: tuple[str, ...] = ()
    """Those of the method's params by position, as far as they were known at the time."""
    sighting: Sighting | None = None
    """How its server looked meanwhile, where somebody looked."""
    number: int = 0
    """Which call of the session it was, from 1; the journal sets it."""
    has_params: bool = True
    """Whether they are kept; not where they are too large or too deep."""
    has_result: bool = True
    """Whether it is kept; not where it is too large or too deep."""

    @property
    def named_params(self) -> Any:
        """The params by name where that is known, to tell which are secrets."""
        from rpcshell.line.secrets import named_params

        return named_params(self.params, self.names)

    @property
    def masked_line(self) -> str:
        """The line without its secrets."""
        from rpcshell.line.masking import Known, mask_line

        return mask_line(self.line, Known(lambda method: self.names if method == self.method else ()))

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
    def is_text(self) -> bool:
        """Whether the result is a text to be read."""
        return isinstance(self.reply, TextReply) and isinstance(self.reply.result, str)

    @property
    def out(self) -> str:
        """The out name of the reply, or nothing."""
        return "" if self.reply is None else self.reply.out

    @property
    def code(self) -> int | None:
        """The number of an error reply."""
        return self.error.code if isinstance(self.error, CallError) else None

    @property
    def instance(self) -> str:
        """Which instance of a fleet it went to last, as its address is written; empty where there is only one."""
        return "" if self.trace.instance is None else str(self.trace.instance)

    @property
    def elapsed_there(self) -> float:
        """The part of `elapsed` since it went to who answered: over a fleet others may have been tried before."""
        trace = self.trace
        return min(self.elapsed, max(trace.ended - trace.went, 0.0)) if trace.failed_attempts else self.elapsed

    @property
    def meta(self) -> Meta | None:
        """Who answered, where that was asked for and told."""
        if isinstance(self.error, CallError):
            return self.error.meta
        return None if self.reply is None else self.reply.meta

    @property
    def service(self) -> float | None:
        """Seconds that the server says it worked on it; None where it has not told, or more than have gone by."""
        told = None if self.meta is None else self.meta.service_us / 1e6
        return told if told is not None and told <= self.elapsed else None

    @property
    def timing(self) -> Timing:
        """Where the time went; of a call that is over."""
        return Timing.of(self.trace, self.service)
