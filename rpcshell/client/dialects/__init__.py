"""What a server speaks, sans-IO: `Dialect` is what a connection needs of it, `Listening` what more there may be.

`native`, which answers and says nothing else, is read only while a call waits, by whoever makes the call. Everything
else is a `Listening` dialect: its connection is read all the time, replies find their calls by number, and events and
requests of the server arrive between them. Such a dialect is one file of 60 to 150 lines with a class derived from
`rpcshell.client.dialects.framed.FramedDialect`, which does the framing; `registry` finds it by its name, also in other
packages. `docs/dialects.md` shows a whole one, `jsonrpc` is the one to read here. It brings

- `encode_call`, and `read`, which says what a message of the server is: a `Reply` or `Partial` with the number of its
  call, an `Event`, or a `ServerRequest`;
- `hello`, `describe` and `bye`: `Steps`, which ask, tell and hear what the handshake, discovery and leaving take;
- `cancel`, `answer` and `default_answer`: the bytes that end a call early and answer the server's requests.

Whatever moves the bytes, and in whichever thread or loop, is nothing to a dialect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar

import msgspec

from rpcshell.client.errors import ProtocolError, ShellError
from rpcwire import Fault, Floats, Goodbye, Reply

__all__ = [
    "Ask",
    "Description",
    "Dialect",
    "DialectFactory",
    "Event",
    "Form",
    "FormAction",
    "HandshakeFailed",
    "Hear",
    "HttpRequest",
    "Listening",
    "Message",
    "Partial",
    "Progress",
    "ServerRequest",
    "Speaking",
    "Step",
    "Steps",
    "Stray",
    "Tell",
    "TextReply",
    "follow",
    "follow_async",
]

_T = TypeVar("_T")


class TextReply(Reply, frozen=True):
    """A reply whose result is a text to be read, such as what a command line inside the server prints."""


class Partial(msgspec.Struct, frozen=True):
    """One of several replies to a call, with more to come: a part of the result, or a `Progress`.

    Attributes:
        value: What it says.
        number: The call's, or None for the oldest one that waits.
    """

    value: Any
    number: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """The value of a `Partial` that is no part of the result, and only tells how far the call has come.

    Attributes:
        done: How much is done, in whatever the server counts.
        total: How much there is to do, in the same, or None where that is not known.
        text: What is being done.
    """

    done: float | None = None
    total: float | None = None
    text: str = ""


class Event(msgspec.Struct, frozen=True):
    """What a server says unasked.

    Attributes:
        name: The event's name, or the method of a notification.
        params: What it says.
        offers_changed: Whether the server offers other methods from now on.
    """

    name: str
    params: Any = None
    offers_changed: bool = False


class ServerRequest(msgspec.Struct, frozen=True):
    """What a server asks of its client.

    Attributes:
        method: What it asks for.
        params: With what.
        id: What identifies it to the server; of any kind.
        form: What a person has to be asked for it, where one has.
    """

    method: str
    params: Any
    id: Any
    form: Form | None = None


FormAction = Literal["accept", "decline", "cancel"]
"""What becomes of a form: it was filled in, the person does not want to, or does not say."""


class Form(msgspec.Struct, frozen=True):
    """What a request of a server asks a person.

    Attributes:
        answer: Makes the outcome of the request, as `answer` of the dialect takes it, of what became of the form and
            of the fields by name, which are empty unless it was accepted.
        message: What it is about.
        schema: A JSON Schema of an object whose properties are the fields; without any, it is a question of yes or no.
        title: A few words.
    """

    answer: Callable[[FormAction, dict[str, Any]], Any]
    message: str = ""
    schema: Mapping[str, Any] = {}
    title: str = ""


class Stray(msgspec.Struct, frozen=True):
    """What came between messages and is none: a line that a child has printed."""

    text: str


class Ask(msgspec.Struct, frozen=True):
    """A request that a dialect wants to have made for itself, and the seconds it may take; sent the `Reply`."""

    method: str
    params: Any = None
    timeout: float | None = None


class Tell(msgspec.Struct, frozen=True):
    """What a dialect wants to have said without a reply: the bytes; sent None."""

    data: bytes


class HttpRequest(msgspec.Struct, frozen=True):
    """A request without a body, such as GET or DELETE; what its response holds is received as any other's.

    Sent None: after the response where that is waited for, and at once where it is not, or where this is not HTTP.
    """

    method: str
    wait: bool = False


class Hear(msgspec.Struct, frozen=True):
    """The next event is waited for, so many seconds; sent the `Event`."""

    timeout: float | None = None


Step = Ask | Tell | Hear | HttpRequest

Steps = Generator[Step, Any, _T]
"""Yields what is to be done, is sent what came of each, or thrown the `ShellError` that came instead, and returns the
outcome. The steps of a dialect that does not listen are `Ask`s."""


Message = Reply | Goodbye | Partial | Event | ServerRequest | Stray | Tell
"""What a server may say, and the `Tell` that has to be said at once in turn.

