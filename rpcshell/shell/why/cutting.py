"""A stream of bytes cut into the frames it is made of, by any framing, as far as the bytes are there.

It is for showing: what no frame can begin with is kept as it is. Decoding is `rpcwire.framings`'s.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

from rpcwire.framing import PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

HTTP_BODIES: Final = "http"
"""For a framing: bodies of HTTP, each of which is a message, with a newline after it."""

_HEADERS_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BLANKS: Final = b" \t\r\n\x1e\xff"
"""What may stand between the values of a stream; QEMU's guest agent sends 0xff to resynchronise."""


class WireFrame(msgspec.Struct, frozen=True):
    """A frame as far as its bytes are there: a length or headers, its message, and what ends it."""

    head: bytes = b""
    body: bytes = b""
    tail: bytes = b""
    missing: int | None = 0
    """How many bytes of it, or None where some are and nothing tells how many."""
    about: str = ""
    """What the head, or else the tail, says."""

    @property
    def whole(self) -> bool:
        """Whether all of it is there."""
        return self.missing == 0


def cut_frames(data: bytes, framing: str = "u32le") -> list[WireFrame]:
    """The frames of a stream of bytes, from the beginning of one on; the last may not be whole.

    The framing is one of `rpcwire.framings.FRAMINGS`, or HTTP_BODIES; of any other nothing is cut.
    """
    found = []
    cut = _CUTS.get(framing, _uncut)
    while data:
        one, data = cut(data)
        found.append(one)
    return found


def _counted(data: bytes, order: Literal["little", "big"]) -> tuple[WireFrame, bytes]:
    head, rest = data[:PREFIX_SIZE], data[PREFIX_SIZE:]
    if len(head) < PREFIX_SIZE:
        return WireFrame(head, missing=None, about=f"{len(head)} of the {PREFIX_SIZE} bytes of a length"), b""
    length = int.from_bytes(head, order)
    body, rest = rest[:length], rest[length:]
    about = f"length {length} = 0x{length:x}, {order}-endian"
    return WireFrame(head, body, missing=length - len(body), about=about), rest


def _ended(data: bytes, end: bytes, about: str) -> tuple[WireFrame, bytes]:
    body, tail, rest = data.partition(end)
    if not tail:
        return WireFrame(body=body, missing=None), b""
    if body.endswith(b"\r") and end == b"\n":
        body, tail = body[:-1], b"\r\n"
    return WireFrame(body=body, tail=tail, about=about), rest


def _with_headers(data: bytes) -> tuple[WireFrame, bytes]:
    headers, end, rest = data.partition(_HEADERS_END)
    length = _LENGTH.search(headers)
    if not end or length is None:
        return _uncut(data)
    size = int(length[1])
    body, rest = rest[:size], rest[size:]
    about = f"headers of {len(headers) + len(end)} bytes, then {size} bytes"
    return WireFrame(headers + end, body, missing=size - len(body), about=about), rest


def _value(data: bytes) -> tuple[WireFrame, bytes]:
    """One JSON value, which ends where it is complete."""
    body = data.lstrip(_BLANKS)
    head = data[: len(data) - len(body)]
    text = body.decode("utf-8", "surrogateescape")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return WireFrame(body=data, missing=None if body else 0), b""
    size = len(text[:end].encode("utf-8", "surrogateescape"))
    rest = body[size:]
    tail = rest[: len(rest) - len(rest.lstrip(_BLANKS))]
    return WireFrame(head, body[:size], tail, about="what parts two values"), rest[len(tail) :]


def _body(data: bytes) -> tuple[WireFrame, bytes]:
    """One body of HTTP; the newline after it stands for its end, and was never sent."""
    frame, rest = _value(data)
    return msgspec.structs.replace(frame, tail=b"", about=""), rest


def _uncut(data: bytes) -> tuple[WireFrame, bytes]:
    return WireFrame(body=data, missing=None), b""


_CUTS: Final[dict[str, Callable[[bytes], tuple[WireFrame, bytes]]]] = {
    "u32le": lambda data: _counted(data, "little"),
    "u32be": lambda data: _counted(data, "big"),
    "line": lambda data: _ended(data, b"\n", "the end of the line"),
    "nul": lambda data: _ended(data, b"\0", "NUL"),
    "content-length": _with_headers,
    "stream": _value,
    HTTP_BODIES: _body,
}
"""Each takes the first frame from some bytes, and leaves the rest."""
