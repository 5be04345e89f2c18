"""A connection of a listening dialect that is read by an event loop, for calls of many tasks at once.

It has the rules of `rpcshell.client.listening`. What blocks while a connection is made or ended is done in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rpcshell.client.any_listening import BYE, MOST_EARLY, AnyListeningConnection, handshake_error
from rpcshell.client.dialects import Ask, Event, HandshakeFailed, HttpRequest, ServerRequest, Stray, Tell, follow_async
from rpcshell.client.errors import ShellError
from rpcshell.client.exchange import CLOSED_HERE, Dropped
from rpcshell.client.hearing import MOST_REQUESTS, NO_HANDLERS, Answer, AnyHearing, Asked, Handlers, busy, fault_of
from rpcshell.client.transport import abandon, break_off, input_ended, leave, open_transport, sends_on, start_request
from rpcwire import Reply

if TYPE_CHECKING:
    from rpcshell.client.dialects import Step, Steps
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.dialogue import Delivery, Heard
    from rpcshell.client.hearing import RequestHandler
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.client.transport import Transport

_T = TypeVar("_T")


class AsyncHearing(AnyHearing):
    """What the asyncio client hears, on its loop. A handler of requests may be a coroutine function."""

    def __init__(self, handlers: Handlers = NO_HANDLERS) -> None:
        super().__init__(handlers)
        self._changed = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()

    @classmethod
    def answering(cls, answers: Mapping[str, RequestHandler]) -> Self:
        """One that answers requests of the server by their methods."""
        return cls(Handlers(methods=answers))

    def hear(self, heard: Heard, answer: Answer) -> None:
        """Take what has come."""
        match heard:
            case Event():
                self._events.append(heard)
                self._changed.set()
            case Stray(text):
                self.log(text)
            case ServerRequest():
                self._ask(heard, answer)

    def wake(self) -> None:
        """Have whoever waits look whether there will be more."""
        self._changed.set()

    async def next_event(self, timeout: float | None, over: Callable[[], bool]) -> Event | None:
        """Take the next event, or None where none has come within so many seconds or it is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not (self._events or over()):
                    self._changed.clear()
                    await self._changed.wait()
        return self._events.popleft() if self._events else None

    def _ask(self, request: ServerRequest, answer: Answer) -> None:
        if (asked := self._asked(request)) is None:
            answer(request, NotImplemented)
        elif len(self._answers) >= MOST_REQUESTS:
            answer(request, busy())
        else:
            task = asyncio.get_running_loop().create_task(self._answer(request, asked, answer))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, request: ServerRequest, asked: Asked, answer: Answer) -> None:
        try:
            found = asked.find()
            outcome = asked.outcome(await found if inspect.isawaitable(found) else found)
        except Exception as error:  # noqa: BLE001 - a handler is the user's code: the server is told what it raised
            outcome = fault_of(error)
        answer(request, outcome)


