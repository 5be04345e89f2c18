"""What a server speaks, sans-IO: `Dialect` is what a connection needs of it, `Listening` what more there may be.

`native`, which answers and says nothing else, is read only while a call waits, by whoever makes the call. Everything
else is a `Listening` dialect: its connection is read all the time, replies find their calls by number, and events and
requests of the server arrive between them. Such a dialect is a class derived from
`rpcshell.client.dialects.framed.FramedDialect`, which does the framing; `registry` finds it by its name, also in other
packages. What only one dialect needs has that one's name in its own, or is in a folder of that name. The guide
`own-dialect.md` shows a whole one, `jsonrpc` is the one to read here. It brings

- `encode_call`, and `read`, which says what a message of the server is: a `Reply` or `Partial` with the number of its
  call, an `Event`, or a `ServerRequest`;
- `hello`, `describe` and `bye`: `Steps`, which ask, tell and hear what the handshake, discovery and leaving take;
- `cancel`, `answer` and `default_answer`: the bytes that end a call early and answer the server's requests.

Whatever moves the bytes, and in whichever thread or loop, is nothing to a dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

from rpcshell.client.dialects.messages import (
    Event,
    Form,
    FormAction,
    Message,
    Partial,
    Progress,
    ServerRequest,
    Stray,
    TextReply,
)
from rpcshell.client.dialects.steps import (
    Ask,
    Description,
    HandshakeFailed,
    Hear,
    HttpRequest,
    Step,
    Steps,
    Tell,
    follow,
    follow_async,
)
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

    def beginning(self, count: int) -> bytes:
        """The first bytes, up to `count`, of what has come and was not taken."""

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

    replies_apart: ClassVar[bool]
    """Over HTTP: whether a server that takes no POST may open a stream of events, which names where to post to."""

    @property
    def in_order(self) -> bool:
        """Whether replies come in the order of their calls, and carry no number."""

    @property
    def one_call(self) -> bool:
        """Whether a connection is for one call, and the next one needs another."""

    @property
    def pipelined(self) -> bool:
        """Whether a call may be sent before the one before it is answered."""

    def expect_printed(self) -> None:
        """Take it that the server is a child, which may print between its messages."""

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
