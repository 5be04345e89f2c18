"""What a response of HTTP is: the message that was asked for, or what there is instead; whose reply a message has."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from rpcshell.client.dialects.lenient import nearly_json
from rpcshell.client.errors import ProtocolError, ShellError
from rpcshell.client.http_events import EventPlace
from rpcwire import MAX_REPLY, ErrorCode, MessageError, decode_value, encode_value

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from rpcshell.client.target import HttpTarget

__all__ = [
    "NoMessage",
    "check_length",
    "error_message",
    "message_of",
    "reply_id",
    "status_hint",
    "unusable",
    "whole_body",
]

_PIECE: Final = 1024 * 1024
_SHOWN: Final = 200
_MEDDLED: Final = "does a proxy in between pass on what it should not?"
_HINTS: Final = {
    401: "it wants to know who asks: give an Authorization header, by `headers` of a target in the configuration",
    403: "it does not let this client in",
    404: "is this the path?",
    405: "is this the path? it takes no POST",
}


class NoMessage(ProtocolError):
    """A response, of this status, is no message."""

    def __init__(self, message: str, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def message_of(response: HTTPResponse, place: EventPlace, target: HttpTarget) -> bytes:
    """The message that a response is, with its newline, or nothing; it answers the one whose `place` this is.

    Raises:
        NoMessage: It is another kind of response.
        ProtocolError: Its body is over the limit.
        HTTPException, OSError: It has broken off.
    """
    body = whole_body(response, target)
    if not _is_message(body, response.status):
        if response.status >= HTTPStatus.MULTIPLE_CHOICES or body.strip():
            raise unusable(response, body, target)
        place.answered = True
        return b""
    if place.id is None and response.status >= HTTPStatus.MULTIPLE_CHOICES:
        # No call made that request, so none may take this for its reply.
        return b""
    message = place.addressed(body)
    place.answered = True
    return message + b"\n"


def check_length(response: HTTPResponse, target: HttpTarget) -> None:
    """Refuse a response that says twice how long it is, and not the same (RFC 9112, section 6.3), or says no length."""
    lengths = {length.strip() for length in response.headers.get_all("Content-Length", ())}
    if len(lengths) > 1:
        both = " and ".join(sorted(lengths))
        raise ProtocolError(f"{target} answered with two lengths, Content-Length {both}", hint=_MEDDLED)
    if not all(one.isascii() and one.isdigit() for one in lengths):
        raise ProtocolError(f"{target} answered with a Content-Length that is no number", hint=_MEDDLED)


def whole_body(response: HTTPResponse, target: HttpTarget) -> bytes:
    """All of a response's body; errors are those of `message_of`."""
    if response.length is not None and response.length <= MAX_REPLY:
        # Only this tells of a body that was cut off.
        return response.read()
    body = bytearray()
    while len(body) <= MAX_REPLY and response.length is None and (piece := response.read(_PIECE)):
        body += piece
    if response.length is not None or len(body) > MAX_REPLY:
        raise ProtocolError(f"{target} sent a body over the limit of {MAX_REPLY} bytes")
    return bytes(body)


def unusable(response: HTTPResponse, body: bytes, target: HttpTarget) -> NoMessage:
    """The error for a response that is no message."""
    status = response.status
    if (location := response.getheader("Location")) is not None and status // 100 == 3:
        return NoMessage(f"{target} has moved: HTTP {status}", status, f"connect to {location}")
    said = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
    what = f"HTTP {status} {response.reason}" + (f": {said}" if said else "")
    no_message = "no message: " if status < HTTPStatus.MULTIPLE_CHOICES else ""
    return NoMessage(f"{target} answered {no_message}{what}", status, status_hint(status, target))


def status_hint(status: int, target: HttpTarget) -> str | None:
    """What to do about a response of this status."""
    if status == HTTPStatus.UNAUTHORIZED and any(name.lower() == "authorization" for name, _ in target.headers):
        return "it does not take the Authorization header that it was given"
    return _HINTS.get(status)


def error_message(error: ShellError, id: object) -> bytes:
    """An error as the reply to a message, with its newline."""
    fault = {"code": int(ErrorCode.APPLICATION_ERROR), "message": str(error)}
    return encode_value({"jsonrpc": "2.0", "id": id, "error": fault}) + b"\n"


def reply_id(message: bytes) -> object:
    """What tells the reply to a message: None where it has none, `EventPlace.ANY` where that cannot be told."""
    decoded = decode_value(message)
    if not isinstance(decoded, dict) or {"method", "result", "error"}.isdisjoint(decoded):
        return EventPlace.ANY
    return decoded.get("id") if "method" in decoded else None


def _is_message(body: bytes, status: int) -> bool:
    """Whether a body is an object or an array of JSON-RPC, rather than the words of a proxy or a framework.

    Those say "error" too, where there is one.
    """
    try:
        message = nearly_json(body)
    except MessageError:
        return False
    if not isinstance(message, dict):
        return isinstance(message, list)
    marked = status < HTTPStatus.MULTIPLE_CHOICES or not {"jsonrpc", "id"}.isdisjoint(message)
    return marked and not {"result", "error", "method"}.isdisjoint(message)
