"""The async model: a worker serves many connections on one event loop, with uvloop.

Coroutine handlers run on the loop, plain ones in threads, unless they were registered with `blocking=False`.
One connection is the business of `aio_connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rpcserver.service.on_loop import end_tasks, run_until_stopped, survived
from rpcserver.system.errors import QuickStop
from rpcserver.system.threads import NoThread, start_thread
from rpcserver.workers.aio_calls import RESISTANCE, HandlerThreads
from rpcserver.workers.aio_connection import LoopConnection
from rpcserver.workers.base import EXIT_APP, Worker
from rpcserver.workers.limits import grace_allowed, tick_for
from rpcserver.workers.socket_drivers import admit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Executor
    from types import FrameType

    from rpcserver.service.context import Peer
    from rpcserver.workers.aio_connection import Begin
    from rpcserver.workers.base import WorkerSetup

try:
    from uvloop import new_event_loop
except ImportError:
    # The worker says so, which has a channel for it.
    _new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
else:
    _new_loop = new_event_loop

logger = logging.getLogger(__name__)

_HELD_UP: Final = 0.5  # seconds by which a look at the deadlines is late when the loop was held up
_STOP_SECONDS: Final = 0.2  # how long the loop may take to stop at once; then whatever holds it up is interrupted


class AsyncWorker(Worker):
    """Serves all its connections on one event loop, in the main thread.

    Connections are accepted in a helper thread, by the same means as in every model, one at a time: the next one
    only when the loop has taken the last, so that a worker whose loop is held up leaves clients to others.
    """

    model = "async"

    begin: Begin  # like the dispatcher's, and sees to `max_requests`
    threads: HandlerThreads  # where plain handlers run

    _loop: asyncio.AbstractEventLoop
    _timer: asyncio.TimerHandle

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._connections: set[LoopConnection] = set()
        self._room = threading.Event()
        self._accepting = True
        settings = self.settings
        limits = (settings.idle_timeout, settings.read_timeout, settings.write_timeout, settings.timeout)
        self._tick = tick_for(settings.max_connection_age, *limits)
        self._due = 0.0
        self._stopping = False

    def _live(self) -> int:
        if _new_loop is None:
            self.channel.failed("the async model needs uvloop: run `pip install uvloop`, or choose another model")
            return EXIT_APP
        self._loop = _new_loop()
        self.threads = HandlerThreads(self.settings.threads, self._loop)
        self._loop.set_exception_handler(_on_loop_error)
        return super()._live()

    def start_service(self) -> None:
        """Run the service's start hooks on the loop."""
        self._complete(self.dispatcher.hooks.start_worker_async())

    def stop_service(self) -> None:
        """Run the service's stop hooks on the loop, after the calls that a quick stop left, before all else there."""
        try:
            self._complete(self._end_calls())
            self._complete(self.dispatcher.hooks.stop_worker_async())
            self._complete(end_tasks(RESISTANCE))
        except OSError as error:
            # What hooks raise never comes here: the loop itself finds nothing left to run on.
            logger.error("the stop hooks cannot be run to their end: %s", error.strerror)

    def prepare(self) -> None:
        """Start to accept connections, which are served once the loop runs."""
        self.begin = self._begin_counted if self._request_limit else self.dispatcher.begin
        # A loop that finds no descriptors for its own pair when it begins to run is of no use any more.
        with contextlib.ExitStack() as tried:
            for end in (*os.pipe(), *os.pipe()):
                tried.callback(os.close, end)
        start_thread(self._accept, "rpcserver-acceptor")

    def run(self) -> None:
        """Serve connections until asked to drain, and then until all of them have ended."""
        self._make_room()
        self._due = time.monotonic()
        self._timer = self._loop.call_later(self._tick, self._check)
        run_until_stopped(self._loop, lambda: self._quitting or self._is_done())
        self._stopping = False
        if self._quitting:
            raise QuickStop

    def drain(self) -> None:
        """Have the loop bring every connection to its end."""
        self._loop.call_soon_threadsafe(self._leave)

    def reclaim(self) -> None:
        """Have the loop let go of idle connections."""
        self._loop.call_soon_threadsafe(self._reclaim)

    def ended(self, connection: LoopConnection) -> None:
        """Forget a connection that is closed, and whose last call has ended."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self.board.connection_closed()
        self._make_room()
        self._stop_if_done()

    def _accept(self) -> None:
        """Accept connections, and when the worker drains, take those that still wait; in the helper thread."""
        try:
            while self._room.wait() and not self.draining:
                connection = self.acceptor.accept()
                if connection is not None:
                    self._hand_over(connection)
            self.acceptor.close()
            while self._room.wait() and (waiting := self.channel.next_connection()) is not None:
                self._hand_over(waiting)
        finally:
            # Whatever ended it: a worker that accepts nothing must not stay.
            self._loop.call_soon_threadsafe(self._on_none_left)

    def _hand_over(self, connection: socket.socket) -> None:
        self._room.clear()
        self._loop.call_soon_threadsafe(self._take, connection)

    def _make_room(self) -> None:
        if len(self._connections) < self.settings.max_connections:
            self._room.set()
        else:
            self.note_full()

    def _take(self, connection: socket.socket) -> None:
        conversation = admit(connection, self.terms)
        if conversation is not None:
            taken = LoopConnection(connection, conversation, self, self._loop)
            self._connections.add(taken)
            self.board.connection_opened()
            if self.draining:
                taken.leave(self._grace_deadline())
            self._loop.create_task(self._open(taken, connection))
        self._make_room()

    async def _open(self, taken: LoopConnection, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: taken, connection)
        except OSError as error:
            logger.debug("%s: connection lost: %s", taken.peer.address, error)
            connection.close()
            self.ended(taken)

    def _leave(self) -> None:
        self.wake()
        self._room.set()
        self._let_go(self._connections)

    def _reclaim(self) -> None:
        if not self.draining:
            self._let_go(self.idlest(tuple(self._connections)))

    def _let_go(self, connections: Iterable[LoopConnection]) -> None:
        deadline = self._grace_deadline()
        for connection in tuple(connections):
            connection.leave(deadline)
        self._due = time.monotonic()
        self._check()

    def _grace_deadline(self) -> float:
        return time.monotonic() + grace_allowed(self.settings)

    def _on_none_left(self) -> None:
        self._accepting = False
        self._stop_if_done()

    def _is_done(self) -> bool:
        return not self._accepting and not self._connections

    def _stop_if_done(self) -> None:
        if self._is_done():
            self._loop.stop()

    def keep_signals(self, *, in_loop: bool = False) -> None:
        """As in every worker; the loop has the wakeup descriptor while it runs."""
        super().keep_signals(in_loop=in_loop or self._loop.is_running())

    def in_call(self) -> bool:
        """It may; but what were raised anywhere on the loop would mostly meet something else."""
        return False

    def _check(self) -> None:
        """See to the deadlines of all connections, and again when the next is due: one timer for all of them."""
        self._timer.cancel()
        self.tick()
        now = time.monotonic()
        if now - self._due > _HELD_UP:
            # What has arrived while a callback held up the loop comes first.
            self._due = now
        else:
            self._due = now + self._tick
            for connection in tuple(self._connections):
                self._due = min(self._due, connection.check(now))
        # The loop counts milliseconds.
        self._timer = self._loop.call_later(max(0.001, self._due - now), self._check)

    def _begin_counted(
        self, body: bytes | bytearray, connection: Peer, close: bool, executor: Executor
    ) -> bytes | Coroutine[Any, Any, bytes]:
        begun = self.dispatcher.begin(body, connection, close, executor)
        self.check_requests(self.dispatcher.served)
        return begun

    def _complete(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end on the loop that is not running; raises QuickStop where a signal asks for that."""
        quitting = self._quitting
        try:
            task = self._loop.create_task(coroutine)
            while not task.done():
                with survived():
                    self._loop.run_until_complete(task)
        except RuntimeError:
            # The loop was stopped.
            if quitting or not self._quitting:
                raise
            raise QuickStop from None
        finally:
            self._stopping = False

    async def _end_calls(self) -> None:
        """Cancel what a quick stop leaves running: handlers' own clean-up comes before the stop hooks."""
        calls = [task for connection in self._connections if (task := connection.cancel()) is not None]
        if calls:
            await asyncio.wait(calls, timeout=RESISTANCE)

    def _on_quick(self, number: int, frame: FrameType | None) -> None:
        self._leave_by = 0.0
        if self._stopping:
            # A callback holds up the loop; what is raised ends that.
            raise QuickStop
        if self._quitting or not self._loop.is_running():
            super()._on_quick(number, frame)
            return
        self._quitting = self._stopping = True
        self._loop.stop()
        try:
            start_thread(partial(_repeat, threading.get_ident(), number), "rpcserver-stop")
        except NoThread as error:
            logger.warning("a call that holds up the event loop may outlast this stop: %s", error)


def _repeat(thread: int, number: int) -> None:
    time.sleep(_STOP_SECONDS)
    signal.pthread_kill(thread, number)


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError) and "transport" in context:
        logger.debug("connection lost: %s", error)
    elif not isinstance(error, QuickStop):
        loop.default_exception_handler(context)
