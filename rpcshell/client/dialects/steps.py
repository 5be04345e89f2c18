"""What a dialect does at length: steps that ask, tell and hear, what they come to, and how they are followed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from rpcshell.client.errors import CallTimeout, ConnectionLost, ProtocolError, ShellError

if TYPE_CHECKING:
    from rpcwire import Fault, Reply

_T = TypeVar("_T")

PROBE_TIMEOUT: Final = 2.0
"""Seconds that a server has to say what it offers, where it may know no such question."""

DESCRIPTION_TIMEOUT: Final = 10.0
"""Seconds that a server has to say what it offers, where it knows the question; small machines take their time."""


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


class HandshakeFailed(Exception):
    """A `hello` has found that the server cannot be talked to: why, and what to do about it."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Description(msgspec.Struct, frozen=True):
    """What a server has told about its methods, or why it has not.

    Attributes:
        document: An OpenRPC document, or what should be one. A method with `"x-params": "whole"` and no params takes
            anything. `"x-events"` is a list of what the server may say unasked, each with a `"name"` and a
            `"summary"`; in its `"info"`, `"x-method-noun"` is what the server calls a method.
        missing: Why there is none: it knows of no such thing, ended the connection, said nothing in time, or had no
            time.
        reason: That, in words where there is more to say.
        hint: What to do about it.
    """

    document: Any = None
    missing: Literal["unknown", "ended", "silent", "busy"] | None = None
    reason: str = ""
    hint: str | None = None

    @classmethod
    def of_methods(
        cls,
        methods: Iterable[dict[str, Any]],
        title: str = "",
        version: str = "",
        noun: str = "method",
        *,
        schemas: Mapping[str, Any] = {},
        events: Iterable[Mapping[str, Any]] = (),
    ) -> Description:
        """Of a server that calls itself so, with methods, schemas and events as the `document` has them."""
        info = {"title": title, "version": version, "x-method-noun": noun}
        more = {"components": {"schemas": schemas}, "x-events": [*events]}
        return cls({"openrpc": "1.3.2", "info": info, "methods": [*methods], **more})

    @classmethod
    def of_names(cls, names: Iterable[object]) -> Description:
        """Of a server that tells the names of its methods and nothing of their params, which may then be anything."""
        texts = (name for name in names if isinstance(name, str))
        return cls.of_methods({"name": name, "params": [], "x-params": "whole"} for name in texts)

    @classmethod
    def refused(cls, method: str, fault: Fault) -> Description:
        """Of a server that answers the method that asks for it with an error."""
        return cls(missing="unknown", reason=f"it refuses {method}: {fault.message}")

    @classmethod
    def ended(cls, error: ConnectionLost) -> Description:
        """Of a server that ends the connection upon the question.

        Raises:
            ConnectionLost: The error, where the server has not got the question.
        """
        if not error.may_have_run:
            raise error
        return cls(missing="ended", reason="it ended the connection when asked what it offers", hint=error.hint)


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


def granted(question: Ask, what: str = "") -> Steps[Any]:
    """What a server returns to a question without whose answer a `hello` or a `describe` goes no further.

    Raises:
        HandshakeFailed: It refuses that: what was asked for, in words such as "to initialize", or else the method.
    """
    reply: Reply = yield question
    if (fault := reply.fault) is not None:
        raise HandshakeFailed(f"it refuses {what or question.method}: {fault.message}")
    return reply.result


def offered(steps: Steps[Description]) -> Steps[Description]:
    """What the steps of a `describe` come to, also where the server refuses to say, or does not in time."""
    try:
        return (yield from steps)
    except HandshakeFailed as refusal:
        return Description(missing="unknown", reason=refusal.reason, hint=refusal.hint)
    except CallTimeout as error:
        return Description(missing="silent", reason=f"it did not say within {error.seconds:g} s what it offers")


def _reading(steps: Steps[_T]) -> Steps[_T]:
    try:
        return (yield from steps)
    except OTHER_FORM as error:
        raise ProtocolError(f"a reply has another form than it should: {error!r:.100}") from error
