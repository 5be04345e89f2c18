"""What a call may know of its surroundings: the worker, the peer, and the `Context` that handlers ask for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class WorkerInfo(msgspec.Struct, frozen=True, gc=False):
    """The worker that serves.

    Attributes:
        worker: its number, from 1.
        pid: its process id.
        generation: how many times the server had been reloaded when it started.
        model: its worker model.
    """

    worker: int
    pid: int
    generation: int
    model: str


class Peer:
    """The other end of a connection.

    Attributes:
        address: where it connected from, for people.
        heeds_close: whether it said that it heeds a goodbye (`"close": true` in a request).
        subject: whom the client's certificate is for, as in `CN=alice,O=Example` (RFC 4514); None where the server
            has asked for none, as on a Unix socket.
        via: the proxy that it connected through, where that has told the client's `address` (`--proxy-protocol`).
        jsonrpc: whether it speaks JSON-RPC 2.0, so that it is told in that envelope what is no reply to a request.
    """

    __slots__ = ("address", "heeds_close", "jsonrpc", "subject", "via")

    def __init__(self, address: str) -> None:
        self.address = address
        self.heeds_close = False
        self.jsonrpc = False
        self.subject: str | None = None
        self.via: str | None = None

    def __repr__(self) -> str:
        return f"Peer({self.address!r})"


class MethodLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry the method's name as `record.method`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the method's name to what the caller put in `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


class Context(msgspec.Struct, frozen=True):
    """Given to a handler for its parameter annotated with `Context`.

    Attributes:
        method: the name the handler was called by.
        peer: who called.
        worker: the worker that serves the call.
        log: a logger whose records carry the method's name.
    """

    method: str
    peer: Peer
    worker: WorkerInfo
    log: MethodLogger
