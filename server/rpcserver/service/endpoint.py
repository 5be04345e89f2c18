"""A method made ready to be called: params read into a handler's types, and the handler called with them.

What goes wrong on the way is turned into error replies elsewhere.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import asdict, astuple

from rpcserver.service.context import Context, MethodLogger, Peer
from rpcserver.service.signature import NO_DEFAULT, Parameter, Signature, read_signature, usage
from rpcserver.service.source import handler_place
from rpcserver.system.errors import ServiceError
from rpcwire import EncodeError, ParseError, ReplyEncoder, decode_params, encode_value

if TYPE_CHECKING:
    from rpcserver.service.context import WorkerInfo
    from rpcserver.service.service import Handler, Method
    from rpcserver.system.method_board import MethodCounts
    from rpcserver.system.strays import StrayGuard

HANDLER_LOG = logging.getLogger("rpcserver.handler")
"""Where handlers log, and where their failures are logged."""

Call = Callable[[Any], Any]

_BRACE = ord("{")
_IMMUTABLE = (type(None), bool, int, float, str, bytes)


class Endpoint:
    """A method with the decoders and the call prepared for it, for every worker that is forked after that.

    Raises:
        ServiceError: the handler cannot be served as it is written.
    """

    __slots__ = (
        "_arguments",
        "_by_position",
        "_usage",
        "_worker",
        "at_once",
        "call",
        "counts",
        "decode",
        "decoder",
        "direct",
        "encode",
        "last_was_large",
        "log",
        "method",
        "replies",
        "signature",
    )

    decoder: msgspec.json.Decoder[Any]  # reads params as nearly every caller sends them; `read` knows every form
    call: Call  # calls the handler with what was read; where `direct` is false, use `invoke`
    _worker: WorkerInfo

    def __init__(self, method: Method, replies: ReplyEncoder | None = None) -> None:
        self.method = method
        self.signature = signature = read_signature(method.handler, method.name)
        self.replies = ReplyEncoder(method.out) if replies is None else replies
        self.log = MethodLogger(HANDLER_LOG, {"method": method.name})
        self.last_was_large = False  # whether its last reply was, and the next probably is
        self.counts: MethodCounts | None = None  # where its calls are counted on the board of methods, if they are
        self.direct = signature.context_at is None  # whether `decode`, `call` and `encode` are all there is to a call
        # Whether the handler neither blocks nor is awaited, so that an event loop may call it.
        self.at_once = not (method.blocking or signature.is_async)
        self._usage: str | None = None
        self._arguments: type[msgspec.Struct] | None = None
        self._by_position: msgspec.json.Decoder[Any] | None = None
        if signature.whole:
            self._prepare_whole(signature.parameters[0])
        else:
            self._prepare_binding(signature)
        self.decode = self.decoder.decode
        self.encode = self.replies.encode
        self._check_examples()

    def served_by(self, worker: WorkerInfo, counts: MethodCounts | None) -> Endpoint:
        """Return one for the dispatcher of a worker, which alone is called; `counts` is where its calls are counted."""
        served = copy.copy(self)
        served._worker, served.counts = worker, counts
        return served

    @property
    def usage(self) -> str:
        """How it is called, as in `add(a: number, b: number = 0)`; made when it is first needed."""
        if self._usage is None:
            self._usage = usage(self.method.name, self.signature)
        return self._usage

    def read(self, raw: Raw) -> Any:
        """Read params in any form they may have: whole, by name, by position, or null where nothing is required.

        Raises:
            ParseError: they are no JSON.
            msgspec.ValidationError: they do not fit the handler's parameters.
        """
        start = bytes(memoryview(raw)[:5])
        if self._arguments is None:
            default = self.signature.parameters[0].default
            return default if default is not NO_DEFAULT and start == b"null" else decode_params(raw, self.decoder)
        if self._by_position is not None and start.startswith(b"["):
            return self._arguments(**asdict(decode_params(raw, self._by_position)))
        return decode_params(raw, self.decoder)

    def refuses(self, raw: Raw, error: BaseException) -> bool:
        """Whether an error of `decode` is final, since `read` would take these params no other way."""
        return isinstance(error, msgspec.ValidationError) and memoryview(raw)[0] == _BRACE

    def invoke(self, arguments: Any, peer: Peer) -> Any:
        """Call the handler, with its `Context` if it wants one; it returns its result, or a coroutine."""
        signature = self.signature
        if signature.context_at is None:
            return self.call(arguments)
        if self._arguments is None:
            values: tuple[Any, ...] = (arguments,)
        else:
            values = astuple(self._arguments() if arguments is None else arguments)
        keyword_only = signature.keyword_only
        count = len(values) - len(keyword_only)
        keywords = {parameter.name: value for parameter, value in zip(keyword_only, values[count:], strict=True)}
        context = Context(self.method.name, peer, self._worker, self.log)
        if isinstance(signature.context_at, int):
            at = signature.context_at
            return self.method.handler(*values[:at], context, *values[at:count], **keywords)
        return self.method.handler(*values[:count], **{signature.context_at: context}, **keywords)

    def outcome(self, arguments: Any, peer: Peer, guard: StrayGuard) -> tuple[Any, BaseException | None]:
        """Call the handler in a thread of a pool; its exception comes back as a value, as futures refuse some."""
        try:
            result = self.invoke(arguments, peer)
        except BaseException as error:  # noqa: BLE001 - raised again where the call is awaited
            guard.check(error)
            return None, error
        guard.check()
        return result, None

    def _prepare_whole(self, parameter: Parameter) -> None:
        self.decoder = msgspec.json.Decoder(parameter.type)
        self.call = self.method.handler
        if not parameter.required:
            # What stands for "nothing" must be the handler's own default; only where that is what null
            # reads as can the decoder be left alone with it.
            try:
                same = self.decoder.decode(b"null") is parameter.default
            except msgspec.ValidationError:
                same = False
            self.direct = self.direct and same

    def _prepare_binding(self, signature: Signature) -> None:
        self._arguments = arguments = _struct(signature.parameters, array_like=False)
        optional = not any(parameter.required for parameter in signature.parameters)
        self.decoder = msgspec.json.Decoder(arguments | None if optional else arguments)
        if not any(parameter.required for parameter in signature.keyword_only):
            self._by_position = msgspec.json.Decoder(_struct(signature.positional, array_like=True))
        self.call = _caller(self.method.handler, signature, optional)

    def _check_examples(self) -> None:
        for number, example in enumerate(self.method.examples, 1):
            try:
                self.read(Raw(encode_value(example.params)))
                encode_value(None if example.result is UNSET else example.result)
            except (EncodeError, ParseError, msgspec.ValidationError) as error:
                raise ServiceError(
                    f"example {number} does not fit: {error}; its params must be what a caller could send",
                    handler=self.method.name,
                    location=handler_place(self.method.handler),
                ) from None


class ServedEndpoints(dict[str, Endpoint]):
    """A worker's own endpoints by name, each made when it is first asked for.

    To copy one writes to the memory of all that it refers to, which workers share: 9 KB a method.
    """

    def __init__(
        self, prepared: Mapping[str, Endpoint], worker: WorkerInfo, counts: Callable[[str], MethodCounts | None]
    ) -> None:
        super().__init__()
        self._prepared = prepared
        self._worker = worker
        self._counts = counts

    def __missing__(self, name: str) -> Endpoint:
        # Threads may come at once, and all shall have the same one.
        return self.setdefault(name, self._prepared[name].served_by(self._worker, self._counts(name)))

    def find(self, name: str) -> Endpoint | None:
        """Return the one of this name, if there is one; `get` knows those that were asked for before."""
        return self[name] if name in self._prepared else None


def _struct(parameters: Sequence[Parameter], *, array_like: bool) -> type[msgspec.Struct]:
    """A type that reads these parameters, with field names of its own so that none can clash with a Struct's."""
    fields = [
        (f"p{index}", parameter.type, _field(parameter, array_like=array_like))
        for index, parameter in enumerate(parameters)
    ]
    # Only by keyword may what is required follow what is not.
    return msgspec.defstruct(
        "params", fields, forbid_unknown_fields=True, array_like=array_like, kw_only=not array_like
    )


def _field(parameter: Parameter, *, array_like: bool) -> Any:
    name = None if array_like else parameter.name
    if parameter.required:
        return msgspec.field(name=name)
    default = parameter.default
    if type(default) in _IMMUTABLE:
        return msgspec.field(default=default, name=name)
    # The handler gets its own default object, not a copy, as in any call in Python.
    return msgspec.field(default_factory=lambda: default, name=name)


def _caller(handler: Handler, signature: Signature, optional: bool) -> Call:
    """The shortest way to call a handler with what was read for it."""
    if not signature.parameters:
        return lambda arguments: handler()
    if signature.keyword_only:
        count = len(signature.positional)
        names = [parameter.name for parameter in signature.keyword_only]

        def call_with_keywords(arguments: Any) -> Any:
            if arguments is None:
                return handler()
            values = astuple(arguments)
            return handler(*values[:count], **dict(zip(names, values[count:], strict=True)))

        return call_with_keywords
    if optional:
        return lambda arguments: handler() if arguments is None else handler(*astuple(arguments))
    return lambda arguments: handler(*astuple(arguments))
