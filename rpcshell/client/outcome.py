"""What a call brought that was answered without an error: a record without behaviour, for whoever shows or keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rpcwire import Meta, Reply

__all__ = ["CallOutcome"]


class CallOutcome(msgspec.Struct, frozen=True):
    """A call that was answered without an error.

    Attributes:
        method: The method that was called.
        params: Its params.
        reply: The whole reply.
        elapsed: Seconds from request to reply.
        meta: Who answered, where that was asked for and told.
    """

    method: str
    params: Any
    reply: Reply
    elapsed: float
    meta: Meta | None
