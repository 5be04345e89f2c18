"""Requests and their replies over one connection, sans-IO: what both clients do alike, whatever moves the bytes.

When to dial and whether to send again is decided in `retry`, and in `fleet`, by what is raised here; what the bytes
mean is the dialect's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.diagnosis import SHOWN, not_a_reply, other_protocol, silence_hint, system_reason, unfinished
from rpcshell.client.errors import ProtocolError, UsageError
from rpcwire import EncodeError, FrameTooLarge, Goodbye, Meta, RemoteError, Reply, TruncatedFrame

if TYPE_CHECKING:
    from rpcshell.client.dialects.native import Native
    from rpcshell.client.target import Target
    from rpcshell.client.trace import CallTrace

CLOSED_HERE: Final = "it was closed here"
"""Why a connection has ended that this side has closed."""


class Dropped(Exception):
    """The connection ended before the reply; `not_run` where the server provably did not execute the request."""

    def __init__(self, reason: str, *, not_run: bool, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint
        self.reason = reason
        self.not_run = not_run


class Requester:
    """The requesting side of one connection.

    A driver sends what `request` returns and says so with `sent`; it gives what it reads to `receive` and takes replies
    with `next_reply` until there is none; the end of the stream it has explained by `ended`::

        send(requester.request("ping", None, meta=False, plain=False))
        requester.sent()
        while (reply := requester.next_reply()) is None:
            requester.receive(read())

    Whoever keeps several calls under way calls `request` several times and sends the bytes together; each read may then
    bring several replies, which come in the order of the requests.

    A server that refuses a large request says so while it is being sent. A driver that hears of anything before it has
    sent everything stops sending, does not call `sent`, and goes on to receive: whatever is dropped then has not run.
    """

    __slots__ = ("_dialect", "_first", "_over", "_served_by", "_silent", "_trace", "target", "unsent")

    def __init__(self, target: Target, dialect: Native) -> None:
        self.target = target
        self.unsent = False
        """Whether a part of a request has not been sent."""
        self._dialect = dialect
        self._first = b""
        self._silent = True
        self._over = False
        self._trace: CallTrace | None = None
        self._served_by: Meta | None = None

    @property
    def reusable(self) -> bool:
        """Whether a further request can be sent: all are sent and answered, nothing is left over, and nobody leaves."""
        return not (self.unsent or self._over) and self._dialect.idle

    @property
    def mid_frame(self) -> bool:
        """Whether a reply has begun to arrive and is not whole yet."""
        return self._dialect.mid_frame

    @property
    def unfinished(self) -> str:
        """What has come of a reply that is not whole yet, in words; "" where nothing has."""
        return unfinished(self._dialect)

    def request(self, method: str, params: object, *, meta: bool, plain: bool, trace: CallTrace | None = None) -> bytes:
        """The bytes of a request, whose reply is due from now on.

        Raises:
            UsageError: The params cannot be sent.
        """
        try:
            data = self._dialect.encode_call(method, params, meta=meta, plain=plain)
        except (EncodeError, FrameTooLarge) as error:
            raise UsageError(f"the params of {method} cannot be sent: {error}") from None
        self._first = b""
        self.unsent = True
        self._trace = trace
        if trace is not None:
            trace.request_started(data, self._served_by)
        return data

    def sent(self) -> None:
        """All that was requested has been sent."""
        self.unsent = False
        if self._trace is not None:
            self._trace.request_sent()

    def receive(self, data: bytes) -> None:
        """Add what a read brought."""
        self._silent = False
        if self._trace is not None:
            self._trace.data_received(data)
        if len(self._first) < SHOWN:
            self._first += data[:SHOWN]
        self._dialect.receive(data)

    def next_reply(self) -> Reply | None:
        """Take the next reply, or None when more bytes are needed.

        Raises:
            Dropped: The server leaves; what it has not answered by now it has not run.
            ProtocolError: What came is no reply.
        """
        try:
            event = self._dialect.next_event()
        except RemoteError as error:
            self._over = True
            raise not_a_reply(self.target, error, self._first) from None
        if isinstance(event, Goodbye):
            raise Dropped("the server is closing it", not_run=True)
        if event is not None and event.meta is not None:
            self._served_by = event.meta
        return event

    def ended(self, error: OSError | None = None) -> Dropped | ProtocolError:
        """What the end of the stream, or what broke it, means to whoever waits for a reply."""
        self._over = True
        if error is not None:
            return self._dropped(system_reason(error))
        try:
            self._dialect.receive_eof()
        except TruncatedFrame as cut:
            return other_protocol(self.target, self._first) or self._dropped(f"inside the reply, {cut}")
        return self._dropped("the server closed it without a reply")

    def _dropped(self, reason: str) -> Dropped:
        return Dropped(reason, not_run=self.unsent, hint=silence_hint(self.target) if self._silent else None)