The `id` of a reply is the number of its call; without one it is for the oldest that waits.
"""


class HandshakeFailed(Exception):
    """A `hello` has found that the server cannot be talked to: why, and what to do about it."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Description(msgspec.Struct, frozen=True):
    """What a server has told about its methods, or why it has not."""

    document: Any = None
    """An OpenRPC document, or what should be one. A method with `"x-params": "whole"` and no params takes anything.
    `"x-events"` is a list of what the server may say unasked, each with a `"name"` and a `"summary"`; in its `"info"`,
    `"x-method-noun"` is what the server calls a method."""

    missing: Literal["unknown", "ended", "silent", "busy"] | None = None
    """Why there is none: it knows of no such thing, ended the connection, said nothing in time, or had no time."""

    reason: str = ""
    """That, in words where there is more to say."""

    hint: str | None = None

    @classmethod
    def of_names(cls, names: Iterable[object]) -> Description:
        """Of a server that tells the names of its methods and nothing of their params, which may then be anything."""
        methods = [{"name": name, "params": [], "x-params": "whole"} for name in names if isinstance(name, str)]
        return cls({"openrpc": "1.3.2", "info": {"title": "", "version": ""}, "methods": methods})


class Speaking(Protocol):
    """What dialects of both kinds have: bytes to send for a call, and what to do with the bytes that came."""

    def describe(self) -> Steps[Description]:
        """Ask the server what it offers. What is thrown in and says nothing about that is raised again."""

    @property
    def idle(self) -> bool:
        """Whether nothing is left over of what came; of one that does not listen, also whether no call waits."""

    @property
    def mid_frame(self) -> bool:
        """Whether something has begun to arrive and is not whole yet."""

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """The bytes of a call, which is outstanding from now on.

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

    def receive(self, data: bytes) -> None:
        """Add what a read brought."""

    def receive_eof(self) -> None:
        """The stream has ended, and nothing is left to take.

        Raises:
            TruncatedFrame: It ended inside a frame.
        """


class Dialect(Speaking, Protocol):
    """The client's side of one connection to a server that only answers, in the order of the calls."""

    listens: ClassVar[Literal[False]]

    def next_event(self) -> Reply | Goodbye | None:
        """Take what the server has said next, or None when more bytes are needed.

        Raises:
            RemoteError: It breaks the rules of the dialect.
        """


class Listening(Speaking, Protocol):
    """A dialect whose server may speak at any time, and whose calls may be several at once."""

    listens: ClassVar[Literal[True]]

    absent_params: ClassVar[bool]
    """Whether every method takes no params for none by name, so that nobody has to know how it takes them."""

    serves_one: ClassVar[bool]
    """Whether a server serves one client at a time, while others are connected or wait to be, and hear nothing."""

    @property
    def in_order(self) -> bool:
        """Whether replies come in the order of their calls, and carry no number."""

    @property
    def one_call(self) -> bool:
        """Whether a connection is for one call, and the next one needs another."""

    @property
    def pipelined(self) -> bool:
        """Whether a call may be sent before the one before it is answered."""

    def next_event(self) -> Message | None:
        """Take what the server has said next, or None when more bytes are needed.

        Raises:
            RemoteError: It breaks the rules of the dialect.
        """

    def hello(self) -> Steps[None]:
        """What comes first on a connection.

        Raises:
            HandshakeFailed: The server cannot be talked to.
        """

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """Ask the server what a parameter may be that has begun as typed, and has these others beside it.

        Asked of parameters that the description marks with `"x-completes": true`.
        """

    def bye(self) -> Steps[None]:
        """What comes last on a connection that works, within a second."""

    def cancel(self, number: int) -> bytes | None:
        """The bytes that ask the server to end a call whose reply is no longer waited for, and is ignored if it comes.

        Nothing (b"") where there are none but the connection stays good; None where it has to be closed instead.
        """

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """The bytes that answer a server's request with a result, or with an error where the outcome is a `Fault`.

        Raises:
            EncodeError: The result cannot be sent.
        """

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """What a server's request is answered where the program that uses the client does not care to."""

    def request_headers(self, message: bytes) -> Mapping[str, str]:
        """Over HTTP: what goes with a request for its message, which is empty where it has no body."""

    def response_headers(self, status: int, headers: Mapping[str, str]) -> str | None:
        """Over HTTP: take what came with a response, names in small letters.

        Returns:
            Why the request did not run and the connection is over, where the response says so.
        """


DialectFactory = Callable[[int, Floats], Dialect | Listening]
"""Makes the dialect of a new connection; it is given the most bytes that a reply may have, and what floats become."""


OTHER_FORM: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What Python raises where something that a server says has another form than a dialect reads it in."""


def follow(steps: Steps[_T], do: Callable[[Step], Any]) -> _T:
    """Do each step, tell the dialect what came of it, and return the outcome.

    Raises:
        ProtocolError: What came of a step has another form than the steps read it in.
        ShellError: What else the steps let through, or raise themselves.
    """
    steps = _reading(steps)
    try:
        step = next(steps)
        while True:
            try:
                came = do(step)
            except ShellError as error:
                step = steps.throw(error)
            else:
                step = steps.send(came)
    except StopIteration as end:
        outcome: _T = end.value
        return outcome


async def follow_async(steps: Steps[_T], do: Callable[[Step], Awaitable[Any]]) -> _T:
    """Do as `follow` does."""
    steps = _reading(steps)
    try:
        step = next(steps)
        while True:
            try:
                came = await do(step)
            except ShellError as error:
                step = steps.throw(error)
            else:
                step = steps.send(came)
    except StopIteration as end:
        outcome: _T = end.value
        return outcome


def _reading(steps: Steps[_T]) -> Steps[_T]:
    try:
        return (yield from steps)
    except OTHER_FORM as error:
        raise ProtocolError(f"a reply has another form than it should: {error!r:.100}") from error
