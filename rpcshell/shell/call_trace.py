"""What the connection of a call saw: when it was made, sent and answered, and the bytes both ways.

Writing it costs less than a microsecond a call. What the times and bytes mean is told by `rpcshell.shell.call`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.trace import Ends
    from rpcwire import Meta

__all__ = ["KEPT", "PATIENCE", "CallTrace"]

KEPT: Final = 64 * 1024
"""Bytes that are kept of a request, and of what came back."""

PATIENCE: Final = 0.5
"""Seconds of silence after which a call counts as one that hangs; then twice as many, and so on."""


class CallTrace:
    """What its connection saw of one call so far: a `Trace`. Times are of `time.monotonic`, 0 for what did not happen.

    Args:
        on_silence: Called with this, from the thread that makes the call, whenever it has been silent for long.

    Attributes:
        attempts: How many times it was, at least in part, sent.
        request: The bytes of the request, up to KEPT once it is over.
        received: The bytes that came back, as they were read, up to about KEPT.
        ends: The addresses of the connection, where they were looked at: of a call that hung, or failed.
        served_by: Who answered the last call on the connection, where that is known.
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
        if self.on_silence is not None:
            self.on_silence(self)

    def failed(self, ends: Ends | None) -> None:
        """Keep the addresses: whoever wants to know what became of the call finds the server's end by them."""
        self.ends = ends

    def call_ended(self) -> None:
        """There was a reply, or no hope of one."""
        self.ended = monotonic()

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
