"""The envelope: requests `{"in", "params"}`, replies `{"out", "result"}`, and JSON to and from Python values.

Nothing here knows how messages are framed or carried; other envelopes belong in modules beside this one.

JSON follows RFC 8259 with its advice on interoperability made strict: NaN, Infinity and lone surrogates
are neither sent nor accepted. Integers keep every digit, up to the 4300 that Python converts
(`sys.get_int_max_str_digits`).
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from rpcwire.errors import ErrorCode, FrameTooLarge, InvalidRequest
from rpcwire.finite import refuse_nonfinite, refuse_unreadable
from rpcwire.framing import LARGEST_LENGTH, frame, pack_length
from rpcwire.json_errors import READ_ERRORS, WRITE_ERRORS, encode_error, invalid_reply, parse_error, reason_of
from rpcwire.numbers import json_decoders, write_text_float

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcwire.numbers import Floats

Id = str | int
"""What identifies a request to its sender; it is echoed as it came."""

ERROR_OUT: Final = "error"
"""The out name of error replies; no method may use it."""

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An integer from 0 that fits in 64 bits: whoever reads it may count, divide and store it as it came."""

_NULL: Final = Raw(b"null")
_FAULT_HEAD: Final = b'{"out":"error","result":'


class Fault(msgspec.Struct, frozen=True, dict=True):
    """The result of an error reply."""

    json: ClassVar[bytes] = b""
    """All of it as it goes on the wire, where that was written beforehand."""
    code: int
    """An `ErrorCode`, or a number of the application's own."""
    message: str
    """What went wrong and what to do next."""
    data: Any = UNSET
    """Anything more, for programs."""


class Meta(msgspec.Struct, frozen=True):
    """Who served a request, and how long it took."""

    worker: _Natural
    """The worker's number."""
    pid: _Natural
    generation: _Natural
    """How many times the server had been reloaded when the worker started."""
    model: str
    """The worker model."""
    service_us: _Natural
    """Time in the handler, in microseconds."""
    served: _Natural
    """Requests this worker has answered, this one included."""


class Request(msgspec.Struct, frozen=True):
    """A call as a server reads it."""

    typed: ClassVar[bool] = False
    """Whether the params were read already, into a method's types."""

    method: str = msgspec.field(name="in")
    params: Raw = _NULL
    """As JSON, not decoded yet: the method's own types decide how."""
    id: Id | UnsetType = UNSET
    """Echoed in the reply, where there is one."""
    meta: bool = False
    """Whether the reply should carry `Meta`."""
    close: bool = False
    """Whether the sender heeds `close`."""

    def frame_fault(self, fault: Fault, *, meta: Meta | None = None, close: bool = False) -> bytes:
        """Write the error reply to it as a frame.

        Raises:
            EncodeError: JSON cannot carry the fault's data.
        """
        body = _FAULT_HEAD + (fault.json or encode_value(fault))
        if meta is not None or close or self.id is not UNSET:
            body += optional_keys(self.id, meta, close)
        return frame(body + b"}")


NO_REQUEST: Final = Request("")
"""Stands for a request that could not be read, or for none."""


class Reply(msgspec.Struct, frozen=True):
    """An answer as a client reads it."""

    out: str
    """The reply's name; "error" for errors."""
    result: Any = None
    """The result, or what describes the error."""
    id: Id | UnsetType = UNSET
    """The request's, where it had one."""
    meta: Meta | None = None
    """Who served it, if that was asked."""
    close: bool = False
    """Whether the server reads no further request on this connection."""

    @property
    def fault(self) -> Fault | None:
        """The error this reply tells of, or None for a good one.

        A server with error results of its own shape gets an application error that holds them as `data`.
        """
        if self.out != ERROR_OUT:
            return None
        try:
            return msgspec.convert(self.result, Fault)
        except msgspec.ValidationError:
            message = self.result if isinstance(self.result, str) else encode_value(self.result, "decimal").decode()
            return Fault(ErrorCode.APPLICATION_ERROR, message, self.result)


class Goodbye(msgspec.Struct, frozen=True):
    """A last frame that is only `{"close": true}`: what had no reply before it was not executed."""


GOODBYE: Final = frame(b'{"close":true}')
"""A goodbye as it goes on the wire."""


class _RequestFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    method: str = msgspec.field(name="in")
    params: Any
    id: Id | UnsetType = UNSET
    meta: bool = False
    close: bool = False


class _GoodbyeFrame(msgspec.Struct, frozen=True):
    close: bool = False
    out: Any = UNSET


_encode = msgspec.json.Encoder(enc_hook=write_text_float).encode
_encode_decimals = msgspec.json.Encoder(enc_hook=write_text_float, decimal_format="number").encode
read_request: Final = msgspec.json.Decoder(Request).decode
"""Reads a request as `decode_request` does, but raises msgspec's own errors: for who asks that one why it failed."""

_decode_reply: dict[str, Callable[[bytes | bytearray], Reply]] = json_decoders(Reply)
_decode_goodbye: Final = msgspec.json.Decoder(_GoodbyeFrame).decode
_decode_value: dict[str, Callable[[bytes | bytearray], Any]] = json_decoders(Any)
_any_decoder: Final = msgspec.json.Decoder()


def decode_request(body: bytes | bytearray) -> Request:
    """Read a request.

    Raises:
        ParseError: the body is not JSON.
        InvalidRequest: it is JSON, but no request.
    """
    try:
        return read_request(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f'{reason_of(error)}; a request is {{"in": METHOD, "params": …}}') from None
    except READ_ERRORS as error:
        raise parse_error(error) from None


