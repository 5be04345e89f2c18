"""Where the time of a call went, by what its connection saw and what the server has told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rpcshell.client.trace import CallTrace


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
