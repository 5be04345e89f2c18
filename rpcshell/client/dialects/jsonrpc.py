"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification) and 1.0, over any framing and over HTTP.

Both sides number their own requests, from the same numbers on: what has a `method` is a request or a notification,
whatever its id. Discovery asks `rpc.discover` for an OpenRPC document, then `system.listMethods` for names.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from msgspec import UNSET

from rpcshell.client.dialects import Ask, Description, Event, Message, ServerRequest, Steps, Stray
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.lenient import as_number
from rpcshell.client.dialects.recognition import (
    HTTP,
    MOST_FIRST_BYTES,
    Guess,
    Recognition,
    first_object,
    framing_seen,
    messages_in,
)
from rpcshell.client.dialects.steps import PROBE_TIMEOUT
from rpcshell.client.errors import ConnectionLost
from rpcwire import ERROR_OUT, EncodeError, Fault, ParseError, Reply, decode_value, encode_value
from rpcwire.framings import FRAMINGS

_DISCOVER: Final = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}'
_LIST_METHODS: Final = b'{"method":"system.listMethods","params":[],"id":1}'
_NO_MESSAGE: Final = 'a message is an object with "method", "result" or "error"'
_VERSION: Final = re.compile(rb'"jsonrpc"\s*:\s*"2\.0"')


def _guess(framing: str, name: str, rank: int) -> Guess:
    return Guess(FRAMINGS[framing].frame(_DISCOVER), name, rank)


class JsonRpc(FramedDialect):
    """Version 2.0."""

    framings: ClassVar[tuple[str, ...]] = ("stream", "line", "nul", "content-length", "u32le", "u32be")
    over_http: ClassVar[bool] = True
    guesses: ClassVar[tuple[Guess, ...]] = (
        _guess("line", "a line of JSON-RPC", rank=10),
        _guess("content-length", "JSON-RPC after a Content-Length", rank=30),
        _guess("u32be", "JSON-RPC after a big-endian length", rank=50),
        _guess("nul", "JSON-RPC before a NUL", rank=60),
        _guess("u32le", "JSON-RPC after a little-endian length", rank=70),
    )

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """A message of version 2.0 in any framing, or a piece of one in a response of HTTP."""
        if guess.refines == HTTP:
            return Recognition("jsonrpc", certain=False) if _VERSION.search(first) else None
        # A NUL ends a message, so the first bytes do not show it; the guess does.
        framing = "nul" if guess.said.endswith(b"\0") else framing_seen(first)
        if framing is None:
            return None
        said = next(messages_in(first, framing), None)
        one = said[0] if isinstance(said, list) and said else said
        # A document of methods may be longer than what is looked at.
        long = one is None and len(first) >= MOST_FIRST_BYTES and _VERSION.search(first)
        if not long and not (isinstance(one, dict) and one.get("jsonrpc") == "2.0"):
            return None
        return Recognition("jsonrpc" if framing == "stream" else f"jsonrpc+{framing}", certain=False)

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request; no params are absent ones.

        Raises:
            EncodeError: JSON cannot carry the params.
        """
        return self.encode(self.envelope(method, params, id=number))

    def envelope(self, method: str, params: object, **rest: Any) -> dict[str, Any]:
        """A request, or without an id a notification."""
        given = {} if params is None else {"params": params}
        return {"jsonrpc": "2.0", **rest, "method": method, **given}

    def read(self, message: Any) -> Iterator[Message]:
        """What a message, or each of a batch of them, says."""
        for one in message if isinstance(message, list) else (message,):
            if isinstance(one, dict) and (isinstance(one.get("method"), str) or "result" in one or "error" in one):
                yield from self._read(one)
            else:
                text = encode_value(one, self._floats).decode()
                yield Stray(text, self.has_headers or (isinstance(one, dict) and "jsonrpc" in one), _NO_MESSAGE)

    def unreadable(self, body: bytes | bytearray, error: ParseError) -> Iterator[Message]:
        """What a message that is no JSON says; it was meant to be a reply where it has what only messages have.

        What a child has printed before a message, without an end of the line, is no part of it.
        """
        if self.may_print and (start := body.find(b"{")) > 0:
            with contextlib.suppress(ParseError):
                message = decode_value(body[start:], self._floats)
                yield Stray(body[:start].decode("utf-8", "replace"))
                yield from self.read(message)
                return
        for said in super().unreadable(body, error):
            if isinstance(said, Stray) and b'"jsonrpc"' in body and b'"method"' not in body:
                yield Stray(said.text, meant=True)
            else:
                yield said

    def _read(self, message: dict[str, Any]) -> Iterable[Message]:
        method, id = message.get("method"), message.get("id")
        if isinstance(method, str):
            params = message.get("params")
            return (Event(method, params) if id is None else ServerRequest(method, params, id),)
        number = UNSET if (known := as_number(id)) is None else known
        error = message.get("error")
        if number is UNSET and (id is not None or error is None):
            # An id that was never sent, or none, as nobody but the server knows why; an error may have none.
            return (Event("reply", message),)
        return (
            Reply("result", message.get("result"), id=number) if error is None else Reply(ERROR_OUT, error, id=number),
        )

    def cancel(self, number: int) -> bytes | None:
        """The notification of LSP's base protocol, where that is spoken; JSON-RPC itself has none."""
        if self.framing != "content-length":
            return b""
        return self.encode(self.envelope("$/cancelRequest", {"id": number}))

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """A reply to the server's request."""
        kind = "error" if isinstance(outcome, Fault) else "result"
        return self.encode({"jsonrpc": "2.0", "id": request.id, kind: outcome})

    def describe(self) -> Steps[Description]:
        """Ask for an OpenRPC document, or else for the names of the methods."""
        try:
            reply: Reply = yield Ask("rpc.discover", timeout=PROBE_TIMEOUT)
            if reply.fault is None and isinstance(reply.result, dict):
                return Description(reply.result)
            reply = yield Ask("system.listMethods", timeout=PROBE_TIMEOUT)
        except ConnectionLost as error:
            return Description.ended(error)
        if reply.fault is None and isinstance(reply.result, list):
            return Description.of_names(reply.result)
        return Description(missing="unknown", reason="it knows neither rpc.discover nor system.listMethods")


class JsonRpc1(JsonRpc):
    """Version 1.0: params are a list, replies have both `result` and `error`, notifications the id null."""

    guesses: ClassVar[tuple[Guess, ...]] = (Guess(_LIST_METHODS + b"\n", "a line of JSON-RPC 1.0", rank=40),)

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """A reply with both members."""
        framing = framing_seen(first)
        said = {} if framing is None else first_object(first, framing)
        if "jsonrpc" in said or not {"result", "error", "id"} <= said.keys():
            return None
        return Recognition("jsonrpc1" if framing == "stream" else f"jsonrpc1+{framing}", certain=False)

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request.

        Raises:
            EncodeError: The params are no list, or JSON cannot carry them.
        """
        if params is not None and not isinstance(params, list | tuple):
            raise EncodeError("JSON-RPC 1.0 takes params by position, as a list")
        return self.encode({"method": method, "params": params or [], "id": number})

    def envelope(self, method: str, params: object, **rest: Any) -> dict[str, Any]:
        """A request, or without an id a notification."""
        return {"method": method, "params": params or [], "id": None, **rest}

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """A reply to the server's request."""
        result, error = (None, outcome) if isinstance(outcome, Fault) else (outcome, None)
        return self.encode({"result": result, "error": error, "id": request.id})
