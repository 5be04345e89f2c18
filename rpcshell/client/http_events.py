"""A stream of events whose data is JSON (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rpcshell.client.dialects.lenient import as_number, nearly_json
from rpcshell.client.errors import ProtocolError
from rpcwire import MAX_REPLY, MessageError, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

__all__ = ["EventPlace"]

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LONGEST_DIGITS: Final = 9


class EventPlace:
    """How far a stream has come, so that another request can go on with it.

    Attributes:
        id: What the reply has that the stream is there for; None where it is there for none.
        answered: Whether that reply has come.
        last: The id of the last event, or None where the server has given none: then nothing can go on.
        pause: Seconds to wait before going on.
    """

    ANY: ClassVar[object] = object()
    """For `id`: there is a reply, and nothing tells it."""

    def __init__(self, id: object = None) -> None:
        self.id = id
        self.answered = False
        self.last: str | None = None
        self.pause = _PAUSE

    def receive(
        self,
        response: HTTPResponse,
        give: Callable[[bytes], object],
        on_endpoint: Callable[[str], object] | None = None,
    ) -> None:
        """Read a stream to its end, and `give` each message that is in it, with its newline.

        Events named `endpoint` are none where there is `on_endpoint`, which is given their data. What is broken raises
        HTTPException or OSError, what is larger than a reply may be ProtocolError.
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
