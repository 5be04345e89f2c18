"""Framings beside the native one, and the table of all: how a byte stream is cut into messages, whatever they say.

Each decoder goes through every byte once, however the stream is cut, and holds no more than one frame over its limit.
What is inside the frames is the business of envelopes.
"""

from __future__ import annotations

import re
import struct
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Final

import msgspec

from rpcwire.errors import EmptyFrame, FrameError, FrameTooLarge, TruncatedFrame
from rpcwire.framing import LARGEST_LENGTH, PREFIX_SIZE, FrameDecoder, frame

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER_LIMIT: Final = 8 * 1024
_length_be = struct.Struct(">I")
_QUOTE: Final = ord('"')
_NUL: Final = b"\0"
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_STRING_END: Final = re.compile(rb'["\\]')
_CONTENT_LENGTH: Final = re.compile(rb"(?:^|\n)content-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r?\n|$)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_BLANK_LINES: Final = re.compile(rb"[\r\n]+")
_FIELD: Final = re.compile(rb"content-(?:length|type)[ \t]*:", re.IGNORECASE)
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")


class _Buffered:
    """What all decoders but the native one share: the bytes not taken yet, and how far they have been looked at.

    Their methods do what those of the native one do; see `Decoder`.
    """

    between = False
    """Whether what was taken last is no frame but a line between frames, where these are allowed."""

    _may_be_marked = True

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._buffer = bytearray()
        self._seen = 0
        self._failure: FrameError | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> bytes | None:
        if self._failure is not None:
            raise self._failure
        if self._may_be_marked and not self._past_mark():
            return None
        try:
            return self._next()
        except FrameError as error:
            self._failure = error
            raise

    @property
    def held(self) -> int:
        return len(self._buffer)

    def beginning(self, count: int) -> bytes:
        return bytes(self._buffer[:count])

    def skip_frame(self) -> bool:
        # Where the frame ends is not known before it has come.
        return False

    def clear(self) -> None:
        self._buffer.clear()

    @property
    def mid_frame(self) -> bool:
        return bool(self._buffer)

    def feed_eof(self) -> None:
        if self._buffer:
            raise TruncatedFrame(len(self._buffer), None)

    def _past_mark(self) -> bool:
        """Skip the mark of UTF-8 (BOM) with which .NET begins; whether enough has come to tell if there is one."""
        begun = bytes(self._buffer[: len(BOM_UTF8)])
        if begun == BOM_UTF8:
            del self._buffer[: len(BOM_UTF8)]
        elif BOM_UTF8.startswith(begun):
            return False
        self._may_be_marked = False
        return True

    def _next(self) -> bytes | None:
        raise NotImplementedError

    def _take(self, start: int, end: int, after: int) -> bytes:
        """The bytes from start to end; everything before `after` is let go of."""
        self._check(end - start)
        with memoryview(self._buffer) as view:
            body = bytes(view[start:end])
        # Dropping from the front moves a pointer, not bytes.
        del self._buffer[:after]
        self._seen = 0
        return body

    def _check(self, length: int) -> None:
        if length > self.max_frame:
            raise FrameTooLarge(length, self.max_frame)


class InterruptedDecoder(_Buffered):
    """Decoders that can tell what was printed between frames, line by line, from these."""

    lines_between = False
    """Whether there may be such lines; otherwise the stream is out of step."""

    def _line_between(self) -> bytes | None:
        """Take the line that the buffer begins with, once it is whole."""
        end = self._buffer.find(b"\n", self._seen)
        if end < 0:
            self._seen = len(self._buffer)
            self._check(self._seen)
            return None
        self.between = True
        return self._take(0, end, end + 1).rstrip(b"\r")


class LineDecoder(_Buffered):
    r"""Messages that end with `\n`, or `\r\n`; empty lines are none.

    One that begins as the native framing's prefix does, with a NUL in its first bytes, would wait for its end for ever.
    """

    _delimiter = b"\n"
    _empty = re.compile(rb"[ \t\r\n]*\n")
    """Messages that are none, as many as there are: one after the other they would take a while."""

    _refuses_nul = True

    def _next(self) -> bytes | None:
        while (end := self._buffer.find(self._delimiter, self._seen)) >= 0:
            self._refuse_prefix(end)
            if body := self._take(0, end, end + 1).strip(b" \t\r\n"):
                return body
            if empty := self._empty.match(self._buffer):
                del self._buffer[: empty.end()]
        self._seen = len(self._buffer)
        self._refuse_prefix(self._seen)
        self._check(self._seen)
        return None

    def _refuse_prefix(self, end: int) -> None:
        if self._refuses_nul and self._buffer.find(_NUL, 0, min(end, PREFIX_SIZE)) >= 0:
            raise FrameError("a line of JSON has no NUL in it: does the other side speak another framing?")


class _NulDecoder(LineDecoder):
    """Messages that end with a NUL, as varlink's."""

    _delimiter = _NUL
    _empty = re.compile(rb"(?:[ \t\r\n]*\0)+")
    _refuses_nul = False


class _BigEndianDecoder(_Buffered):
    """The native framing with the length's bytes the other way round, as Erlang's `{packet, 4}`."""

    _may_be_marked = False

    def _next(self) -> bytes | None:
        if len(self._buffer) < PREFIX_SIZE:
            return None
        (length,) = _length_be.unpack_from(self._buffer)
        if not length:
            raise EmptyFrame
        self._check(length)
        end = PREFIX_SIZE + length
        return self._take(PREFIX_SIZE, end, end) if len(self._buffer) >= end else None


class _ContentLengthDecoder(InterruptedDecoder):
    """Headers, an empty line, and as many bytes as `Content-Length` says (LSP's base protocol).

    Lengths that contradict each other are refused, as RFC 9112 has it (section 6.3): who reads another one than whoever
    passes it on is made to take one message for two.
    """

    _body: tuple[int, int] | None = None

    def _next(self) -> bytes | None:
        self.between = False
        if self._body is None:
            if self.lines_between and not self._begins_with_field():
                return self._line_between()
            self._body = self._header()
            if self._body is None:
                return None
        start, end = self._body
        if len(self._buffer) < end:
            return None
        self._body = None
        return self._take(start, end, end)

    def _begins_with_field(self) -> bool:
        if begun := _BLANK_LINES.match(self._buffer):
            del self._buffer[: begun.end()]
            self._seen = 0
        return _FIELD.match(self._buffer) is not None

    def _header(self) -> tuple[int, int] | None:
        """Where the body begins and ends, once its header is whole."""
        found = _HEADER_END.search(self._buffer, max(self._seen - 3, 0))
        if (found.start() if found else len(self._buffer)) > _HEADER_LIMIT:
            raise FrameError(f"no header ends within {_HEADER_LIMIT} bytes")
        if self._buffer.find(_NUL, 0, min(found.start() if found else PREFIX_SIZE, PREFIX_SIZE)) >= 0:
            raise FrameError("a header has no NUL in it: does the other side speak another framing?")
        if found is None:
            self._seen = len(self._buffer)
            return None
        header = bytes(self._buffer[: found.start()])
        lengths = set(_CONTENT_LENGTH.findall(header))
        if not lengths:
            raise FrameError("a header has no Content-Length")
        length = lengths.pop()
        if lengths:
            raise FrameError("a header has two values of Content-Length")
        if not _LENGTH.fullmatch(length):
            raise FrameError("a header has a Content-Length that is no number of bytes")
        self._check(int(length))
        return found.end(), found.end() + int(length)


class _StreamDecoder(InterruptedDecoder):
    """JSON objects and arrays one after another, with or without white space between them."""

    _depth = 0
    _in_string = False

    @property
    def mid_frame(self) -> bool:
        """Whether a value has begun to arrive and is not taken yet."""
        return self._depth > 0 or bool(self._buffer.strip(b" \t\r\n"))

    def feed_eof(self) -> None:
        """Say that the stream has ended; white space may be left.

        Raises:
            TruncatedFrame: It ended inside a value.
        """
        if self.mid_frame:
            super().feed_eof()

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if not self._depth:
            if (begun := _SPACE.match(buffer)) and begun.end():
                del buffer[: begun.end()]
            self.between = False
            if buffer and buffer[0] not in b"{[":
                if self.lines_between:
                    return self._line_between()
                raise FrameError(f"a JSON object or array begins with {{ or [, not with byte 0x{buffer[0]:02x}")
        end = self._value_end()
        if end is None:
            self._check(len(buffer))
            return None
        return self._take(0, end, end)

    def _value_end(self) -> int | None:
        """Where the value ends, if that has arrived; looks at what it has not seen yet."""
        while self._seen < len(self._buffer):
            if self._in_string:
                self._skip_string()
            elif (end := self._skip_structure()) is not None:
                return end
        return None

    def _skip_string(self) -> None:
        """Go on to the end of the string, or to the next backslash in it."""
        found = _STRING_END.search(self._buffer, self._seen)
        if found is None:
            self._seen = len(self._buffer)
            return
        self._in_string = found[0] == b"\\"
        # What a backslash escapes may still have to come.
        self._seen = found.end() + self._in_string

    def _skip_structure(self) -> int | None:
        """Go on to the end of the value, which is returned, or to a string that is not whole."""
        buffer, depth = self._buffer, self._depth
        for token in _TOKEN.finditer(buffer, self._seen):
            first = buffer[token.start()]
            if first == _QUOTE:
                if token.end() == token.start() + 1:
                    self._in_string, self._seen, self._depth = True, token.end(), depth
                    return None
            elif first in b"{[":
                depth += 1
            else:
                depth -= 1
                if not depth:
                    self._depth = 0
                    return token.end()
        self._seen, self._depth = len(buffer), depth
        return None


Decoder = FrameDecoder | _Buffered
"""Cuts a stream into the bodies of frames, of which none may have more bytes than it was made for.

`FrameDecoder` tells what the methods do. `next_frame` raises a FrameError where the stream is out of step: after every
good frame before that was taken, and then at every further call.
"""


class Framing(msgspec.Struct, frozen=True):
    """One way to put messages into a stream: what is put around a body, and what finds it again."""

    frame: Callable[[bytes], bytes]
    decoder: Callable[[int], Decoder]


def _frame_be(body: bytes) -> bytes:
    if len(body) > LARGEST_LENGTH:
        raise FrameTooLarge(len(body), LARGEST_LENGTH)
    return _length_be.pack(len(body)) + body


FRAMINGS: Final = {
    "u32le": Framing(frame, FrameDecoder),
    "u32be": Framing(_frame_be, _BigEndianDecoder),
    "line": Framing(lambda body: body.replace(b"\n", b" ") + b"\n", LineDecoder),
    "nul": Framing(lambda body: body + b"\0", _NulDecoder),
    "content-length": Framing(lambda body: b"Content-Length: %d\r\n\r\n" % len(body) + body, _ContentLengthDecoder),
    "stream": Framing(lambda body: body + b"\n", _StreamDecoder),
}
"""Every framing by its name. Bodies are JSON, which has no NUL in it, and a line's end only between its tokens."""
