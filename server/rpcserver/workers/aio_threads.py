"""Threads for the plain handlers of an event loop, which would stop it.

They cost a third of what `concurrent.futures` and asyncio take for the same, by doing without futures that threads
can wait for: nobody but the loop waits here.
"""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class _Job:
    """A call on its way to a thread, in it, or back.

    Attributes:
        future: what the loop waits for.
        claim: held by whoever was first: the thread that runs the call, or who withdraws it.
        finished: whether the thread is done with it.
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
        # The connection remembers its last call, and shall not keep what that was given and has returned.
        del self.future, self.work


class HandlerThreads:
    """A number of threads that run calls for one event loop; they start with the first call, and never end.

    Args:
        count: how many there are.
        loop: the event loop.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._count = count
        self._loop = loop
        self._jobs: SimpleQueue[_Job] = SimpleQueue()

    def submit(self, work: Callable[[], Any]) -> _Job:
        """Have it called in the first thread that is free.

        Args:
            work: raises nothing.
        """
        job = _Job(self._loop.create_future(), work)
        self._jobs.put(job)
        while self._count:
            self._count -= 1
            threading.Thread(target=self._run, name="rpcserver-handler", daemon=True).start()
        return job

    def _run(self) -> None:
        next_job = self._jobs.get
        tell = self._loop.call_soon_threadsafe
        while True:
            job = next_job()
            if job.claim.acquire(blocking=False):
                result = job.work()
                job.finished = True
                tell(job.settle, result)
                # Nothing of it shall live until the next one comes.
                del result
            del job


class ThreadCalls(Executor):
    """Runs one connection's plain handlers in threads that all connections share, and knows what became of them.

    Args:
        threads: the threads.
    """

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
