"""The access log: one line for each call, with its peer, method, outcome, service time and sizes.

It costs nothing where it is off: a worker that keeps one answers through `LoggedDispatcher` in place of
`Dispatcher`. How a line is written is the business of `log`.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from rpcserver.service.dispatch import Dispatcher
from rpcserver.service.envelopes import method_of
from rpcwire import PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Executor

    from rpcserver.service.context import Peer
    from rpcserver.service.envelopes import AnyRequest

ACCESS_LOG: Final = logging.getLogger("rpcserver.access")

# How every error reply begins, as rpcwire writes them; no method can have that out name.
_ERROR_REPLY: Final = re.compile(rb'\{(?:"out":"error","result"|"jsonrpc":"2.0","error"):\{"code":(-?\d+)')
# What cannot be taken for other parts of a line.
_PLAIN_NAME: Final = re.compile(r"[^\s\"']+")
_LONGEST_NAME: Final = 200


class LoggedDispatcher(Dispatcher):
    """A dispatcher that leaves a line in the access log for every call it answers."""

    def answer(
        self, body: bytes | bytearray, connection: Peer, close: bool = False, request: AnyRequest | None = None
    ) -> bytes:
        """Answer a request, and log it."""
        started = time.perf_counter_ns()
        reply = super().answer(body, connection, close, request)
        _log_call(connection, body, reply, time.perf_counter_ns() - started)
        return reply

    def begin(
        self, body: bytes | bytearray, connection: Peer, close: bool = False, executor: Executor | None = None
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """Start to answer a request on an event loop; it is logged when it is answered, or was cancelled."""
        started = time.perf_counter_ns()
        begun = super().begin(body, connection, close, executor)
        if not isinstance(begun, bytes):
            return self._finish(begun, body, connection, started)
        _log_call(connection, body, begun, time.perf_counter_ns() - started)
        return begun

    def note_refusal(self, peer: Peer, body: bytes | bytearray, reply: bytes) -> None:
        """Log it, as taking no time."""
        _log_call(peer, body, reply)

    async def _finish(
        self, begun: Coroutine[Any, Any, bytes], body: bytes | bytearray, connection: Peer, started: int
    ) -> bytes:
        reply = None
        try:
            reply = await begun
        finally:
            _log_call(connection, body, reply, time.perf_counter_ns() - started)
        return reply


def _log_call(peer: Peer, body: bytes | bytearray, reply: bytes | None, nanoseconds: int = 0) -> None:
    """Write a call's line, whatever the log's level is: who keeps an access log wants it.

    One that was turned away before it came to a dispatcher took no time; one that was cancelled has no reply. The
    outcome is `ok`, the code of the error, or a word for a call that was not answered, or never is. Sizes are those of
    whole frames, prefixes included.
    """
    method = method_of(body) or "-"
    if len(method) > _LONGEST_NAME:
        method = f"{method[:_LONGEST_NAME]}…"
    outcome = "cancelled" if reply is None else _outcome(reply)
    bytes_in, bytes_out = len(body) + PREFIX_SIZE if body else 0, len(reply or b"")
    microseconds = nanoseconds // 1000
    fields = {
        "peer": peer.address,
        "method": method,
        "outcome": outcome,
        "service_us": microseconds,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
    }
    record = ACCESS_LOG.makeRecord(
        ACCESS_LOG.name,
        logging.INFO,
        __file__,
        0,
        "%s %s %s %.3f ms %d B in %d B out",
        (peer.address, _quoted(method), outcome, microseconds / 1000, bytes_in, bytes_out),
        None,
        extra={"fields": fields},
    )
    ACCESS_LOG.handle(record)


def _outcome(reply: bytes) -> str:
    if not reply:
        return "notified"
    error = _ERROR_REPLY.match(reply, PREFIX_SIZE)
    return "ok" if error is None else error[1].decode()


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else repr(name)
