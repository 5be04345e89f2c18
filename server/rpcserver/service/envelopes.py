"""The two envelopes that a server reads, told apart message by message: the protocol's own, and JSON-RPC 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcwire import (
    MAX_REPLY,
    NO_REQUEST,
    ErrorCode,
    Fault,
    InvalidRequest,
    MessageError,
    ParseError,
    Request,
    decode_request,
)
from rpcwire.jsonrpc import (
    FORM,
    UNREADABLE,
    InvalidCall,
    JsonRpcRequest,
    frame_batch,
    frame_refusals,
    is_batch,
    read_batch,
    read_call,
)

if TYPE_CHECKING:
    from msgspec import Raw

    from rpcserver.service.context import Peer

AnyRequest = Request | JsonRpcRequest
"""A request of either envelope."""


def read_any(body: bytes | bytearray, peer: Peer) -> AnyRequest:
    """Read a request, and note whether its sender speaks JSON-RPC.

    Raises:
        MessageError: it cannot be read; the error reply is to `unread`.
    """
    if not peer.jsonrpc:
        try:
            return decode_request(body)
        except ParseError:
            raise
        except InvalidRequest:
            # No variable keeps it: its traceback would keep that, and both the body.
            request = _read_call(body, peer)
            if request is None:
                raise
            return request
    request = _read_call(body, peer)
    if request is not None:
        return request
    if is_batch(body):
        read_batch(body)
    try:
        return decode_request(body)
    except MessageError:
        raise InvalidCall(FORM, UNREADABLE) from None


def _read_call(body: bytes | bytearray, peer: Peer) -> JsonRpcRequest | None:
    try:
        request = read_call(body)
    except InvalidCall:
        peer.jsonrpc = True
        raise
    if request is not None:
        peer.jsonrpc = True
    return request


def read_members(body: bytes | bytearray, peer: Peer) -> list[Raw]:
    """Take a batch apart; what is none, or none that can be read, has no members."""
    if not is_batch(body) or not (peer.jsonrpc or b'"jsonrpc"' in body):
        return []
    try:
        members = read_batch(body)
    except MessageError:
        return []
    peer.jsonrpc = True
    return members


def unread(error: MessageError, peer: Peer) -> AnyRequest:
    """Return what stands for a request that could not be read, to be answered in the envelope of its sender."""
    return error.request if isinstance(error, InvalidCall) else stand_in(peer)


def stand_in(peer: Peer) -> AnyRequest:
    """Return what stands for a request that was not read."""
    return UNREADABLE if peer.jsonrpc else NO_REQUEST


def method_of(body: bytes | bytearray) -> str:
    """Return the method that a request calls, for logs; "batch" for several, and "" for what cannot be read."""
    if is_batch(body) and b'"jsonrpc"' in body:
        return "batch"
    try:
        return decode_request(body).method
    except MessageError:
        try:
            request = read_call(body)
        except MessageError:
            return ""
        return "" if request is None else request.method


def refuse_body(body: bytes | bytearray, fault: Fault, *, close: bool) -> bytes:
    """Answer a body whose request is not run, or not waited for, with a fault, as a frame."""
    try:
        return decode_request(body).frame_fault(fault, close=close)
    except MessageError:
        refused = frame_refusals(body, fault, close=close)
        return NO_REQUEST.frame_fault(fault, close=close) if refused is None else refused


class BatchReplies:
    """The replies to the calls of a batch, until they go out together.

    What they may hold is bounded, as a batch of one frame could ask for any amount: past the bound calls are not run.
    """

    def __init__(self) -> None:
        self._replies: list[bytes] = []
        self._size = 0

    def refusal(self, member: Raw) -> bytes | None:
        """Return the reply to what is not run, or None."""
        if self._size > MAX_REPLY:
            text = f"not run, as the replies to the calls before it have {self._size} bytes: send fewer calls at once"
            return frame_refusals(member, Fault(ErrorCode.FRAME_TOO_LARGE, text))
        if is_batch(member):
            return UNREADABLE.frame_fault(Fault(ErrorCode.INVALID_REQUEST, f"a batch holds calls; {FORM}"))
        return None

    def add(self, reply: bytes) -> None:
        """Keep the reply to a call, or nothing for a notification."""
        self._replies.append(reply)
        self._size += len(reply)

    def frame(self, close: bool) -> bytes:
        """Write all of them as one frame."""
        return frame_batch(self._replies, close=close)