class AsyncListeningConnection(AnyListeningConnection):
    """A transport that the loop reads and writes."""

    def __init__(self, target: Target, dialect: FramedDialect, transport: Transport, hearing: AsyncHearing) -> None:
        super().__init__(target, dialect, transport)
        self._hearing = hearing
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[None] | None = None
        # Events that come before the greeting is over may be what it waits for.
        self._greeting: asyncio.Queue[Event | None] | None = asyncio.Queue()
        self._reads_on, self._writes_on = transport.fileno(), sends_on(transport)
        self._reads = self._writes = self._awaits_end = False
        self._takes_input = self._reads_on != self._writes_on
        self._watch()

    @classmethod
    async def open(
        cls,
        target: Target,
        dialect: FramedDialect,
        hearing: AsyncHearing,
        *,
        timeout: float,
        tls: TlsFiles | None = None,
    ) -> AsyncListeningConnection:
        """Connect and greet within `timeout` seconds; parameters and errors are those of `ListeningConnection.open`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout

        def log(line: str) -> None:
            # The loop may be closed by now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(hearing.log, line)

        opening = loop.run_in_executor(None, lambda: open_transport(target, dialect, log, timeout=timeout, tls=tls))
        try:
            transport = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise
        connection = cls(target, dialect, transport, hearing)
        try:
            await connection.follow(dialect.hello(), deadline)
        except BaseException as error:
            await connection.close(greet=False)
            if isinstance(error, HandshakeFailed | ShellError | TimeoutError):
                raise handshake_error(connection._dialogue, error, timeout) from error
            raise
        connection._end_greeting()
        return connection

    async def exchange(
        self,
        method: str,
        params: object,
        *,
        meta: bool,
        plain: bool,
        deadline: float | None,
        partial: Callable[[Any], None] | None = None,
    ) -> Reply:
        """Exchange as `ListeningConnection.exchange` does, with its errors; `deadline` is on the loop's clock."""
        done: asyncio.Future[Reply] = self._loop.create_future()

        def deliver(came: Delivery) -> None:
            if done.done():
                return
            if isinstance(came, Reply):
                done.set_result(came)
            elif isinstance(came, Exception):
                done.set_exception(came)
            elif partial is not None:
                try:
                    partial(came.value)
                except Exception as error:  # noqa: BLE001 - it is the user's code, and the caller is told
                    done.set_exception(error)

        number, _ = self._dialogue.call(method, params, deliver, meta=meta, plain=plain)
        self._flush()
        try:
            async with asyncio.timeout_at(deadline):
                return await done
        except BaseException as error:
            came = self._came()
            self._dialogue.abandon(number)
            self._flush()
            break_off(self._pump.transport, number)
            if isinstance(error, TimeoutError):
                raise TimeoutError(came) from None
            raise

    def answer(self, request: ServerRequest, outcome: Any) -> None:
        """Answer a server's request with a result, with a `Fault`, or by default where it is NotImplemented."""
        self._dialogue.tell(self._answer_bytes(request, outcome))
        self._flush()

    async def follow(self, steps: Steps[_T], deadline: float | None) -> _T:
        """Do what a dialect's steps want to have done; errors are those of `ListeningConnection.follow`."""
        return await follow_async(steps, lambda step: self._do(step, deadline))

    async def close(self, *, greet: bool = True) -> None:
        """Take leave, and close it; a child is ended."""
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        if greet and self.usable() and self._dialogue.idle:
            with contextlib.suppress(ShellError, TimeoutError):
                await self.follow(self.dialect.bye(), self._loop.time() + BYE)
        if self._closing is None:
            self._end()
            self._pump.hand_out()
            self._watch()
            # Ending a child takes its time, as does leaving a server that has not understood something.
            self.closed = True
            self._closing = self._loop.run_in_executor(None, leave, self._pump.transport, self.failure)
            self._hearing.wake()
        await asyncio.shield(self._closing)

    def abandon(self) -> None:
        """Let go of it without its loop, which is closed, or another process's."""
        abandon(self._pump.transport)

    async def _do(self, step: Step, deadline: float | None) -> Reply | Event | None:
        if isinstance(step, Tell):
            self._dialogue.tell(step.data)
            self._flush()
            return None
        if isinstance(step, HttpRequest):
            ended = start_request(self._pump.transport, step.method)
            if ended is not None and step.wait:
                async with asyncio.timeout_at(deadline):
                    await asyncio.wrap_future(ended)
            return None
        with self._within(step, deadline, self._loop.time()) as limit:
            if isinstance(step, Ask):
                return await self.exchange(step.method, step.params, meta=False, plain=False, deadline=limit)
            async with asyncio.timeout_at(limit):
                return await self._hear_event()

    async def _hear_event(self) -> Event:
        event = None if self._greeting is None else await self._greeting.get()
        if event is None:
            raise self.failure or Dropped(CLOSED_HERE, not_run=True)
        return event

    def _end_greeting(self) -> None:
        greeting, self._greeting = self._greeting, None
        while greeting is not None and not greeting.empty():
            if (event := greeting.get_nowait()) is not None:
                self._hearing.hear(event, self.answer)

    def _flush(self) -> None:
        self._pump.write()
        self._pump.hand_out()
        self._watch()

    def _on_readable(self) -> None:
        try:
            self._pump.read()
        except BaseException:
            # Whatever happens, nobody waits for ever.
            self._dialogue.end(Dropped("reading from it failed", not_run=False))
            self._flush()
            raise
        # TLS may have waited for what came to send.
        self._flush()
        if self.failure is not None:
            if self._greeting is not None:
                self._greeting.put_nowait(None)
            self._hearing.wake()

    def _hear(self, heard: Heard) -> None:
        if isinstance(heard, Event) and self._greeting is not None:
            if self._greeting.qsize() < MOST_EARLY:
                self._greeting.put_nowait(heard)
        else:
            self._hearing.hear(heard, self.answer)

    def _watch(self) -> None:
        """Have the loop tell what the pump wants to know."""
        if self._closing is not None:
            return
        reads, writes = self._pump.wants_to_read, self._pump.wants_to_write
        if reads != self._reads:
            self._reads = reads
            if reads:
                self._loop.add_reader(self._reads_on, self._on_readable)
            else:
                self._loop.remove_reader(self._reads_on)
        if writes != self._writes:
            self._writes = writes
            if writes:
                self._loop.add_writer(self._writes_on, self._flush)
            else:
                self._loop.remove_writer(self._writes_on)
        awaits_end = self._takes_input and self.failure is None
        if awaits_end != self._awaits_end:
            self._awaits_end = awaits_end
            if awaits_end:
                self._loop.add_reader(self._writes_on, self._on_input_ended)
            else:
                self._loop.remove_reader(self._writes_on)

    def _on_input_ended(self) -> None:
        self._takes_input = False
        input_ended(self._pump.transport, unsent=False)
        self._watch()


def _close_unused(opening: asyncio.Future[Transport]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.get_loop().run_in_executor(None, opening.result().close)
