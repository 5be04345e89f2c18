"""Where the time of a call went, as far as this side's clock and the server's word can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rpcshell.client.trace import Exchange

__all__ = ["Timing", "timing_of"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a call, in seconds; their sum is the whole.

    Attributes:
        total: From the request of the user to the reply, or to giving up.
        before: Until a connection was begun to be made or, on one that was there, the request to be sent.
        connect: Making a connection: the lookup of the name, TCP and TLS; 0 on one that was there.
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
    def queue(self) -> float | None:
        """The part of `wait` that the server did not work on it, or None where it has not told."""
        return None if self.service is None else max(0.0, self.wait - self.service)


def timing_of(exchange: Exchange, service: float | None) -> Timing:
    """The times of an exchange that is over.

    Args:
        exchange: What its connection saw.
        service: How long the server says that it worked on it, in seconds, or None.
    """
    ended = exchange.ended
    began_to_act = exchange.dialled or exchange.sending or ended
    # A connection that was made before the first of several attempts was not made for the last one.
    dialled = exchange.dialled > 0
    connect_end = exchange.connected or ended
    send_from = exchange.sending or ended
    sent = exchange.sent or (exchange.first or ended if exchange.sending else ended)
    first = exchange.first or ended
    last = exchange.last or ended
    connect = max(0.0, connect_end - exchange.dialled) if dialled else 0.0
    parts = {
        "connect": connect,
        "send": max(0.0, sent - send_from),
        "wait": max(0.0, first - sent),
        "transfer": max(0.0, last - first),
        "after": max(0.0, ended - last),
    }
    total = ended - exchange.began
    return Timing(
        total=total,
        before=max(0.0, total - sum(parts.values())) if exchange.attempts else max(0.0, began_to_act - exchange.began),
        service=service,
        dialled=dialled,
        connected=bool(exchange.connected) or not dialled,
        sent=exchange.sent > 0,
        answered=exchange.reads > 0,
        attempts=exchange.attempts,
        sent_at=exchange.sent,
        ended_at=ended,
        **parts,
    )
