"""What the connection of a call saw: when it was made, sent and answered, the bytes both ways, and where the time went.

Writing it costs less than a microsecond a call.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.target import Target
    from rpcshell.client.trace import Ends
    from rpcwire import Meta

KEPT: Final = 64 * 1024
"""Bytes that are kept of a request, and of what came back."""

PATIENCE: Final = 0.5
"""Seconds of silence after which a call counts as one that hangs; then twice as many, and so on."""


class FailedAttempt(msgspec.Struct, frozen=True):
    """An attempt at a call over a fleet that brought no reply."""

    instance: Target
    reason: str
    may_have_run: bool


class CallTrace:
    """What its connection saw of one call so far: a `Trace`. Times are of `time.monotonic`, 0 for what did not happen.

    The thread that makes the call calls `on_silence` whenever that has been silent for long, and gives `on_partial`
    each reply before the last one; there is none once the call is over.

    Attributes:
        attempts: How many times it was, at least in part, sent.
        request: The bytes of the request, up to KEPT once it is over.
        received: The bytes that came back, as they were read, up to about KEPT.
        ends: The addresses of the connection, where they were looked at: of a call that hung, or failed.
        served_by: Who answered the last call on the connection, where that is known.
        instance: Where the last attempt went, over a fleet.
        went: When that attempt began.
        told: Whether a person is told by somebody else what it waits for.
    """

    # Defaults of the class rather than slots that are filled for every call: it is made for each one.
    dialled = connected = sending = sent = first = last = ended = went = 0.0
    attempts = request_size = received_size = reads = 0
    request = b""
    told = False
    ends: Ends | None = None
    served_by: Meta | None = None
    instance: Target | None = None
    failed_attempts: tuple[FailedAttempt, ...] = ()
    patience = PATIENCE
    _once_silent: Callable[[], object] | None = None

    def __init__(
        self, on_silence: Callable[[Any], None] | None = None, on_partial: Callable[[Any], None] | None = None
    ) -> None:
        self._on_silence = on_silence
        self.on_partial = on_partial
        self.received: list[bytes] = []
        self.began = monotonic()

    def attempt_begun(self, instance: Target) -> None:
        """It goes to an instance of a fleet."""
        self.instance = instance
        self.went = monotonic()

    def attempt_failed(self, reason: str, *, may_have_run: bool) -> None:
        """It brought no reply there."""
        if self.instance is not None:
            self.failed_attempts += (FailedAttempt(self.instance, reason, may_have_run),)

    def connecting(self) -> None:
        """A connection is about to be made."""
        self.dialled = monotonic()
        self.connected = 0.0

    def connection_made(self) -> None:
        """It was."""
        self.connected = monotonic()

    def request_started(self, request: bytes, served_by: Meta | None) -> None:
        """The request is about to be sent, for the first time or again."""
        if self.attempts:
            self.sent = self.first = self.last = 0.0
            self.received_size = self.reads = 0
            self.received = []
        self.attempts += 1
        self.request = request
        self.served_by = served_by
        self.sending = monotonic()

    def request_sent(self) -> None:
        """It was written whole."""
        self.sent = monotonic()

    def data_received(self, data: bytes) -> None:
        """One read brought this."""
        self.last = now = monotonic()
        if not self.reads:
            self.first = now
        if self.received_size < KEPT:
            self.received.append(data)
        self.reads += 1
        self.received_size += len(data)

    def silent(self, ends: Ends | None) -> None:
        """Nothing has come for as long as `patience`."""
        self.ends = ends
        self.patience *= 2
        if self._on_silence is not None:
            self._on_silence(self)
        once, self._once_silent = self._once_silent, None
        if once is not None:
            once()

    def once_silent(self, look: Callable[[], object]) -> None:
        """Have a function called too when the call has been silent for long, that one time."""
        self._once_silent = look

    def failed(self, ends: Ends | None) -> None:
        """Keep the addresses, by which the server's end is found."""
        self.ends = ends

    def call_ended(self) -> None:
        """There was a reply, or no hope of one."""
        self.ended = monotonic()

    def end(self) -> None:
        """The call is over: keep what may be asked for, and let go of the rest."""
        self.ended = self.ended or monotonic()
        self.on_partial = None
        self.request_size = len(self.request)
        if self.request_size > KEPT:
            self.request = self.request[:KEPT]
        if self.received_size > KEPT:
            self.received = [b"".join(self.received)[:KEPT]]

    def forget_bytes(self) -> None:
        """Keep the times alone."""
        self.request = b""
        self.received = []


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a call, in seconds, as far as this side's clock and the server's word tell; their sum is `total`."""

    total: float = 0.0
    before: float = 0.0
    """Until a connection was begun to be made or, on one that was there, the request to be sent."""
    connect: float = 0.0
    """The lookup of the name, TCP and TLS; 0 on a connection that was there."""
    send: float = 0.0
    """Writing the request."""
    wait: float = 0.0
    """From there to the first byte of the reply, or to giving up."""
    service: float | None = None
    """The part of `wait` that the server says it worked on it, or None where it has not told."""
    transfer: float = 0.0
    """From the first byte of the reply to its last."""
    after: float = 0.0
    """What is left: reading the reply."""
    dialled: bool = False
    """Whether a connection was made for it."""
    connected: bool = True
    sent: bool = True
    answered: bool = True
    attempts: int = 1
    sent_at: float = 0.0
    """When the request was written whole, on `time.monotonic`'s clock, or 0."""
    ended_at: float = 0.0
    """On the same clock."""

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
