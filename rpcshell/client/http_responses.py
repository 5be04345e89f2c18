"""What a response of HTTP is: the message that was asked for, a stream of them, or what there is instead.

The data of a stream of events is JSON (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from rpcshell.client.dialects.lenient import as_number, nearly_json
from rpcshell.client.errors import ProtocolError, ShellError
from rpcwire import MAX_REPLY, ErrorCode, MessageError, decode_value, encode_value

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from rpcshell.client.target import HttpTarget

_PIECE: Final = 1024 * 1024
_SHOWN: Final = 200
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LONGEST_DIGITS: Final = 9
_MEDDLED: Final = "does a proxy in between pass on what it should not?"
_HINTS: Final = {
    401: "it wants to know who asks: give an Authorization header, by `headers` of a target in the configuration",
    403: "it does not let this client in",
    404: "is this the path?",
    405: "is this the path? it takes no POST",
}


class NoMessage(ProtocolError):
    """A response is no message; `status` is that of the response."""

    def __init__(self, message: str, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class EventPlace(msgspec.Struct):
    """How far a stream has come, so that another request can go on with it."""

    ANY: ClassVar[object] = object()
    """For `id`: there is a reply, and nothing tells it."""

    id: object = None
    """What the reply has that the stream is there for; None where it is there for none."""
    answered: bool = False
    """Whether that reply has come."""
    last: str | None = None
    """The id of the last event, or None where the server has given none: then nothing can go on."""
    pause: float = _PAUSE
    """Seconds to wait before going on."""

    def receive(
        self,
        response: HTTPResponse,
        give: Callable[[bytes], object],
        on_endpoint: Callable[[str], object] | None = None,
    ) -> None:
        """Read a stream to its end, and `give` each message that is in it, with its newline.

        Events named `endpoint` are no messages where there is `on_endpoint`, which is given their data.

        Raises:
            ProtocolError: An event is larger than a reply may be.
            HTTPException, OSError: The stream is broken, or cannot be read.
        """
        data: list[bytes] = []
        kind = b""
        size = 0
        while line := response.readline(MAX_REPLY + 1):
            size += len(line)
            if size > MAX_REPLY:
                raise ProtocolError(f"a server's event is over the limit of {MAX_REPLY} bytes")
            name, _, value = line.rstrip(b"\r\n").partition(b":")
            value = value.removeprefix(b" ")
            match name:
                case b"" if not line.rstrip(b"\r\n"):
                    if on_endpoint is not None and kind == b"endpoint":
                        on_endpoint(b"\n".join(data).decode("utf-8", "replace"))
                    elif (message := b"\n".join(data)).strip():
                        give(self.addressed(message) + b"\n")
                    data, kind, size = [], b"", 0
                case b"event":
                    kind = value
                case b"data":
                    data.append(value)
                case b"id" if value.isascii() and value.decode("ascii").isprintable():
                    self.last = value.decode("ascii")
                case b"retry" if value.isdigit() and len(value) <= _LONGEST_DIGITS:
                    self.pause = min(max(int(value) / 1000, _PAUSE), _LONGEST_PAUSE)

    def addressed(self, body: bytes) -> bytes:
        """A message, and if it is the reply, then `answered` is set; an error that names no request is that of this."""
        if not isinstance(self.id, int | str) or self.answered:
            return body
        try:
            decoded = nearly_json(body)
        except MessageError:
            return body
        for one in decoded if isinstance(decoded, list) else (decoded,):
            if not isinstance(one, dict) or "method" in one:
                continue
            if one.get("id") == self.id or (isinstance(self.id, int) and as_number(one.get("id")) == self.id):
                self.answered = True
            elif one.get("id") is None and "error" in one:
                # It could not be read far enough to tell whose it was, or did not get that far.
                self.answered = True
                return encode_value({**one, "id": self.id})
        return body


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
    """See that a response does not say twice how long it is, and each time another length (RFC 9112, section 6.3).

    Raises:
        ProtocolError: It does, or what it says is no length.
    """
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
