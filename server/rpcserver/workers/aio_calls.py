"""Calls that an event loop waits for, and the threads in which plain handlers run, which would stop it.

Connections are in `aio_connection`; what is called, and how, is the dispatcher's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Executor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from rpcserver.service.envelopes import method_of
from rpcserver.system.threads import NoThread, note_thrown, start_thread
from rpcwire import ErrorCode, Fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from rpcserver.service.dispatch import Dispatcher

logger = logging.getLogger(__name__)

RESISTANCE: Final = 1.0  # how long a coroutine may take to end after its cancellation, in seconds

P = ParamSpec("P")
T = TypeVar("T")


class AsyncCall:
    """A request whose reply is not there at once."""

    __slots__ = ("_begun", "_started", "body", "deadline", "last", "lost_thread", "stopped", "task", "timed_out")

    def __init__(self, begun: Coroutine[Any, Any, bytes], body: bytes | bytearray, last: bool) -> None:
        self._begun = begun
        self.body = body
        self._started = 0
        self.last = last
        self.task: asyncio.Task[bytes] | None = None
        self.deadline = 0.0  # when it has taken too long, in monotonic seconds
        self.timed_out = False
        self.stopped = False  # whether a quick stop has cancelled it
        self.lost_thread = False  # whether it has timed out, and goes on in a thread, which cannot be stopped

    def run(
        self, loop: asyncio.AbstractEventLoop, deadline: float, finish: Callable[[asyncio.Task[bytes]], None]
    ) -> None:
        """Await it in a task of its own, and so in a context of its own."""
        self._started = time.perf_counter_ns()
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
        """Say as a frame, in its reply's place, that it has taken longer than `limit` seconds."""
        became = "; it may still be running" if self.lost_thread else " and was cancelled"
        fault = Fault(ErrorCode.TIMED_OUT, f"{method_of(self.body)} took longer than {limit:g} s{became}")
        return dispatcher.refuse_unfinished(self.body, fault, self._started, last)


class _Job:
    """A call on its way to a thread, in it, or back.

    Its claim is held by whoever was first: the thread that runs the call, or who withdraws it.
    """

    __slots__ = ("claim", "finished", "future", "work")

    def __init__(self, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        self.future = future
        self.work = work
        self.claim = threading.Lock()
        self.finished = False

    def settle(self, result: object) -> None:
        if not self.future.done():
            self.future.set_result(result)
        self._let_go()

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
        self._let_go()

    def _let_go(self) -> None:
        # The connection remembers its last call, and shall not keep what that was given and has returned.
        del self.future, self.work


class HandlerThreads:
    """A number of threads that run calls for one event loop; they start with the first call, and never end.

    They cost a third of what `concurrent.futures` and asyncio take for the same, by doing without futures that
    threads can wait for: nobody but the loop waits here.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._count = count
        self._running = 0
        self._loop = loop
        self._jobs: deque[_Job] = deque()
        # One for each job: a thread that an exception comes to while it waits loses a token, and no job.
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def submit(self, work: Callable[[], Any]) -> _Job:
        """Have it called, which must raise nothing, in the first thread that is free."""
        job = _Job(self._loop.create_future(), work)
        self._jobs.append(job)
        self._tokens.put(None)
        if self._running < self._count:
            self._start()
        if not self._running:
            # No thread could be started: the loop runs it itself, and does nothing else meanwhile.
            self._tokens.get()
            self._do_next()
        return job

    def _start(self) -> None:
        try:
            while self._running < self._count:
                start_thread(self._run, "rpcserver-handler", daemon=False)
                self._running += 1
        except NoThread as error:
            logger.warning("there are %d of %d threads for calls: %s", self._running, self._count, error)
            self._count = self._running

    def _run(self) -> None:
        while True:
            try:
                self._tokens.get()
                self._do_next()
            except BaseException:  # noqa: BLE001 - it is logged
                note_thrown()
                self._tokens.put(None)

    def _do_next(self) -> None:
        # This has a frame of its own, so that nothing of a job lives on while the thread waits for the next.
        try:
            job = self._jobs.popleft()
        except IndexError:
            return
        if job.claim.acquire(blocking=False):
            try:
                result = job.work()
            except BaseException as error:
                job.finished = True
                self._loop.call_soon_threadsafe(job.fail, error)
                raise
            job.finished = True
            self._loop.call_soon_threadsafe(job.settle, result)
            # An exception's traceback may keep this frame, which must not keep the exception.
            del result


class ThreadCalls(Executor):
    """Runs one connection's plain handlers in threads that all connections share, and knows what became of them."""

    __slots__ = ("_last", "_threads")

    def __init__(self, threads: HandlerThreads) -> None:
        self._threads = threads
        self._last: _Job | None = None

    def submit(  # type: ignore[override]  # run_in_executor takes the loop's own futures as they are: wrap_future
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Run it, which must raise nothing, in the first thread that is free."""
        self._last = job = self._threads.submit(lambda: fn(*args, **kwargs))
        return job.future

    def hold_thread(self) -> bool:
        """Whether a thread still runs the last call. One that waits for a thread is withdrawn instead."""
        job = self._last
        return job is not None and not job.claim.acquire(blocking=False) and not job.finished
