"""Every error of the wire, and the error codes that travel on it.

The tree says who should act::

    WireError
    +-- LocalError            this side wanted to send what cannot be sent
    |   +-- EncodeError       a value that JSON cannot carry
    |   +-- ConnectionClosing a request on a connection that is being closed
    +-- RemoteError           what the peer sent breaks the protocol
        +-- FrameError        the stream is out of step: the connection must end
        |   +-- FrameTooLarge
        |   +-- EmptyFrame
        |   +-- TruncatedFrame
        |   +-- UnexpectedReply
        +-- MessageError      a good frame with bad content: the connection goes on
            +-- ParseError
            +-- InvalidRequest
            +-- InvalidReply
            +-- InvalidMember what a registry holds is no server of ours

What a server answers when a call fails is no exception here but data: `rpcwire.Fault`.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class ErrorCode(enum.IntEnum):
    """The codes of error replies: JSON-RPC 2.0's, and our own in the range that it leaves to servers."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    APPLICATION_ERROR = -32000
    BUSY = -32001
    TIMED_OUT = -32002
    FRAME_TOO_LARGE = -32003


class WireError(Exception):
    """Base of every error of this package."""


class LocalError(WireError):
    """What this side wanted to send cannot go on the wire; nothing was sent."""


class EncodeError(LocalError):
    """A value JSON cannot carry: NaN, Infinity, a lone surrogate, an unsupported type, endless nesting."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectionClosing(LocalError):
    """The peer has announced that it reads no further request here; open a new connection."""

    def __str__(self) -> str:
        return "the server is closing this connection: send the request on a new one"


class RemoteError(WireError):
    """What the peer sent breaks the protocol."""

    code: ClassVar[ErrorCode] = ErrorCode.INVALID_REQUEST


class FrameError(RemoteError):
    """The stream is out of step with the frames in it, so the connection must end."""


class FrameTooLarge(FrameError):
    """A length prefix over the limit; nothing was allocated for it. `length` and `limit` are in bytes."""

    code: ClassVar[ErrorCode] = ErrorCode.FRAME_TOO_LARGE

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(length, limit)
        self.length = length
        self.limit = limit

    def __str__(self) -> str:
        text = f"a frame of {self.length} bytes was announced and the limit is {self.limit}"
        seen = self.length.to_bytes(8, "little")[:4]
        if seen.isascii() and seen.decode("ascii").isprintable():
            return f'{text}: the first four bytes read "{seen.decode("ascii")}", which is no length prefix'
        return f"{text}: send less at once or raise the limit"


class EmptyFrame(FrameError):
    """A length prefix of zero; the shortest message has two bytes."""

    def __str__(self) -> str:
        return "a frame of length 0 was announced: every frame holds one JSON message"


class TruncatedFrame(FrameError):
    """The stream ended inside a frame.

    Attributes:
        received: bytes of the frame that came, its prefix included.
        expected: bytes the whole frame has, its prefix included, or None where that is not known.
    """

    def __init__(self, received: int, expected: int | None) -> None:
        super().__init__(received, expected)
        self.received = received
        self.expected = expected

    def __str__(self) -> str:
        whole = "a frame" if self.expected is None else f"a frame of {self.expected} bytes"
        return f"the stream ended after {self.received} bytes of {whole}"


class UnexpectedReply(FrameError):
    """A reply that answers no request, or another one than is due."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MessageError(RemoteError):
    """A good frame with bad content; the next frame is not affected."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason  # what is wrong and what would be right


class ParseError(MessageError):
    """The frame does not hold JSON that can be read."""

    code: ClassVar[ErrorCode] = ErrorCode.PARSE_ERROR


class InvalidRequest(MessageError):
    """JSON, but no request."""


class InvalidReply(MessageError):
    """JSON, but no reply."""


class InvalidMember(MessageError):
    """What a registry holds, but no member of a serverset."""
