"""What a server speaks, sans-IO: `Dialect` is what a connection's driver needs of it, and `native` the first one.

A further dialect is one file here of 60 to 150 lines: a class that is made for each connection. It brings

- its framing and its envelope behind `encode_call`, `receive` and `next_event`: whether replies are matched by an id
  (JSON-RPC, QMP, LSP, MCP) or come in order (native, varlink) is nobody else's business, and neither is what ids are;
- `describe`: `Steps` that ask for a schema and end with a `Description`. A handshake (`initialize`,
  `qmp_capabilities`) is the same kind of generator; the client that drives one drives the other.

What native has no use for has its place already. More kinds of messages (a part of a reply, an event, a server's
request) become more members of `Message`, and `Requester.next_reply` is the one place that tells them apart. What is
sent beside calls (a cancel, the answer to a server's request, a goodbye) becomes one more method that returns bytes.
Neither client sees any of it. Who speaks unasked also wants to be read between calls: today both connections take what
comes then for the end (`usable`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from rpcwire import Floats, Goodbye, Reply

__all__ = ["Ask", "Description", "Dialect", "Message", "Steps"]

_T = TypeVar("_T")

Message = Reply | Goodbye
"""What a server may say."""


class Ask(msgspec.Struct, frozen=True):
    """A request that a dialect wants to have made for itself, and the seconds it may take."""

    method: str
    params: Any = None
    timeout: float | None = None


Steps = Generator[Ask, Reply, _T]
"""Yields requests, is sent the reply of each, or thrown the `ShellError` that came instead, and returns the outcome."""


class Description(msgspec.Struct, frozen=True):
    """What a server has told about its methods, or why it has not."""

    document: Any = None
    """An OpenRPC document, or what should be one."""

    missing: Literal["unknown", "ended", "silent", "busy"] | None = None
    """Why there is none: it knows of no such thing, ended the connection, said nothing in time, or had no time."""

    reason: str = ""
    """That, in words where there is more to say."""

    hint: str | None = None


class Dialect(Protocol):
    """The client's side of one connection: bytes to send for a call, and what the bytes that came say."""

    def __init__(self, max_reply: int, floats: Floats = "float") -> None:
        """Begin on a new connection; no reply may have more bytes than `max_reply`, and floats are as wanted."""

    @staticmethod
    def describe() -> Steps[Description]:
        """Ask the server what it offers. What is thrown in and says nothing about that is raised again."""

    @property
    def idle(self) -> bool:
        """Whether all calls are answered, nothing is left over, and the server has not said that it leaves."""

    @property
    def mid_frame(self) -> bool:
        """Whether something has begun to arrive and is not whole yet."""

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool) -> bytes:
        """The bytes of a call, which is outstanding from now on.

        Args:
            method: The method's name.
            params: Its params; None where there are none.
            meta: Whether to ask who serves it, where there is a way to.
            plain: Whether the server knows nothing but the core of the dialect.

        Raises:
            EncodeError: The params cannot be sent.
            FrameTooLarge: They are more than a frame can hold.
        """

    def receive(self, data: bytes) -> None:
        """Add what a read brought."""

    def next_event(self) -> Message | None:
        """Take what the server has said next, or None when more bytes are needed.

        Raises:
            RemoteError: It breaks the rules of the dialect.
        """

    def receive_eof(self) -> None:
        """The stream has ended, and nothing is left to take.

        Raises:
            TruncatedFrame: It ended inside a frame.
        """