def decode_params(raw: Raw, decoder: msgspec.json.Decoder[Any] = _any_decoder) -> Any:
    """Read the params of a request: with a decoder into the types of a method, without one into plain values.

    Raises:
        ParseError: they are not JSON after all: bad UTF-8, a lone surrogate, too deep.
        msgspec.ValidationError: they do not fit the decoder's type.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        if decoder is _any_decoder:
            raise parse_error(error) from None
        raise
    except READ_ERRORS as error:
        raise parse_error(error) from None


def decode_reply(body: bytes | bytearray, floats: Floats = "float") -> Reply | Goodbye:
    """Read the content of a frame that a server sent; `floats` is what a number with a fraction or an exponent becomes.

    Raises:
        ParseError: the body is not JSON.
        InvalidReply: it is JSON, but neither a reply nor a goodbye.
    """
    try:
        return _decode_reply[floats](body)
    except msgspec.ValidationError as error:
        if _is_goodbye(body):
            return Goodbye()
        raise invalid_reply(error) from None
    except READ_ERRORS as error:
        raise parse_error(error) from None


def _is_goodbye(body: bytes | bytearray) -> bool:
    with contextlib.suppress(*READ_ERRORS):
        received = _decode_goodbye(body)
        return received.close and received.out is UNSET
    return False


def decode_value(body: bytes | bytearray, floats: Floats = "float") -> Any:
    """Read any JSON; `floats` is what a number with a fraction or an exponent becomes.

    Raises:
        ParseError: it is not JSON.
    """
    try:
        return _decode_value[floats](body)
    except READ_ERRORS as error:
        raise parse_error(error) from None


def encode_value(value: object, floats: Floats = "float") -> bytes:
    """Write a value as JSON. Where `floats` is "decimal" a `Decimal` becomes a number, otherwise a string.

    Raises:
        EncodeError: JSON cannot carry it.
    """
    try:
        data = _encode(value) if floats != "decimal" else _encode_decimals(value)
    except WRITE_ERRORS as error:
        raise encode_error(error) from None
    if floats == "decimal" and (b"NaN" in data or b"Infinity" in data):
        # As msgspec 0.22 writes these, they are no JSON; in a string they are.
        refuse_nonfinite(value, decimals=True)
    # msgspec writes null for NaN and Infinity, so only where a null came out is a second look needed.
    if b"null" in data and value is not None:
        refuse_nonfinite(value)
    if type(value) is Raw:
        refuse_unreadable(value)
    return data


def encode_request(
    method: str,
    params: object = None,
    *,
    id: Id | UnsetType = UNSET,
    meta: bool = False,
    close: bool = False,
    floats: Floats = "float",
) -> bytes:
    """Write a request's body.

    Args:
        method: the method's name.
        params: its params.
        id: what the reply should echo.
        meta: whether to ask for `Meta`.
        close: whether to say that this side heeds `close`.
        floats: as in `encode_value`.

    Raises:
        EncodeError: JSON cannot carry one of them.
    """
    return encode_value(_RequestFrame(method, params, id, meta, close), floats)


class ReplyEncoder:
    """Writes the replies of one out name as whole frames, with the constant part prepared."""

    __slots__ = ("_constant", "_head")

    def __init__(self, out: str) -> None:
        self._head = b'{"out":' + encode_value(out) + b',"result":'
        self._constant = len(self._head) + 1

    def encode(self, result: object) -> bytes:
        """Write the frame of a reply with nothing but a result.

        Raises:
            EncodeError: JSON cannot carry the result.
            FrameTooLarge: the reply is longer than a prefix can say.
        """
        try:
            data = _encode(result)
        except WRITE_ERRORS as error:
            raise encode_error(error) from None
        # find() takes half the time of `in`, and this is every reply.
        if data.find(b"null") >= 0 and result is not None:
            refuse_nonfinite(result)
        if type(result) is Raw:
            refuse_unreadable(result)
        try:
            return b"".join((pack_length(len(data) + self._constant), self._head, data, b"}"))
        except struct.error:
            raise FrameTooLarge(len(data) + self._constant, LARGEST_LENGTH) from None

    def encode_with(
        self, result: object, *, id: Id | UnsetType = UNSET, meta: Meta | None = None, close: bool = False
    ) -> bytes:
        """Write the frame of a reply with any of the optional keys.

        Raises:
            EncodeError: JSON cannot carry the result or the id.
            FrameTooLarge: the reply is longer than a prefix can say.
        """
        return frame(self._head + encode_value(result) + optional_keys(id, meta, close) + b"}")


def encode_reply(
    out: str,
    result: object,
    *,
    id: Id | UnsetType = UNSET,
    meta: Meta | None = None,
    close: bool = False,
) -> bytes:
    """Write a reply's body.

    Args:
        out: what its key `out` says, the method's name unless the method has another word for it.
        result: what the method returned.
        id: the request's, if it had one.
        meta: who served it, where that was asked for.
        close: whether the connection ends with this reply.

    Raises:
        EncodeError: JSON cannot carry one of the values.
    """
    head = b'{"out":' + encode_value(out) + b',"result":' + encode_value(result)
    return head + optional_keys(id, meta, close) + b"}"


def encode_fault(fault: Fault, *, id: Id | UnsetType = UNSET, meta: Meta | None = None, close: bool = False) -> bytes:
    """Write an error reply's body; `id`, `meta` and `close` are those of `encode_reply`.

    Raises:
        EncodeError: JSON cannot carry the fault's data.
    """
    return encode_reply(ERROR_OUT, fault, id=id, meta=meta, close=close)


def optional_keys(id: Id | UnsetType, meta: Meta | None, close: bool) -> bytes:
    """Write what stands at the end of a reply, for those who ask."""
    keys = b""
    if id is not UNSET:
        keys += b',"id":' + encode_value(id)
    if meta is not None:
        keys += b',"meta":' + encode_value(meta)
    if close:
        keys += b',"close":true'
    return keys
