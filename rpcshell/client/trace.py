"""One call as its connection saw it: when it was made, sent and answered, and the bytes both ways.

An `Exchange` is handed to the client with a call; the client and its connection write into it what happens, which costs
less than a microsecond. What the times and bytes mean is told elsewhere.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcwire import Meta

__all__ = ["KEPT", "PATIENCE", "Ends", "Exchange"]

KEPT: Final = 64 * 1024
"""Bytes that are kept of a request, and of what came back."""

PATIENCE: Final = 0.5
"""Seconds of silence after which a call counts as one that hangs; then twice as many, and so on."""

Ends = tuple[Any, Any]
"""The addresses of a connection's two ends, this side's first, as getsockname(2) tells them."""


class Exchange:
    """What happened to one call so far. Times are seconds of `time.monotonic`, 0 for what did not happen.

    Args:
        on_silence: Called with this, from the thread that makes the call, whenever it has been silent for long.

    Attributes:
        began: When it was asked for.
        dialled: When a connection was begun to be made for it.
        connected: When that was done.
        sending: When the request was begun to be sent.
        sent: When it was written whole.
        first: When the first bytes came back.
        last: When the last ones did.
        ended: When there was a reply, or no hope of one.
        attempts: How many times it was, at least in part, sent.
        request: The bytes of the request, up to KEPT once it is over.
        request_size: How many there are.
        received: The bytes that came back, as they were read, up to about KEPT.
        received_size: How many came.
        reads: In how many reads they came.
        ends: The addresses of the connection, where they were looked at: of a call that hung, or failed.
        served_by: Who answered the last call on the connection, where that is known.
        patience: Seconds of silence after which `on_silence` is called next.
    """

    # Defaults of the class rather than slots that are filled for every call: it is made for each one.
    dialled = connected = sending = sent = first = last = ended = 0.0
    attempts = request_size = received_size = reads = 0
    request = b""
    ends: Ends | None = None
    served_by: Meta | None = None
    patience = PATIENCE

    def __init__(self, on_silence: Callable[[Any], None] | None = None) -> None:
        self.on_silence = on_silence
        self.received: list[bytes] = []
        self.began = monotonic()

    def dialling(self) -> None:
        """A connection is about to be made."""
        self.dialled = monotonic()
        self.connected = 0.0

    def sends(self, request: bytes, served_by: Meta | None) -> None:
        """The request is about to be sent, for the first time or again.

        Args:
            request: Its bytes, prefix included.
            served_by: Who answered the last call on this connection.
        """
        if self.attempts:
            self.sent = self.first = self.last = 0.0
            self.received_size = self.reads = 0
            self.received = []
        self.attempts += 1
        self.request = request
        self.served_by = served_by
        self.sending = monotonic()

    def takes(self, data: bytes) -> None:
        """Bytes have come.

        Args:
            data: What one read brought.
        """
        self.last = now = monotonic()
        if not self.reads:
            self.first = now
        if self.received_size < KEPT:
            self.received.append(data)
        self.reads += 1
        self.received_size += len(data)

    def silent(self, ends: Ends | None) -> None:
        """Nothing has come for as long as `patience`.

        Args:
            ends: The addresses of the connection.
        """
        self.ends = ends
        self.patience *= 2
        if self.on_silence is not None:
            self.on_silence(self)

    def end(self) -> None:
        """The call is over: keep what may be asked for, and let go of the rest."""
        self.ended = self.ended or monotonic()
        self.request_size = len(self.request)
        if self.request_size > KEPT:
            self.request = self.request[:KEPT]
        if self.received_size > KEPT:
            self.received = [b"".join(self.received)[:KEPT]]

    def forget_bytes(self) -> None:
        """Keep the times alone."""
        self.request = b""
        self.received = []
