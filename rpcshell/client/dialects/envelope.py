"""Dialects that are told and not written: what the messages of a server look like, as a table has it.

A table of the configuration, or of a program that uses the clients, names what a call looks like and where in a reply
things stand. Places are keys with dots between them, and in a list counts from 0: `message.commands`, `results.0`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta

from rpcshell.client.dialects import Ask, Description, Event, HandshakeFailed, Hear, Message, Steps, Tell
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.lenient import as_number
from rpcshell.client.dialects.message_shapes import (
    BY_NAME,
    BY_POSITION,
    ID,
    ID_TEXT,
    METHOD,
    PARAMS,
    SPREAD,
    STANDING,
    UNSAID,
    EnvelopeTable,
    EventShape,
    Json,
    NamesQuestion,
    ReplyShape,
    at_path,
    filled,
    needs_params,
    path_of,
    texts_in,
)
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT, granted
from rpcshell.client.errors import CallTimeout, UsageError
from rpcwire import EncodeError, Floats, ParseError, Reply, encode_value
from rpcwire.framings import FRAMINGS

HELLO_TIMEOUT: Final = 4.0
"""Seconds that a server has to greet, and to answer a greeting."""

_HELLO: Final = "hello"
"""The event that whatever comes is until the server has been greeted."""


class EnvelopeProblem(UsageError):
    """A table that describes no dialect, and the key that is wrong."""

    def __init__(self, key: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{key} {reason}", hint=hint)
        self.key = key


class Envelope(EnvelopeTable, frozen=True, kw_only=True):
    """What the messages of a server look like; it makes the dialect of a connection.

    Give it to a client as its `dialect`. `from_table` reads it from a table as the configuration has it.

    Raises:
        EnvelopeProblem: It makes no sense.

    Example:
        >>> kea = Envelope.from_table({
        ...     "request": {"command": "$method", "arguments": "$params"},
        ...     "reply": {"ok": {"result": 0}, "result": "arguments", "error": "text"},
        ...     "one-call": True,
        ... })
        >>> connect("unix:/run/kea/kea4-ctrl-socket", dialect=kea)  # doctest: +SKIP
    """

    request: Annotated[
        dict[str, Any] | list[Any],
        Meta(
            description='A call as it is sent. "$method", which may be a key, "$params" and "$id", a number, stand for '
            'what differs; "$id-text" for the number as a text; "$params..." for params as items of the list or '
            'members of the object that it is in; "$by-name" and "$by-position" for params that are an object or a '
            "list; all else is sent as it is.",
            examples=[{"call": "$method", "with": "$params", "number": "$id", "version": 2}],
        ),
    ]
    no_params: Annotated[
        Json | msgspec.UnsetType,
        Meta(description="What stands for $params in a call without any; else it is left out.", examples=[{}]),
    ] = UNSET
    reply: Annotated[
        ReplyShape,
        Meta(
            description="Where in a reply things stand.",
            examples=[{"result": "data", "error": "problem.text", "code": "problem.number"}],
        ),
    ] = ReplyShape()
    event: Annotated[
        EventShape | None,
        Meta(
            description="How what comes unasked is told from a reply; where the request has $id, it has no number.",
            examples=[{"key": "event", "params": "data"}],
        ),
    ] = None
    names: Annotated[
        NamesQuestion | list[str] | None,
        Meta(
            description="How to ask for the names of the methods, or a list of them.",
            examples=[{"method": "help", "params": {"all": True}, "path": "calls"}],
        ),
    ] = None
    framing: Annotated[
        str,
        Meta(
            description=f"How messages are told apart: {', '.join(FRAMINGS)}. stream is one after another, lines too.",
            examples=["line"],
        ),
    ] = "stream"
    greets: Annotated[bool, Meta(description="Whether the server says something first.", examples=[True])] = False
    hello: Annotated[
        Json | None,
        Meta(description="What is sent first on a connection, before any call.", examples=[{"login": "me"}]),
    ] = None
    hello_reply: Annotated[bool, Meta(description="Whether that is answered.", examples=[False])] = True
    pipelined: Annotated[
        bool,
        Meta(
            description="Whether a call may be sent before the one before it is answered; else Ctrl-C closes the "
            "connection.",
            examples=[False],
        ),
    ] = True
    one_call: Annotated[bool, Meta(description="Whether each call needs a connection of its own.", examples=[True])] = (
        False
    )

    def __post_init__(self) -> None:
        standing = [text for text in texts_in(self.request) if text.startswith("$") and not text.startswith("$$")]
        if unknown := next((text for text in standing if text not in STANDING), None):
            hint = f"there are {', '.join(STANDING)}; a text that begins with $ is written $$"
            raise EnvelopeProblem("request", f"has {unknown}, which stands for nothing", hint=hint)
        if METHOD not in standing:
            raise EnvelopeProblem("request", f"has no {METHOD}", hint=f'as in request = {{ call = "{METHOD}" }}')
        if self.no_params is UNSET and needs_params(self.request):
            hint = f'as in request = {{ "{METHOD}" = "{PARAMS}" }} and no-params = {{}}'
            raise EnvelopeProblem("no-params", f"is needed where {METHOD} is the key of the params", hint=hint)
        if self.framing not in FRAMINGS:
            hint = f"there are {', '.join(FRAMINGS)}"
            raise EnvelopeProblem("framing", f"is no way to tell messages apart: {self.framing!r}", hint=hint)
        numbers = [text for text in standing if text in (ID, ID_TEXT)]
        if self.reply.id and not numbers:
            raise EnvelopeProblem("reply", f"has an id, and the request has no {ID}")
        if numbers and not self.id_path:
            hint = "where the request has it in a list, or under a key that is empty or has a dot, reply.id is needed"
            unknown = f"has no id, and from the request nobody can tell where {numbers[0]} is"
            raise EnvelopeProblem("reply", unknown, hint=hint)
        if self.event is not None and bool(self.event.key) == bool(self.event.has):
            raise EnvelopeProblem("event", "needs either a key or what it has")
        if not self.hello_reply and self.hello is None:
            raise EnvelopeProblem("hello-reply", "is for a dialect with a hello")
        names_params = self.names.params if isinstance(self.names, NamesQuestion) else None
        sent = {"request": self.request, "no-params": self.no_params, "hello": self.hello, "names": names_params}
        for key, value in sent.items():
            try:
                encode_value(None if value is UNSET else value)
            except EncodeError as error:
                raise EnvelopeProblem(key, f"cannot be sent: {error}") from None

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Envelope:
        """Read a table with the keys of the configuration.

        Raises:
            UsageError: It makes no sense.
        """
        try:
            return msgspec.convert(table, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"the dialect makes no sense: {str(error)[:1].lower()}{str(error)[1:]}") from None

    @property
    def framings(self) -> tuple[str, ...]:
        """Those that a target may ask for, the usual one first."""
        return tuple(dict.fromkeys((self.framing, *FRAMINGS)))

    @property
    def over_http(self) -> bool:
        """Whether it may be spoken over HTTP: nothing is said there before a call."""
        return not self.greets and self.hello is None

    @property
    def id_path(self) -> str:
        """Where in a reply the number of its call is; nothing where replies come in order."""
        return self.reply.id or path_of(ID, self.request) or path_of(ID_TEXT, self.request) or ""

    def __call__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> Enveloped:
        """The dialect of one connection."""
        return Enveloped(self, max_reply, floats, framing or self.framing)


class Enveloped(FramedDialect):
    """What an envelope describes, on one connection."""

    framings: ClassVar[tuple[str, ...]] = tuple(FRAMINGS)

    def __init__(self, envelope: Envelope, max_reply: int, floats: Floats, framing: str) -> None:
        super().__init__(max_reply, floats, framing)
        self._envelope = envelope
        self._id_path = envelope.id_path
        self.in_order = not self._id_path
        self.one_call, self.pipelined = envelope.one_call, envelope.pipelined
        self._greeted = not (envelope.greets or (envelope.hello is not None and envelope.hello_reply))

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A call as the table has it.

        Raises:
            EncodeError: It has no place for such params, or JSON cannot carry them.
        """
        request = self._envelope.request
        given = self._envelope.no_params if params is None else params
        by_name, by_position = isinstance(given, dict), isinstance(given, list | tuple)
        places = {PARAMS, SPREAD, *([BY_NAME] if by_name else []), *([BY_POSITION] if by_position else [])}
        if params is not None and not places & set(texts_in(request)):
            way = " by name" if by_name else " by position" if by_position else ""
            raise EncodeError(f"calls of this dialect have no place for params{way}")
        values = {METHOD: method, PARAMS: given, SPREAD: given, ID: number, ID_TEXT: str(number)}
        values |= {BY_NAME: given if by_name else UNSET, BY_POSITION: given if by_position else UNSET}
        return self.encode(filled(request, values))

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says."""
        envelope = self._envelope
        if envelope.event is not None and (event := envelope.event.read(message)) is not None:
            yield event
        elif not self._greeted:
            yield Event(_HELLO, message)
        elif not self._id_path:
            yield envelope.reply.read(message)
        elif (number := as_number(at_path(message, self._id_path))) is not None:
            yield envelope.reply.read(message, number)
        else:
            # What was not asked for has no number, or none that was sent.
            yield Event(UNSAID, message)

    def unreadable(self, body: bytes | bytearray, error: ParseError) -> Iterable[Message]:
        """What is no JSON may be how the server greets."""
        if self._envelope.greets and not self._greeted:
            return (Event(_HELLO, body.decode("utf-8", "replace")),)
        return super().unreadable(body, error)

    def hello(self) -> Steps[None]:
        """Hear and say what comes first."""
        envelope = self._envelope
        if envelope.greets:
            yield from self._heard("it did not greet", "does it speak first?")
        if envelope.hello is not None:
            yield Tell(self.encode(envelope.hello))
            if envelope.hello_reply:
                said = yield from self._heard("it did not answer the hello", "is this its dialect?")
                answer = envelope.reply.read(said)
                if isinstance(answer, Reply) and (refusal := answer.fault) is not None:
                    raise HandshakeFailed(f"it refuses the hello: {refusal.message}")
        self._greeted = True

    def describe(self) -> Steps[Description]:
        """Ask for the names of the methods, if there is a way."""
        names = self._envelope.names
        if names is None:
            return Description(missing="unknown", reason="its dialect has no names")
        if isinstance(names, list):
            return Description.of_names(names)
        told = yield from granted(Ask(names.method, names.params, timeout=DESCRIPTION_TIMEOUT))
        found = at_path(told, names.path)
        if not isinstance(found, list | dict):
            where = f"{names.path} in what {names.method} returns" if names.path else f"what {names.method} returns"
            return Description(missing="unknown", reason=f"{where} is no list")
        listed = [one.get("name") if isinstance(one, dict) else one for one in found]
        prefix = names.prefix
        return Description.of_names(
            name.removeprefix(prefix) for name in listed if isinstance(name, str) and name.startswith(prefix)
        )

    def _heard(self, failed: str, hint: str) -> Steps[Any]:
        """The next message that is no event of the server's own."""
        try:
            while (heard := (yield Hear(timeout=HELLO_TIMEOUT))).name != _HELLO:
                pass
        except CallTimeout as error:
            raise HandshakeFailed(f"{failed} within {error.seconds:g} s", hint) from None
        return heard.params
