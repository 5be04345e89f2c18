"""A conversation on an event loop: one connection's bytes and its requests, one after another.

Who accepts it, the loop, and the clock that deadlines are checked by, are the business of `aio`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Protocol, cast

from rpcserver.workers.aio_calls import AsyncCall, HandlerThreads, ThreadCalls
from rpcserver.workers.limits import NEVER
from rpcserver.workers.next_step import ANSWER, CLOSE, READ, WRITE
from rpcserver.workers.socket_drivers import acknowledge, reset_on_close

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor
    from typing import Any

    from rpcserver.service.context import Peer
    from rpcserver.service.dispatch import Dispatcher
    from rpcserver.system.settings import ServerSettings
    from rpcserver.workers.conversation import Conversation

    Begin = Callable[[bytes | bytearray, Peer, bool, Executor], bytes | Coroutine[Any, Any, bytes]]
    """How a request becomes a framed reply, or what must be awaited for one: `Dispatcher.begin`."""

logger = logging.getLogger(__name__)


class Host(Protocol):
    """What a connection needs of the worker that serves it."""

    settings: ServerSettings
    dispatcher: Dispatcher
    begin: Begin
    threads: HandlerThreads

    def ended(self, connection: LoopConnection) -> None:
        """Forget a connection that is closed, and whose last call has ended."""

    def retire(self, reason: str) -> None:
        """Ask for a successor."""


class LoopConnection(asyncio.Protocol):
    """One connection, from its first byte to its close.

    Its requests are run one after another, as in every model, so that a client that pipelines can rely on one
    having ended before the next begins. Replies that are there at once go out in one write, others as they come.

    What a connection holds is bounded. Requests that arrive while one runs wait, one read's worth; then nothing
    more is read. And nothing is run while the client has not taken all that it was sent, which is one batch of
    replies and the size of the last one at most.
    """

    __slots__ = (
        "_begin",
        "_call",
        "_host",
        "_loop",
        "_lost",
        "_opened",
        "_socket",
        "_sole_request",
        "_threads",
        "_transport",
        "_write",
        "conversation",
        "peer",
        "ready",
    )

    _transport: asyncio.Transport
    _write: Callable[[bytes], None]

    def __init__(
        self, connection: socket.socket, conversation: Conversation, host: Host, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.conversation = conversation
        self._sole_request = conversation.sole_request
        self.peer = conversation.peer
        self.ready = False  # whether a request that is read can be run at once
        self._socket = connection
        self._host = host
        self._begin = host.begin
        self._threads = ThreadCalls(host.threads)
        self._loop = loop
        self._call: AsyncCall | None = None
        self._opened = False
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        # uvloop's transports have the methods of asyncio's, and not their base.
        self._transport = stream = cast("asyncio.Transport", transport)
        self._write = stream.write
        # Any byte that the client does not take at once counts as back-pressure.
        stream.set_write_buffer_limits(high=0)
        self._opened = True
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Answer what a read brought, or keep it while something else must be waited for."""
        conversation = self.conversation
        if self.ready:
            body = self._sole_request(data)
            if body is not None:
                conversation.heard = True
                last = conversation.leaving
                begun = self._begin(body, self.peer, last, self._threads)
                if not isinstance(begun, bytes):
                    self._start(begun, body, last)
                    return
                self._write(begun)
                if last:
                    conversation.last_said = True
                    self._advance()
                return
        conversation.receive(data)
        if self.ready or conversation.lingering:
            self._advance()
        else:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that the client sends no more; what has arrived is answered still."""
        self.conversation.receive(b"")
        if self.ready or self.conversation.lingering:
            self._advance()
        return True

    def pause_writing(self) -> None:
        """Read and run nothing more until the client has taken what it was sent."""
        self.ready = False
        conversation = self.conversation
        conversation.unwritten = self._transport.get_write_buffer_size()
        conversation.taken = 0
        conversation.next()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with what was put off."""
        self.conversation.unwritten = 0
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; a call that still runs is let run to its end, as in every model."""
        if exc is not None:
            logger.debug("%s: connection lost: %s", self.peer.address, exc)
        self._lost = True
        self.ready = False
        if self._call is None or self._call.withdraw():
            self._end()

    def leave(self, grace_deadline: float) -> None:
        """Bring about an end without loss; see `Conversation.leave`."""
        self.conversation.leave(grace_deadline)
        if self.ready and not self.conversation.mid_frame:
            self.check(time.monotonic())

    def cancel(self) -> asyncio.Task[bytes] | None:
        """Cancel the call that runs, for a quick stop, and return its task; None if none runs."""
        if (call := self._call) is None or call.task is None:
            return None
        call.stopped = True
        call.task.cancel()
        return call.task

    def check(self, now: float) -> float:
        """See to the deadlines, and return when to look again at the latest, in monotonic seconds."""
        conversation, call = self.conversation, self._call
        # Also while a call runs, as one does at each look where a client never pauses.
        conversation.note_age(now)
        if call is not None and call.task is not None:
            return self._check_call(call, now)
        if self._lost or conversation.lost or not self._opened:
            return NEVER
        conversation.note_silence(now)
        if conversation.unwritten:
            self._note_progress()
        deadline = conversation.deadline
        if now < deadline:
            return deadline
        if self.ready and not conversation.mid_frame and self._has_unread():
            # It is received at the loop's next turn, and comes first.
            return NEVER
        conversation.expire()
        self._advance()
        return NEVER

    def _advance(self) -> None:
        """Answer, write and end, until something must be waited for."""
        self.ready = False
        conversation = self.conversation
        if self._call is not None and not conversation.lost:
            if self._call.task is None and not conversation.unwritten:
                self._run(self._call)
            return
        while (following := conversation.next()) is ANSWER or following is WRITE:
            if following is WRITE:
                self._flush()
                if conversation.unwritten:
                    return
            elif not self._answer():
                return
        if following is READ:
            self._wait_for_bytes()
        elif following is CLOSE:
            self._close()
        elif not conversation.lingering:
            self._transport.write_eof()
            conversation.linger()
            self._transport.resume_reading()

    def _answer(self) -> bool:
        """Run requests and hold their replies; False when one must be awaited."""
        begin, threads = self._begin, self._threads
        begun = self.conversation.answer_requests(lambda body, peer, last: begin(body, peer, last, threads))
        if begun is not None:
            self._flush()
            self._start(*begun)
        return begun is None

    def _flush(self) -> None:
        """Give what is held to the transport, in one go, so that its back-pressure counts all of it."""
        conversation = self.conversation
        pieces: list[bytes | memoryview] = []
        while data := conversation.outgoing():
            pieces.append(data)
            conversation.sent(len(data))
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif pieces:
            self._transport.writelines(pieces)

    def _wait_for_bytes(self) -> None:
        conversation = self.conversation
        self.ready = True
        if conversation.mid_frame:
            acknowledge(self._socket)
        elif conversation.leaving:
            self.check(time.monotonic())
        if self.ready:
            self._transport.resume_reading()

    def _close(self) -> None:
        if self.conversation.reset:
            reset_on_close(self._socket)
        if self.conversation.lost:
            self._transport.abort()
        else:
            self._transport.close()

    def _end(self) -> None:
        """Let go of everything, now that nothing of it runs any more."""
        self.conversation.release()
        self._host.ended(self)

    def _note_progress(self) -> None:
        conversation = self.conversation
        pending = self._transport.get_write_buffer_size()
        conversation.taken += conversation.unwritten - pending
        # Not 0 before the transport has said that it goes on.
        conversation.unwritten = max(1, pending)
        conversation.next()

    def _has_unread(self) -> bool:
        """Whether something waits in the kernel to be read at the loop's next turn."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def _start(self, begun: Coroutine[Any, Any, bytes], body: bytes | bytearray, last: bool) -> None:
        self.ready = False
        self._call = call = AsyncCall(begun, body, last)
        if not self.conversation.unwritten:
            self._run(call)

    def _run(self, call: AsyncCall) -> None:
        limit = self._host.settings.timeout
        # Not the loop's own time, which stands still while a callback runs.
        call.run(self._loop, time.monotonic() + limit if limit else NEVER, self._finish)

    def _finish(self, task: asyncio.Task[bytes]) -> None:
        """A call has ended, or was given up before."""
        call = self._call
        if call is None or call.task is not task:
            return
        self._call = None
        if self._lost:
            self._end()
        elif call.timed_out:
            self._answer_timed_out(call, last=call.last)
        elif task.cancelled():
            self._answer_cancelled(task, call)
        elif (error := task.exception()) is not None:
            self._transport.abort()
            raise error
        else:
            self._conclude(task.result(), last=call.last)

    def _answer_cancelled(self, task: asyncio.Task[bytes], call: AsyncCall) -> None:
        if call.stopped:
            self._transport.abort()
            return
        try:
            task.result()
        except asyncio.CancelledError as error:
            self._conclude(self._host.dispatcher.refuse_cancelled(call.body, error, call.last), last=call.last)

    def _conclude(self, reply: bytes, *, last: bool) -> None:
        self.conversation.hold(reply, last=last)
        self._advance()

    def _check_call(self, call: AsyncCall, now: float) -> float:
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
            self._end()
        else:
            self._answer_timed_out(call, last=True)
        return NEVER

    def _answer_timed_out(self, call: AsyncCall, *, last: bool) -> None:
        limit = self._host.settings.timeout
        logger.warning("%s: a call took longer than %g s", self.peer.address, limit)
        self._conclude(call.timed_out_reply(limit, self._host.dispatcher, last=last), last=last)
