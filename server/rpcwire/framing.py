"""Frames: a 4-byte unsigned little-endian length, then that many bytes.

What the bytes mean is the business of `rpcwire.messages`; other framings belong in modules beside this one.
"""

from __future__ import annotations

import struct
from typing import Final

from rpcwire.errors import EmptyFrame, FrameError, FrameTooLarge, TruncatedFrame

PREFIX_SIZE: Final = 4
"""Bytes of the length prefix."""

MAX_REQUEST: Final = 16 * 1024 * 1024
"""The largest request body a server reads unless told otherwise, in bytes."""

MAX_REPLY: Final = 256 * 1024 * 1024
"""The largest reply body a client reads unless told otherwise, in bytes."""

LARGEST_LENGTH: Final = 0xFFFF_FFFF
"""The longest body a prefix can announce, in bytes."""

_prefix = struct.Struct("<I")
pack_length = _prefix.pack
_unpack_length = _prefix.unpack_from


def frame(body: bytes) -> bytes:
    """Put the length prefix before `body`.

    Raises:
        FrameTooLarge: the body is longer than the prefix can say (4 GiB - 1).
    """
    if len(body) > LARGEST_LENGTH:
        raise FrameTooLarge(len(body), LARGEST_LENGTH)
    return pack_length(len(body)) + body


class FrameDecoder:
    """Cuts a byte stream into frames, without doing any I/O itself.

    Feed it what a read brought, then take frames until there is none:

        decoder.feed(data)
        while (body := decoder.next_frame()) is not None:
            ...

    A prefix is judged as soon as its four bytes are there, before anything is allocated for the frame.

    Args:
        max_frame: the largest body accepted, in bytes.
    """

    __slots__ = ("_buffer", "_failure", "_skipped", "_start", "max_frame")

    between = False
    """Nothing is allowed between frames."""

    def __init__(self, max_frame: int = MAX_REQUEST) -> None:
        self.max_frame = max_frame
        # What the read brought, as it is, while every read holds whole frames; else a growing bytearray.
        self._buffer: bytes | bytearray = b""
        self._start = 0
        self._failure: FrameError | None = None
        # What is still to come of the frame that is thrown away, whose prefix is all that is kept of it.
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Add what a read brought."""
        if self._skipped:
            rest = data[self._skipped :]
            self._skipped = max(0, self._skipped - len(data))
            if self._skipped:
                return
            self._buffer, data = b"", rest
        start = self._start
        buffer = self._buffer
        if start == len(buffer):
            self._buffer = data
            self._start = 0
            return
        if not isinstance(buffer, bytearray):
            self._buffer = buffer = bytearray(buffer)
        if start:
            # Dropping from the front moves a pointer, not bytes: feeding a large frame in pieces is linear.
            del buffer[:start]
            self._start = 0
        buffer += data

    def next_frame(self) -> bytes | bytearray | None:
        """Take the next whole body, or None when more bytes are needed.

        Raises:
            FrameTooLarge: the prefix is over `max_frame`.
            EmptyFrame: the prefix is zero.

        Both come only after every good frame before them was taken, and then at every further call.
        """
        if self._failure is not None:
            raise self._failure
        buffer = self._buffer
        body_start = self._start + PREFIX_SIZE
        if body_start > len(buffer):
            return None
        (length,) = _unpack_length(buffer, self._start)
        if length > self.max_frame or not length:
            self._failure = FrameTooLarge(length, self.max_frame) if length else EmptyFrame()
            raise self._failure
        end = body_start + length
        size = len(buffer)
        if end < size:
            self._start = end
            return buffer[body_start:end]
        if end > size:
            return None
        # Nothing is kept of what is taken, and a large body that came in many reads is not copied.
        self._buffer = b""
        self._start = 0
        if not isinstance(buffer, bytearray):
            return buffer[body_start:]
        del buffer[:body_start]
        return buffer

    def sole_frame(self, data: bytes) -> bytes | None:
        """Take the body of a read that is exactly one frame, as nearly every read is, without feeding it.

        Returns:
            The body, or None, and then nothing has been done: feed the read and take frames as usual.
        """
        length = len(data) - PREFIX_SIZE
        if self._start < len(self._buffer) or not 0 < length <= self.max_frame or _unpack_length(data)[0] != length:
            return None
        return data[PREFIX_SIZE:]

    def skip_frame(self) -> bool:
        """Throw away what has come of the frame that is not whole yet, and what comes of it, and stay in step.

        Only after `next_frame` has returned None; without a prefix nothing is done, and False returned.
        """
        if len(self._buffer) - self._start < PREFIX_SIZE:
            return False
        if not self._skipped:
            (length,) = _unpack_length(self._buffer, self._start)
            self._skipped = self._start + PREFIX_SIZE + length - len(self._buffer)
            self._buffer = bytes(self._buffer[self._start : self._start + PREFIX_SIZE])
            self._start = 0
        return True

    def clear(self) -> None:
        """Throw away all that has come; nothing is read here any more."""
        self._buffer = b""
        self._start = self._skipped = 0

    @property
    def held(self) -> int:
        """How many bytes are held that were not taken."""
        return len(self._buffer) - self._start

    def beginning(self, count: int) -> bytes:
        """The first bytes, up to `count`, of what is held and was not taken."""
        return bytes(self._buffer[self._start : self._start + count])

    @property
    def mid_frame(self) -> bool:
        """Whether bytes of a frame that is not whole yet are held (or of whole ones not yet taken)."""
        return self._start < len(self._buffer)

    def feed_eof(self) -> None:
        """Say that the stream has ended; call it when no whole frame is left to take.

        Raises:
            TruncatedFrame: the end came inside a frame.
        """
        received = len(self._buffer) - self._start
        if not received:
            return
        expected = None
        if received >= PREFIX_SIZE:
            expected = PREFIX_SIZE + _unpack_length(self._buffer, self._start)[0]
            if self._skipped:
                received = expected - self._skipped
        raise TruncatedFrame(received, expected)
