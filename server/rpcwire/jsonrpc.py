"""The JSON-RPC 2.0 envelope, as a server reads and writes it: calls, notifications, batches.

It is told apart from the protocol's own per message, by the key "jsonrpc". Two members of the protocol's own hold here
too, for those who ask: "meta", and "close". Source: the JSON-RPC 2.0 specification, jsonrpc.org.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw

from rpcwire.errors import InvalidRequest, MessageError, ParseError
from rpcwire.framing import PREFIX_SIZE, frame
from rpcwire.json_errors import READ_ERRORS, parse_error
from rpcwire.messages import GOODBYE, Fault, Meta, decode_params, encode_value, optional_keys

_VERSION: Final = "2.0"
_ABSENT: Final = Raw(b"")
_NULL: Final = Raw(b"null")
_ARRAY: Final = re.compile(rb"[ \t\r\n]*\[")

_PLAIN_ID: Final = re.compile(rb'\d{1,18}|"[ !#-\[\]-~]*"')
"""What nearly every id is, which need not be decoded to be known as one."""

FORM: Final = 'a request is {"jsonrpc": "2.0", "id": ID, "method": METHOD, "params": …}'
"""For messages that say what would be right."""


class JsonRpcRequest(msgspec.Struct, frozen=True):
    """A call or a notification as a server reads it; what is not said here is as in `rpcwire.Request`."""

    typed: ClassVar[bool] = False

    method: str
    params: Raw = _NULL
    """As JSON, not decoded yet: an object, an array, or null where there are none."""
    id: Raw = _ABSENT
    """As JSON, echoed as it came; nothing at all for a notification."""
    meta: bool = False
    close: bool = False

    def frame_result(self, result: object, *, meta: Meta | None = None, close: bool = False) -> bytes:
        """Write the reply as a frame.

        Raises:
            EncodeError: JSON cannot carry the result.
            FrameTooLarge: the reply is longer than a prefix can say.
        """
        return self._frame(b'{"jsonrpc":"2.0","result":' + encode_value(result), meta, close)

    def frame_fault(self, fault: Fault, *, meta: Meta | None = None, close: bool = False) -> bytes:
        """Write an error reply as a frame.

        Raises:
            EncodeError: JSON cannot carry the fault's data.
        """
        return self._frame(b'{"jsonrpc":"2.0","error":' + (fault.json or encode_value(fault)), meta, close)

    def _frame(self, outcome: bytes, meta: Meta | None, close: bool) -> bytes:
        # Strict clients refuse members that they do not know, so only who asks for one gets it.
        close = close and self.close
        if self.id is _ABSENT:
            return GOODBYE if close else b""
        asked = optional_keys(UNSET, meta, close) if meta is not None or close else b""
        return frame(b'%b,"id":%b%b}' % (outcome, self.id, asked))


UNREADABLE: Final = JsonRpcRequest("", id=_NULL)
"""Stands for a request that could not be read, or for none: what is said to it has the id null."""


class InvalidCall(InvalidRequest):
    """JSON-RPC's key is there, but it is no call; `request` stands for it in the reply."""

    def __init__(self, reason: str, request: JsonRpcRequest) -> None:
        super().__init__(reason)
        self.request = request


class _Members(msgspec.Struct, frozen=True):
    jsonrpc: Any = UNSET
    method: Any = UNSET
    params: Raw = _NULL
    id: Raw = _ABSENT
    meta: Any = False
    close: Any = False


_read: Final = msgspec.json.Decoder(_Members).decode
_read_batch: Final = msgspec.json.Decoder(list[Raw]).decode


def read_call(body: bytes | bytearray | Raw) -> JsonRpcRequest | None:
    """Read a request of JSON-RPC; None is what is no object with the key "jsonrpc".

    Raises:
        ParseError: the body is not JSON.
        InvalidCall: it is, but no call.
    """
    try:
        members = _read(body)
    except msgspec.ValidationError:
        return None
    except READ_ERRORS as error:
        raise parse_error(error) from None
    if members.jsonrpc is UNSET:
        return None
    if members.id is not _ABSENT and not _is_id(members.id):
        raise InvalidCall(f"an id is a string, a number or null; {FORM}", UNREADABLE)
    method = members.method
    if members.jsonrpc != _VERSION:
        problem = f'"jsonrpc" must be "{_VERSION}"'
    elif not isinstance(method, str):
        problem = 'the key "method" must be a string'
    elif memoryview(members.params)[0] not in b"{[n":
        problem = "params are an object or an array"
    else:
        return JsonRpcRequest(method, members.params, members.id, members.meta is True, members.close is True)
    asked = UNREADABLE if members.id is _ABSENT else JsonRpcRequest("", id=members.id)
    raise InvalidCall(f"{problem}; {FORM}", asked)


def is_batch(body: bytes | bytearray | Raw) -> bool:
    """Whether a body is an array, which in this envelope is a batch of calls."""
    return _ARRAY.match(body) is not None


def read_batch(body: bytes | bytearray) -> list[Raw]:
    """Take the members of a batch apart, without reading them.

    Raises:
        ParseError: the body is not JSON.
        InvalidCall: the batch is empty.
    """
    try:
        members = _read_batch(body)
    except READ_ERRORS as error:
        raise parse_error(error) from None
    if not members:
        raise InvalidCall("a batch holds at least one call", UNREADABLE)
    return members


def frame_batch(replies: list[bytes], *, close: bool = False) -> bytes:
    """Write the framed replies of a batch's calls as one frame, or as nothing where all were notifications.

    Raises:
        FrameTooLarge: they are longer than a prefix can say.
    """
    bodies = [reply[PREFIX_SIZE:] for reply in replies if reply]
    if not bodies:
        return GOODBYE if close else b""
    if close:
        bodies[-1] = bodies[-1][:-1] + b',"close":true}'
    return frame(b"[" + b",".join(bodies) + b"]")


def frame_refusals(body: bytes | bytearray, fault: Fault, *, close: bool = False) -> bytes | None:
    """Answer a body, whose calls are not run or not waited for, with the same fault for each of them.

    None is returned for a body that is none of this envelope.
    """
    try:
        if not is_batch(body):
            request = read_call(body)
            return None if request is None else request.frame_fault(fault, close=close)
        members = read_batch(body)
    except MessageError:
        return None
    return frame_batch([_refuse(member, fault) for member in members], close=close)


def _refuse(member: Raw, fault: Fault) -> bytes:
    try:
        request = read_call(member)
    except MessageError:
        request = None
    return (request or UNREADABLE).frame_fault(fault)


def _is_id(raw: Raw) -> bool:
    if _PLAIN_ID.fullmatch(raw):
        return True
    try:
        value = decode_params(raw)
    except ParseError:
        return False
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))
