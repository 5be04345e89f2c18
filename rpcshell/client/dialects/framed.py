"""What listening dialects share: one JSON message a frame of `rpcwire.framings`, and defaults for the rest."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import msgspec

from rpcshell.client.dialects.lenient import nearly_json
from rpcshell.client.dialects.messages import Message, ServerRequest, Stray, not_json
from rpcshell.client.dialects.steps import OTHER_FORM, Description, Steps, Tell
from rpcshell.client.errors import UsageError
from rpcwire import (
    ERROR_OUT,
    ErrorCode,
    Fault,
    InvalidReply,
    ParseError,
    RemoteError,
    Reply,
    decode_value,
    encode_value,
)
from rpcwire.framings import FRAMINGS, InterruptedDecoder

if TYPE_CHECKING:
    from rpcshell.client.dialects.recognition import Guess, Recognition
    from rpcwire import Floats

_WITHOUT_HEADERS: Final = ("line", "nul", "stream")
"""Framings in which whatever a child prints to its standard output may look like a frame."""


class FramedDialect:
    """A dialect whose server may speak at any time, and whose calls may be several at once.

    `encode_call` and `read` have to be written, everything else may be.

    Args:
        max_reply: The largest message accepted, in bytes.
        floats: What numbers with a fraction or an exponent become.
        framing: One of `framings`; the first if not given.

    Attributes:
        may_print: Whether the server is a child, which may print between its messages.
    """

    listens: ClassVar[Literal[True]] = True

    in_order: bool = False
    """Whether replies come in the order of their calls, and carry no number."""

    absent_params: ClassVar[bool] = False
    """Whether every method takes no params for none by name, so that nobody has to know how it takes them."""

    serves_one: ClassVar[bool] = False
    """Whether a server serves one client at a time, while others are connected or wait to be, and hear nothing."""

    one_call: bool = False
    """Whether a connection is for one call, and the next one needs another."""

    pipelined: bool = True
    """Whether a call may be sent before the one before it is answered."""

    options_type: ClassVar[type[msgspec.Struct] | None] = None
    """What users may set for a server, in `options`; nothing where it is None."""

    framings: ClassVar[tuple[str, ...]] = ("stream",)
    """The framings that a target may ask for, as `NAME+FRAMING:`, the usual one first.

    Over HTTP it is always "stream": bodies stand for themselves.
    """

    over_http: ClassVar[bool] = False
    """Whether it is spoken over HTTP as well, each message as the body of a POST."""

    replies_apart: ClassVar[bool] = False
    """Over HTTP: whether a server that takes no POST may open a stream of events, which names where to post to."""

    guesses: ClassVar[tuple[Guess, ...]] = ()
    """What is said to a server that nobody has named, each on a connection of its own, to find out if it is such a one;
    nothing where it shows that by itself, or by what it makes of the guesses of other dialects."""

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        self._floats: Floats = floats
        self.framing = framing or self.framings[0]
        self._frame = FRAMINGS[self.framing].frame
        self._decoder = FRAMINGS[self.framing].decoder(max_reply)
        self._said: deque[Message] = deque()
        self.may_print = False
        self.options: Any = None if self.options_type is None else self.options_type()

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take what is set for the server, before anything is said to it.

        Raises:
            UsageError: There is no such option, or it cannot be that.
        """
        if self.options_type is None:
            raise UsageError("this dialect has no options")
        try:
            self.options = msgspec.convert(options, self.options_type)
        except msgspec.ValidationError as error:
            raise UsageError(f"the options of the target make no sense: {error}") from None

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """What the first bytes of a server tell, as `Recogniser` has it; by default nothing."""
        return None

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """The bytes of a call, which is outstanding from now on; usually by `encode`.

        Args:
            method: The method's name.
            params: Its params; None where there are none.
            meta: Whether to ask who serves it, where there is a way to.
            plain: Whether the server knows nothing but the core of the dialect.
            number: Counts the calls of the connection from 1, for replies to be told apart by.

        Raises:
            EncodeError: The params cannot be sent.
            FrameTooLarge: They are more than a frame can hold.
        """
        raise NotImplementedError

    def read(self, message: Any) -> Iterable[Message]:
        """What a message of the server, decoded, says; nothing where it is of no use.

        Raises:
            InvalidReply: It breaks the rules of the dialect. A LookupError, TypeError, ValueError or AttributeError,
                as comes of a message in another form, means the same.
        """
        raise NotImplementedError

    def unreadable(self, body: bytes | bytearray, error: ParseError) -> Iterable[Message]:
        """What a message that is no JSON says.

        Where Python's own JSON reads it, which has NaN, Infinity and half characters, and it is the reply to a call,
        that call ends with an error that shows it. All else is a stray.
        """
        text, unknown = body.decode("utf-8", "replace"), list[str]()
        with contextlib.suppress(RemoteError, RecursionError, *OTHER_FORM):
            said = [one for one in self.read(nearly_json(bytes(body), unknown)) if isinstance(one, Reply | Tell)]
            fault = not_json(text, f"{unknown[0]} is no JSON" if unknown else error)
            if said:
                return [Reply(ERROR_OUT, fault, id=one.id) if isinstance(one, Reply) else one for one in said]
        return (Stray(text, meant=self.has_headers),)

    def expect_printed(self) -> None:
        """Take it that the server is a child, which may print between its messages."""
        self.may_print = True
        if isinstance(self._decoder, InterruptedDecoder):
            self._decoder.lines_between = True

    @property
    def has_headers(self) -> bool:
        """Whether messages have a header, which what a child just prints has not."""
        return self.framing not in _WITHOUT_HEADERS

    def encode(self, message: object) -> bytes:
        """A message as it goes on the wire.

        Raises:
            EncodeError: JSON cannot carry it.
        """
        return self._frame(encode_value(message, self._floats))

    def say(self, message: Message) -> None:
        """Have a message taken as one of the server: in `encode_call`, the reply to what the server does not answer."""
        self._said.append(message)

    def hello(self) -> Steps[None]:
        """What comes first on a connection; by default nothing, so that the first call may come at once.

        Raises:
            HandshakeFailed: The server cannot be talked to.
        """
        yield from ()

    def describe(self) -> Steps[Description]:
        """Ask the server what it offers; by default there is no way to.

        What is thrown in and says nothing about that is raised again.
        """
        yield from ()
        return Description(missing="unknown", reason="this dialect has no way to ask")

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """Ask the server what a parameter may be that has begun as typed, and has these others beside it.

        Asked of parameters that the description marks with `"x-completes": true`.
        """
        yield from ()
        return []

    def bye(self) -> Steps[None]:
        """What comes last on a connection that works, within a second; by default nothing."""
        yield from ()

    def cancel(self, number: int) -> bytes | None:
        """The bytes that ask the server to end a call whose reply is no longer waited for, and is ignored if it comes.

        Nothing (b"") where there are none but the connection stays good; None where it has to be closed instead, as
        where the next call could not be sent.
        """
        return b"" if self.pipelined and not self.one_call else None

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """The bytes that answer a server's request with a result, or with an error where the outcome is a `Fault`.

        Raises:
            EncodeError: The result cannot be sent.
        """
        return b""

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """What a server's request is answered where the client's program does not care to; by default an error."""
        return Fault(ErrorCode.METHOD_NOT_FOUND, f"this client knows no method {request.method}")

    def request_headers(self, message: bytes) -> Mapping[str, str]:
        """Over HTTP: what goes with a request for its message, which is empty where it has no body."""
        return {}

    def response_headers(self, status: int, headers: Mapping[str, str]) -> str | None:
        """Over HTTP: take what came with a response, names in small letters.

        Returns:
            Why the request did not run and the connection is over, where the response says so.
        """
        return None

    @property
    def mid_frame(self) -> bool:
        """Whether a message has begun to arrive and is not whole yet."""
        return self._decoder.mid_frame

    def beginning(self, count: int) -> bytes:
        """The first bytes, up to `count`, of what has come and was not taken."""
        return self._decoder.beginning(count)

    def receive(self, data: bytes) -> None:
        """Add what a read brought."""
        self._decoder.feed(data)

    def next_event(self) -> Message | None:
        """Take what the server has said next, or None when more bytes are needed.

        Raises:
            RemoteError: It breaks the rules of the framing or of the dialect.
        """
        while not self._said:
            body = self._decoder.next_frame()
            if body is None:
                return None
            if self._decoder.between:
                return Stray(body.decode("utf-8", "replace"))
            try:
                message = decode_value(body, self._floats)
            except ParseError as error:
                self._said.extend(self.unreadable(body, error))
                continue
            try:
                self._said.extend(self.read(message))
            except OTHER_FORM as error:
                # A message may have any shape, and `read` need not look at all of it.
                raise InvalidReply(f"a message has another form than it should: {error!r:.100}") from error
        return self._said.popleft()

    def receive_eof(self) -> None:
        """The stream has ended, and nothing is left to take.

        Raises:
            TruncatedFrame: It ended inside a message.
        """
        self._decoder.feed_eof()
