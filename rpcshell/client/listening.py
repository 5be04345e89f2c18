"""A connection that is read all the time, by a thread of its own: how the blocking client has a listening dialect."""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rpcshell.client.any_listening import BYE, MOST_EARLY, AnyListeningConnection, handshake_error
from rpcshell.client.dialects import Ask, Event, HandshakeFailed, HttpRequest, Partial, Tell, follow
from rpcshell.client.dialling import LONGEST_WAIT
from rpcshell.client.errors import ShellError
from rpcshell.client.exchange import CLOSED_HERE, Dropped
from rpcshell.client.transport import abandon, break_off, input_ended, leave, open_transport, sends_on, start_request
from rpcwire import Reply

if TYPE_CHECKING:
    from rpcshell.client.dialects import ServerRequest, Step, Steps
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.dialogue import Delivery, Heard
    from rpcshell.client.hearing import Hearing
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.client.trace import CallTrace
    from rpcshell.client.transport import Transport

_MOST_UNTAKEN: Final = 1000
"""What may have come of a call and wait for whoever makes it, before nothing more is read."""

_T = TypeVar("_T")


class ListeningConnection(AnyListeningConnection):
    """A transport that is read in a thread, and written by whoever has something to say.

    What is common to them is used with the lock held, and never waited for with it.
    """

    def __init__(self, target: Target, dialect: FramedDialect, transport: Transport, hearing: Hearing) -> None:
        super().__init__(target, dialect, transport)
        self._hearing = hearing
        self._lock = threading.Lock()
        # Who wants the lock comes through here, so that whoever reads without a pause lets others have it in between.
        self._turnstile = threading.Lock()
        self._let_go = self._finished = False
        self._inbox: queue.SimpleQueue[Any] | None = None
        self._held_back = False
        # Events that come before the greeting is over may be what it waits for.
        self._greeting: queue.SimpleQueue[Event | None] | None = queue.SimpleQueue()
        self._woken, self._wake_end = os.pipe()
        os.set_blocking(self._wake_end, False)
        self._thread = threading.Thread(target=self._read_all, name="reader", daemon=True)

    @classmethod
    def open(
        cls, target: Target, dialect: FramedDialect, hearing: Hearing, *, timeout: float, tls: TlsFiles | None = None
    ) -> ListeningConnection:
        """Connect and greet within `timeout` seconds.

        Raises:
            ConnectionFailed: No connection could be made, or the server does not go along with the greeting.
            ProtocolError: What answers does not speak the dialect.
        """
        deadline = time.monotonic() + timeout
        transport = open_transport(target, dialect, hearing.log, timeout=timeout, tls=tls)
        connection = cls(target, dialect, transport, hearing)
        connection._thread.start()
        try:
            connection.follow(dialect.hello(), deadline)
        except BaseException as error:
            connection.close(greet=False)
            if isinstance(error, HandshakeFailed | ShellError | TimeoutError):
                raise handshake_error(connection._dialogue, error, timeout) from error
            raise
        connection._end_greeting()
        return connection

    @property
    def finished(self) -> bool:
        """Whether all that came has been handed out, and nothing more will come."""
        return self._finished or self.closed

    def exchange(
        self,
        method: str,
        params: object,
        *,
        meta: bool,
        plain: bool,
        deadline: float | None,
        trace: CallTrace | None = None,
        partial: Callable[[Any], None] | None = None,
    ) -> Reply:
        """Send a request and wait for its reply until `deadline`, on `time.monotonic`'s clock.

        A call that is given up, also by an interrupt, is cancelled as the dialect has it, and the connection goes on.
        What happens is told from this thread, to `trace`, and to `partial` each reply before the last.

        Raises:
            UsageError: The params cannot be sent; nothing was.
            Dropped: The connection ended first.
            ProtocolError: Something came that breaks the dialect.
            TlsFailed: The server has refused this client; nothing was run.
            TimeoutError: The deadline passed; its text is what has come of the reply, if anything has.
        """
        inbox: queue.SimpleQueue[Delivery | bytes | Callable[[], object]] = queue.SimpleQueue()
        with self._turnstile, self._lock:
            number, data = self._dialogue.call(method, params, inbox.put, meta=meta, plain=plain)
            if trace is not None:
                self._pump.on_data = inbox.put
                self._pump.on_sent = functools.partial(inbox.put, trace.request_sent)
                trace.request_started(data, None)
        self._inbox = inbox
        try:
            if partial is not None:
                self._hearing.lend_caller(inbox.put)
            self._flush()
            while True:
                came = self._next(inbox, deadline, trace)
                if self._held_back and inbox.qsize() < _MOST_UNTAKEN // 2:
                    self._wake()
                if isinstance(came, Reply):
                    return came
                if isinstance(came, Exception):
                    raise came
                if isinstance(came, Partial):
                    if partial is not None:
                        partial(came.value)
                elif isinstance(came, bytes):
                    if trace is not None:
                        trace.data_received(came)
                else:
                    began = time.monotonic()
                    came()
                    # The time that the caller's function takes does not count.
                    deadline = None if deadline is None else deadline + time.monotonic() - began
        except BaseException as error:
            if trace is not None:
                trace.failed(self._pump.ends())
            with self._turnstile, self._lock:
                came = self._came()
                self._hearing.asked_to_end = self._dialogue.abandon(number)
            self._flush()
            break_off(self._pump.transport, number)
            if isinstance(error, TimeoutError):
                raise TimeoutError(came) from None
            raise
        finally:
            self._inbox = None
            if self._held_back:
                self._wake()
            if partial is not None:
                self._hearing.lend_caller(None)
            if trace is not None:
                self._pump.on_data = self._pump.on_sent = None

    def answer(self, request: ServerRequest, outcome: Any) -> None:
        """Answer a server's request with a result, with a `Fault`, or by default where it is NotImplemented."""
        with self._turnstile, self._lock:
            self._dialogue.tell(self._answer_bytes(request, outcome))
        self._flush()

    def follow(self, steps: Steps[_T], deadline: float | None) -> _T:
        """Do what a dialect's steps want to have done, until `deadline`.

        Raises:
            ShellError: What the steps let through.
            TimeoutError: The deadline passed.
        """
        return follow(steps, lambda step: self._do(step, deadline))

    def close(self, *, greet: bool = True) -> None:
        """Take leave, and close it; a child is ended."""
        if greet and self.reusable and self._dialogue.idle and threading.current_thread() is not self._thread:
            with contextlib.suppress(ShellError, TimeoutError):
                self.follow(self.dialect.bye(), time.monotonic() + BYE)
        with self._turnstile, self._lock:
            let_go, self._let_go = self._let_go, True
            self.closed = True
            self._end()
        if let_go:
            return
        self._wake()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join()
        self._pump.hand_out()
        leave(self._pump.transport, self.failure)
        os.close(self._wake_end)
        os.close(self._woken)
        self._hearing.wake()

    def shut_down(self) -> None:
        """End it for a thread that uses it, which then finds the end and closes it."""
        self.closed = True
        with self._turnstile, self._lock:
            self._end()
        self._pump.hand_out()
        self._wake()

    def abandon(self) -> None:
        """Let go of it in a process that was forked, where its thread is not, and leave the parent's as it is."""
        self._let_go = self.closed = True
        abandon(self._pump.transport)
        os.close(self._wake_end)
        os.close(self._woken)

    def _next(self, inbox: queue.SimpleQueue[Any], deadline: float | None, trace: CallTrace | None) -> Any:
        while True:
            remaining = LONGEST_WAIT if deadline is None else deadline - time.monotonic()
            if remaining <= 0 and inbox.empty():
                raise TimeoutError
            patience = remaining if trace is None else min(remaining, trace.patience)
            try:
                return inbox.get(timeout=max(min(patience, LONGEST_WAIT), 0))
            except queue.Empty:
                if trace is not None and patience < remaining:
                    trace.silent(self._pump.ends(), None)

    def _do(self, step: Step, deadline: float | None) -> Reply | Event | None:
        if isinstance(step, Tell):
            with self._turnstile, self._lock:
                self._dialogue.tell(step.data)
            self._flush()
            return None
        if isinstance(step, HttpRequest):
            done = start_request(self._pump.transport, step.method)
            if done is not None and step.wait:
                done.result(None if deadline is None else max(deadline - time.monotonic(), 0))
            return None
        with self._within(step, deadline, time.monotonic()) as limit:
            if isinstance(step, Ask):
                return self.exchange(step.method, step.params, meta=False, plain=False, deadline=limit)
            return self._hear_event(limit)

    def _hear_event(self, deadline: float | None) -> Event:
        event: Event | None = None if self._greeting is None else self._next(self._greeting, deadline, None)
        if event is None:
            raise self.failure or Dropped(CLOSED_HERE, not_run=True)
        return event

    def _end_greeting(self) -> None:
        with self._turnstile, self._lock:
            greeting, self._greeting = self._greeting, None
            if self._dialogue.failure is None:
                self._hearing.over = False
            while greeting is not None and not greeting.empty():
                if (event := greeting.get()) is not None:
                    self._hearing.hear(event, self.answer)

    def _flush(self) -> None:
        """Send what there is room for, and have the thread send the rest."""
        with self._turnstile, self._lock:
            if self._let_go:
                return
            if not self._pump.interruptible:
                self._pump.write()
            rest = self._pump.wants_to_write
        self._pump.hand_out()
        if rest:
            self._wake()

    def _wake(self) -> None:
        # A pipe that is full wakes as well; one that is closed needs not.
        with contextlib.suppress(OSError):
            os.write(self._wake_end, b"\0")

    def _read_all(self) -> None:
        try:
            self._read()
        finally:
            # Whatever happens, nobody waits for ever.
            with self._lock:
                if self._dialogue.failure is None:
                    self._dialogue.end(Dropped("reading from it failed", not_run=False))
            self._pump.hand_out()
            if self._greeting is not None:
                self._greeting.put(None)
            self._finished = True
            self._hearing.over = True
            ended = not (self.closed or self.dialect.one_call)
            if self._greeting is None and ended and (failure := self.failure) is not None:
                self._hearing.end(failure)
            self._hearing.wake()

    def _read(self) -> None:
        poll = select.poll()
        transport = self._pump.transport
        reads_on, writes_on = transport.fileno(), sends_on(transport)
        hung_up = False
        poll.register(self._woken, select.POLLIN)
        while self.reusable:
            events = select.POLLIN if self._pump.wants_to_read and self._has_room() else 0
            room = select.POLLOUT if self._pump.wants_to_write else 0
            if reads_on == writes_on:
                events |= room
            elif room or not hung_up:
                poll.register(writes_on, room)
            poll.register(reads_on, events)
            ready = dict(poll.poll())
            if reads_on != writes_on and ready.get(writes_on, 0) & select.POLLHUP:
                poll.unregister(writes_on)
                hung_up = True
                input_ended(transport, unsent=False)
            if ready.pop(self._woken, 0):
                os.read(self._woken, 4096)
            with self._turnstile:
                pass
            with self._lock:
                if self._let_go:
                    break
                if ready:
                    self._pump.write()
                    self._pump.read()
            self._pump.hand_out()

    def _has_room(self) -> bool:
        """Whether more may be read for whoever makes a call, and takes what comes of it at a pace of their own."""
        # Said first, so that who takes something meanwhile wakes whoever reads.
        self._held_back = True
        inbox = self._inbox
        self._held_back = inbox is not None and inbox.qsize() > _MOST_UNTAKEN
        return not self._held_back

    def _hear(self, heard: Heard) -> None:
        if isinstance(heard, Event):
            with self._lock:
                if self._greeting is not None:
                    if self._greeting.qsize() < MOST_EARLY:
                        self._greeting.put(heard)
                    return
        self._hearing.hear(heard, self.answer)
