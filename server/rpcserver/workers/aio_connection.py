"""Serving one connection on an event loop: its requests, one after another, and their deadlines.

Its bytes are the business of `aio_stream`; who accepts it, the loop, and the clock that deadlines are checked by,
of `aio`.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from rpcserver.workers.aio_calls import Call
from rpcserver.workers.aio_stream import NEVER, AsyncStream
from rpcserver.workers.aio_threads import HandlerThreads, ThreadCalls
from rpcserver.workers.refusals import WRITE_SIZE, SlowFrame, describe, refuse_stream
from rpcwire import GOODBYE, FrameDecoder, FrameError, TruncatedFrame

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor
    from typing import Any

    from rpcserver.service.context import Peer
    from rpcserver.service.dispatch import Dispatcher
    from rpcserver.system.settings import Settings

    Begin = Callable[[bytes | bytearray, Peer, bool, Executor], bytes | Coroutine[Any, Any, bytes]]
    """How a request becomes a framed reply, or what must be awaited for one: `Dispatcher.begin`."""

logger = logging.getLogger(__name__)


class Host(Protocol):
    """What a connection needs of the worker that serves it.

    Attributes:
        settings: limits and deadlines.
        dispatcher: what answers.
        begin: like the dispatcher's, and sees to `max_requests`.
        threads: where plain handlers run.
    """

    settings: Settings
    dispatcher: Dispatcher
    begin: Begin
    threads: HandlerThreads

    def ended(self, connection: AsyncConnection) -> None:
        """Forget a connection that is closed, and whose last call has ended."""

    def retire(self, reason: str) -> None:
        """Ask for a successor."""


class AsyncConnection(AsyncStream):
    """One connection, from its first byte to its close.

    Its requests are run one after another, as in every model, so that a client that pipelines can rely on one
    having ended before the next begins. Replies that are there at once go out in one write, others as they come.

    What a connection holds is bounded. Requests that arrive while one runs wait, one read's worth; then nothing
    more is read. And nothing is run while the client has not taken all that it was sent, which is one batch of
    replies and the size of the last one at most.

    Args:
        connection: a connected stream socket; it is closed with the transport.
        host: the worker.
        loop: the event loop.

    Raises:
        OSError: the client has gone already.
    """

    __slots__ = (
        "_begin",
        "_call",
        "_decoder",
        "_failure",
        "_following",
        "_frame_deadline",
        "_grace_deadline",
        "_heard",
        "_host",
        "_leaving",
        "_quiet_since",
        "_sole_frame",
        "_threads",
    )

    def __init__(self, connection: socket.socket, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(connection, host.settings, loop)
        self._host = host
        self._begin = host.begin
        self._threads = ThreadCalls(host.threads)
        self._decoder = FrameDecoder(host.settings.max_frame)
        self._sole_frame = self._decoder.sole_frame
        self._call: Call | None = None
        self._following: bytes | bytearray | None = None
        self._failure: FrameError | None = None
        self._heard = True
        self._quiet_since = 0.0
        self._frame_deadline = 0.0
        self._leaving = False
        self._grace_deadline = NEVER

    def data_received(self, data: bytes) -> None:
        """Answer what a read brought, or keep it while something else must be waited for."""
        self._heard = True
        if self.ready:
            body = self._sole_frame(data)
            if body is None:
                self._decoder.feed(data)
                self._go_on()
                return
            last = self._leaving
            begun = self._begin(body, self.peer, last, self._threads)
            if isinstance(begun, bytes):
                self._write(begun)
                if last:
                    self._close_gently()
            else:
                self._start(begun, body, last)
        elif self._lingering:
            self._discard(data)
        else:
            self._decoder.feed(data)
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that the client sends no more; what has arrived is answered still."""
        self._eof = True
        if self._lingering:
            return False
        if self.ready:
            self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; a call that still runs is let run to its end, as in every model."""
        if exc is not None:
            logger.debug("%s: connection lost: %s", self.peer.address, exc)
        self._lost = True
        self.ready = False
        if self._call is None or self._call.withdraw():
            self._host.ended(self)

    def leave(self, grace_deadline: float) -> None:
        """Bring about an end without loss: what has arrived is answered, and the last reply says `close`.

        Args:
            grace_deadline: until when a client that knows nothing of `close` may send one more request, in
                monotonic seconds.
        """
        self._leaving = True
        self._grace_deadline = grace_deadline
        if self.ready and not self._decoder.mid_frame:
            self._leave_if_idle()

    def cancel(self) -> asyncio.Task[bytes] | None:
        """Cancel the call that runs, for a quick stop, and return its task; None if none runs."""
        task = None if self._call is None else self._call.task
        if task is not None:
            task.cancel()
        return task

    def check(self, now: float) -> float:
        """See to the deadlines.

        Args:
            now: the time in monotonic seconds.

        Returns:
            when to look again at the latest.
        """
        if self._call is not None and self._call.task is not None:
            return self._check_call(self._call, now)
        if not self.ready:
            return self._check_stream(now)
        if self._decoder.mid_frame:
            if now >= self._frame_deadline:
                self._refuse(SlowFrame(self._settings.read_timeout))
            return self._frame_deadline
        if self._leaving:
            self._leave_if_idle()
            return self._grace_deadline
        return self._check_silence(now)

    def _go_on(self) -> None:
        """Answer every whole frame that is held, with one write, until one must be waited for."""
        if self._call is not None:
            self._run(self._call)
            return
        self.ready = False
        body = self._take() if self._following is None else self._following
        self._following = None
        last = False
        replies: list[bytes] = []
        size = 0
        while body is not None:
            following = self._take()
            last = self._leaving and following is None and self._failure is None
            begun = self._begin(body, self.peer, last, self._threads)
            if not isinstance(begun, bytes):
                self._following = following
                if replies:
                    self._write(b"".join(replies))
                self._start(begun, body, last)
                return
            replies.append(begun)
            size += len(begun)
            if size > WRITE_SIZE:
                self._write(b"".join(replies))
                replies.clear()
                size = 0
                if not self._writable and following is not None:
                    self._following = following
                    return
            body = following
        if replies:
            self._write(b"".join(replies))
        if last:
            self._close_gently()
        elif self._writable:
            self._rest()

    def _take(self) -> bytes | bytearray | None:
        try:
            body = self._decoder.next_frame()
        except FrameError as error:
            self._failure = error
            return None
        if body is not None:
            self._frame_deadline = 0.0
        return body

    def _rest(self) -> None:
        """All that was held is answered, and taken by the client: wait for more, unless this is the end."""
        if self._failure is not None:
            logger.info("%s: %s", self.peer.address, describe(self._failure))
            self._refuse(self._failure)
        elif self._eof:
            self._end()
        else:
            self.ready = True
            if self._decoder.mid_frame:
                self._acknowledge()
                self._frame_deadline = self._frame_deadline or self._deadline(self._settings.read_timeout)
            elif self._leaving:
                self._leave_if_idle()
            self._transport.resume_reading()

    def _start(self, begun: Coroutine[Any, Any, bytes], body: bytes | bytearray, last: bool) -> None:
        self.ready = False
        self._call = call = Call(begun, body, last)
        if self._writable:
            self._run(call)

    def _run(self, call: Call) -> None:
        call.run(self._loop, self._deadline(self._settings.timeout), self._finish)

    def _finish(self, task: asyncio.Task[bytes]) -> None:
        """A call has ended, or was given up before."""
        call = self._call
        if call is None or call.task is not task:
            return
        self._call = None
        if self._lost:
            self._host.ended(self)
        elif call.timed_out:
            self._answer_timed_out(call, last=call.last)
        elif task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            self._transport.abort()
            raise error
        else:
            self._conclude(task.result(), last=call.last)

    def _conclude(self, reply: bytes, *, last: bool) -> None:
        self._write(reply)
        if last:
            self._close_gently()
        elif self._writable:
            self._go_on()

    def _check_call(self, call: Call, now: float) -> float:
        if now < call.deadline:
            return call.deadline
        if not call.timed_out:
            call.cancel(now)
            if self._threads.hold_thread():
                call.lost_thread = call.last = True
                self._host.retire("has lost a thread to a handler that does not come to an end")
            return call.deadline
        # A coroutine that goes on after its cancellation: nobody waits for it any more.
        self._call = None
        if self._lost:
            self._host.ended(self)
        else:
            self._answer_timed_out(call, last=True)
        return NEVER

    def _answer_timed_out(self, call: Call, *, last: bool) -> None:
        limit = self._settings.timeout
        logger.warning("%s: a call took longer than %g s", self.peer.address, limit)
        self._conclude(call.timed_out_reply(limit, self._host.dispatcher, last=last), last=last)

    def _check_silence(self, now: float) -> float:
        limit = self._settings.idle_timeout
        if not limit:
            return NEVER
        if self._heard:
            self._heard = False
            self._quiet_since = now
        elif now >= self._quiet_since + limit and not self._has_unread():
            logger.info("%s: closed after %g s of silence", self.peer.address, limit)
            self._say_goodbye()
        return self._quiet_since + limit

    def _leave_if_idle(self) -> None:
        """End the connection if the client heeds a goodbye, or has had its grace, and nothing has arrived."""
        due = self.peer.heeds_close or time.monotonic() >= self._grace_deadline
        if due and not self._has_unread():
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self.peer.heeds_close:
            self._write(GOODBYE)
        self._close_gently()

    def _refuse(self, error: FrameError) -> None:
        """Answer a stream that is out of step; no request can be found in it any more."""
        self._write(refuse_stream(error))
        self._close_gently()

    def _end(self) -> None:
        """Close after the client's end, which may have come inside a frame."""
        self.ready = False
        try:
            self._decoder.feed_eof()
        except TruncatedFrame as error:
            logger.info("%s: %s", self.peer.address, error)
        self._transport.close()
