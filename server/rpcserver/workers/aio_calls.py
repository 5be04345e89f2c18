"""A call that an event loop waits for: its task, its timeout, and the reply in its place.

Connections are in `aio_connection`; what is called, and how, is the dispatcher's business.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcwire import ErrorCode, Fault, Meta, decode_request, encode_fault, frame

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any

    from rpcserver.service.dispatch import Dispatcher

RESISTANCE: Final = 1.0
"""How long a coroutine may take to end after its cancellation, in seconds."""


class Call:
    """A request whose reply is not there at once.

    Args:
        begun: gives the reply when it is awaited.
        body: the request.
        last: whether its reply will say `close`.

    Attributes:
        last: whether its reply is the connection's last.
        task: what awaits it, once it runs.
        deadline: when it has taken too long, in monotonic seconds.
        timed_out: whether it has.
        lost_thread: whether it has, and goes on in a thread, which cannot be stopped.
    """

    __slots__ = ("_begun", "_body", "_started", "deadline", "last", "lost_thread", "task", "timed_out")

    def __init__(self, begun: Coroutine[Any, Any, bytes], body: bytes | bytearray, last: bool) -> None:
        self._begun = begun
        self._body = body
        self._started = 0.0
        self.last = last
        self.task: asyncio.Task[bytes] | None = None
        self.deadline = 0.0
        self.timed_out = False
        self.lost_thread = False

    def run(
        self, loop: asyncio.AbstractEventLoop, deadline: float, finish: Callable[[asyncio.Task[bytes]], None]
    ) -> None:
        """Await it in a task of its own, and so in a context of its own."""
        self._started = time.monotonic()
        self.deadline = deadline
        self.task = task = loop.create_task(self._begun)
        task.add_done_callback(finish)

    def withdraw(self) -> bool:
        """Let go of it, if it was not run yet; False if it was."""
        if self.task is not None:
            return False
        self._begun.close()
        return True

    def cancel(self, now: float) -> None:
        """Cancel it, because it has taken too long."""
        self.timed_out = True
        self.deadline = now + RESISTANCE
        if self.task is not None:
            self.task.cancel()

    def timed_out_reply(self, limit: float, dispatcher: Dispatcher, *, last: bool) -> bytes:
        """Answer in its place.

        Args:
            limit: how long it was given, in seconds.
            dispatcher: what it was begun by.
            last: whether the reply says `close`.

        Returns:
            the reply as a frame.
        """
        request = decode_request(self._body)
        text = f"{request.method} took longer than {limit:g} s and was cancelled"
        if self.lost_thread:
            text = f"{request.method} took longer than {limit:g} s; it may still be running"
        meta = None
        if request.meta:
            worker = dispatcher.worker
            microseconds = round((time.monotonic() - self._started) * 1_000_000)
            meta = Meta(worker.worker, worker.pid, worker.generation, worker.model, microseconds, dispatcher.served)
        return frame(encode_fault(Fault(ErrorCode.TIMED_OUT, text), id=request.id, meta=meta, close=last))
