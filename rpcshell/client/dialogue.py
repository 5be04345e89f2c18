"""Calls, events and the server's requests over one connection of a listening dialect, sans-IO.

It is to such a dialect what `rpcshell.client.exchange` is to the native one: whatever moves the bytes, this says what
they mean and whose they are. When to send again is decided by `rpcshell.client.fleet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.diagnosis import SHOWN, not_a_reply, other_protocol, seen, silence_hint, system_reason, unfinished
from rpcshell.client.dialects import Event, Message, Partial, ServerRequest, Stray, Tell
from rpcshell.client.dialects.messages import not_json
from rpcshell.client.errors import ProtocolError, ShellError, UsageError
from rpcshell.client.exchange import Dropped
from rpcshell.client.target import ChildTarget, Target
from rpcwire import ERROR_OUT, EncodeError, FrameTooLarge, Goodbye, InvalidReply, RemoteError, Reply, TruncatedFrame

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect

Delivery = Reply | Partial | Exception
"""What comes of a call: parts, and in the end a reply or what happened instead."""

Deliver = Callable[[Delivery], None]

Heard = Event | ServerRequest | Stray
"""What comes besides."""

MOST_UNSENT: Final = 1024 * 1024
"""Bytes that may wait to be sent before nothing more is read: who asks and does not listen to answers has to wait."""


class _Call(msgspec.Struct):
    deliver: Deliver | None
    end: int
    """Up to which byte of all that this connection sends the request goes."""


class Dialogue:
    """One connection's calls.

    A driver sends what is in `unsent` and says how much of it with `sent`, or clears it where nothing can be sent any
    more; it gives what it reads to `receive`, the end of the stream to `ended`, and hands out what `arrived`, in that
    order: events, requests and strays to `hear`.

    Attributes:
        failure: What ended the connection for calls, or None.
        broken_off: Whether a call was given up inside a message, of which nothing more has come since.
    """

    def __init__(self, target: Target, dialect: FramedDialect, hear: Callable[[Heard], None]) -> None:
        self.target = target
        self.dialect = dialect
        if isinstance(target, ChildTarget):
            dialect.expect_printed()
        self.unsent = bytearray()
        self._hear = hear
        self._arrived: list[tuple[Callable[[Any], None], Delivery | Heard]] = []
        self.failure: Exception | None = None
        self._calls: dict[int, _Call] = {}
        self._number = 0
        self._sent = 0
        self._first = b""
        self._understood = False
        self.broken_off = False

    @property
    def idle(self) -> bool:
        """Whether no call waits and all is sent."""
        return not self.unsent and all(call.deliver is None for call in self._calls.values())

    @property
    def unfinished(self) -> str:
        """What has come of a message that is not whole yet, in words; "" where nothing has."""
        return unfinished(self.dialect)

    @property
    def puzzling(self) -> bytes:
        """What the server said first, where nothing that it said was understood."""
        return b"" if self._understood else self._first

    def call(self, method: str, params: object, deliver: Deliver, *, meta: bool, plain: bool) -> tuple[int, bytes]:
        """Add a call to what is to be sent, and return its number and its bytes.

        Whatever comes of it is given to `deliver`, the last of it a reply or an error.

        Raises:
            UsageError: The params cannot be sent.
            Dropped: The connection has ended.
            ShellError: It has ended with this error, such as a ProtocolError.
        """
        if self.failure is not None:
            raise self.failure if isinstance(self.failure, ShellError) else Dropped(str(self.failure), not_run=True)
        number = self._number + 1
        try:
            data = self.dialect.encode_call(method, params, meta=meta, plain=plain, number=number)
        except (EncodeError, FrameTooLarge) as error:
            raise UsageError(f"the params of {method} cannot be sent: {error}") from None
        self._number = number
        self.tell(data)
        self._calls[number] = _Call(deliver, self._sent + len(self.unsent))
        if not self.unsent:
            # There is nothing to send for it, so that nothing will be sent.
            self._take_all()
        return number, data

    def abandon(self, number: int) -> bool:
        """Wait no longer for what comes of a call, and ask the server to end it; whether there is a way to ask."""
        call = self._calls.get(number)
        if call is None or self.failure is not None:
            return False
        call.deliver = None
        self.broken_off = self.dialect.mid_frame
        if not self.dialect.in_order:
            # Its reply is known by its number; where it is known by its turn, the turn has to be kept.
            del self._calls[number]
        if (data := self.dialect.cancel(number)) is None:
            self.end(Dropped("a call on it was given up", not_run=False))
        else:
            self.tell(data)
        return bool(data)

    def tell(self, data: bytes) -> None:
        """Add to what is to be sent."""
        self.unsent += data

    def sent(self, count: int) -> None:
        """So many more bytes have been sent."""
        del self.unsent[:count]
        self._sent += count
        if not self.unsent:
            # A call that the server never answers is answered by the dialect, once it is on its way.
            self._take_all()

    def receive(self, data: bytes) -> None:
        """Take what a read brought."""
        if self.failure is not None:
            return
        self.broken_off = False
        if len(self._first) < SHOWN:
            self._first += data[:SHOWN]
        self.dialect.receive(data)
        self._take_all()

    @property
    def has_arrived(self) -> bool:
        """Whether something has come for somebody."""
        return bool(self._arrived)

    def arrived(self) -> list[tuple[Callable[[Any], None], Delivery | Heard]]:
        """Take what has come, and whom each of it is to be given to."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def ended(self, error: OSError | None = None, why: Exception | None = None) -> None:
        """The stream has ended, or is broken by an error of the system; `why` where more is known than that."""
        if self.failure is not None:
            return
        hint = None if self._first else silence_hint(self.target)
        if why is not None or error is not None:
            self.end(why or Dropped(system_reason(error or OSError()), not_run=False, hint=hint))
            return
        reason = "the server closed it without a reply"
        try:
            self.dialect.receive_eof()
        except TruncatedFrame as cut:
            reason, hint = f"inside the reply, {cut}", f"it begins with {seen(self.dialect.beginning(SHOWN))}"
        other = other_protocol(self.target, self.puzzling)
        self.end(other or Dropped(reason, not_run=False, hint=hint))

    def end(self, failure: Exception) -> None:
        """Let no further call in, and tell all that wait how it ended; what was not sent whole did not run."""
        self.failure = failure
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if call.deliver is None:
                continue
            if isinstance(failure, Dropped):
                not_run = failure.not_run or call.end > self._sent
                dropped = Dropped(failure.reason, not_run=not_run, hint=failure.hint)
                self._arrived.append((call.deliver, dropped))
            else:
                self._arrived.append((call.deliver, failure))

    def _take_all(self) -> None:
        while self.failure is None:
            try:
                message = self.dialect.next_event()
            except RemoteError as error:
                self.end(not_a_reply(self.target, error, self._first))
                return
            if message is None:
                return
            self._take(message)

    def _take(self, message: Message) -> None:
        self._understood = self._understood or not isinstance(message, Stray)
        match message:
            case Stray() if message.meant or not isinstance(self.target, ChildTarget):
                # Nothing but messages is to be expected.
                self._take_broken(message)
            case Reply(id=int() as number):
                self._deliver(number, message)
            case Reply():
                self._deliver(next(iter(self._calls), 0), message)
            case Partial():
                self._deliver(next(iter(self._calls), 0) if message.number is None else message.number, message)
            case Tell():
                self.tell(message.data)
            case Goodbye():
                self.end(Dropped("the server is closing it", not_run=True))
            case _:
                self._arrived.append((self._hear, message))

    def _take_broken(self, stray: Stray) -> None:
        """End the call that something may be the reply to which cannot be read."""
        if not self._understood:
            self.end(not_a_reply(self.target, InvalidReply(stray.problem), self._first))
        elif self._calls and (self.dialect.in_order or (stray.meant and len(self._calls) > 1)):
            # Who knows whose it was: the next reply might be given to the wrong call.
            broken = f"{self.target} has sent a reply that cannot be read: {stray.problem}"
            self.end(ProtocolError(broken, hint=f"it begins with {seen(stray.text.encode())}"))
        elif len(self._calls) == 1:
            (number,) = self._calls
            if (deliver := self._calls[number].deliver) is not None:
                self._arrived.append((deliver, Reply(ERROR_OUT, not_json(stray.text, stray.problem), id=number)))
            self.abandon(number)
        else:
            self._arrived.append((self._hear, stray))

    def _deliver(self, number: int, message: Reply | Partial) -> None:
        # Of a call that nobody knows any more, or never made, nobody wants to hear.
        call = self._calls.get(number)
        if call is None:
            return
        if isinstance(message, Reply):
            del self._calls[number]
        if call.deliver is not None:
            self._arrived.append((call.deliver, message))
        if self.dialect.one_call and isinstance(message, Reply):
            self.end(Dropped("it was for one call", not_run=True))
