"""What a client sees of a call as it happens: when it was made, sent and answered, the bytes both ways, and who failed.

Writing it costs less than a microsecond a call.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.target import Target
    from rpcwire import Meta

Ends = tuple[Any, Any]
"""The addresses of a connection's two ends, this side's first, as getsockname(2) tells them."""

KEPT: Final = 64 * 1024
"""Bytes that are kept of a request, and of what came back."""


class FailedAttempt(msgspec.Struct, frozen=True):
    """An attempt at a call over a fleet that brought no reply."""

    instance: Target
    reason: str
    may_have_run: bool


class PendingQuestion(Protocol):
    """What waits for an answer, on a connection on which nothing else is said.

    Attributes:
        left: Whether it was told that no more is asked.
        over: Whether it was seen to end while it was looked at for news.
    """

    left: bool
    over: bool

    def fileno(self) -> int:
        """The descriptor to wait on."""

    def ends(self) -> Ends | None:
        """The addresses of both ends, or None where there is no other any more."""

    def leave(self) -> None:
        """Say that no more is asked; the answer that is due is still waited for."""

    def has_news(self) -> bool:
        """Whether there is something for whoever waits, which is taken in, or an end that nobody here has caused."""


class CallTrace:
    """What its connection saw of one call so far. Times are of `time.monotonic`, 0 for what did not happen.

    The client says what happens in the order of the methods here, from the thread that makes the call; all may come
    again. That thread calls `on_silence` whenever nothing has come for as long as `patience`, if that is not up to the
    call's deadline, and gives `on_partial` each reply before the last one; there is none once the call is over.

    Attributes:
        attempts: How many times it was, at least in part, sent.
        request: The bytes of the request, up to KEPT once it is over.
        received: The bytes that came back, as they were read, up to about KEPT.
        ends: The addresses of the connection, where they were looked at: of a call that hung, or failed.
        served_by: Who answered the last call on the connection, where that is known.
        instance: Where the last attempt went, over a fleet.
        went: When that attempt began.
        told: Whether a person is told by somebody else what it waits for.
        hung: Whether it was silent for as long as `patience`.
    """

    # Defaults of the class rather than slots that are filled for every call: it is made for each one.
    dialled = connected = sending = sent = first = last = ended = went = 0.0
    attempts = request_size = received_size = reads = 0
    request = b""
    told = hung = False
    ends: Ends | None = None
    served_by: Meta | None = None
    instance: Target | None = None
    failed_attempts: tuple[FailedAttempt, ...] = ()
    patience = 0.5
    """Seconds of silence after which a call counts as one that hangs; then twice as many, and so on."""
    _once_silent: Callable[[PendingQuestion | None], object] | None = None

    def __init__(
        self, on_silence: Callable[[Any], None] | None = None, on_partial: Callable[[Any], None] | None = None
    ) -> None:
        self._on_silence = on_silence
        self.on_partial = on_partial
        self.received: list[bytes] = []
        self.began = monotonic()

    def attempt_begun(self, instance: Target) -> None:
        """It goes to an instance of a fleet; of a single server this is not told."""
        self.instance = instance
        self.went = monotonic()

    def attempt_failed(self, reason: str, *, may_have_run: bool) -> None:
        """It brought no reply there, and may go on to another instance."""
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
        """These bytes are about to be sent; the last call on the connection was answered by `served_by`."""
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

    def silent(self, ends: Ends | None, connection: PendingQuestion | None) -> None:
        """Nothing has come for as long as `patience`, on this connection where nothing comes unasked on it."""
        self.ends = ends
        self.patience *= 2
        self.hung = True
        if self._on_silence is not None:
            self._on_silence(self)
        once, self._once_silent = self._once_silent, None
        if once is not None:
            once(connection)

    def once_silent(self, look: Callable[[PendingQuestion | None], object]) -> None:
        """Have a function called too when the call has been silent for long, that one time, with its connection."""
        self._once_silent = look

    def failed(self, ends: Ends | None) -> None:
        """There will be no reply on this connection, which is still open: its ends lead to the server's."""
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
