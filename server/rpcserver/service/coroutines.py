"""Runs coroutine handlers in worker models that block.

One event loop per worker lives in a thread of its own, started with the first coroutine; the threads that serve
connections hand coroutines to it and wait. So what a coroutine leaves behind (a connection pool, a background
task, a lock) belongs to one loop that keeps running between calls, and coroutines of several threads
interleave on it as they would in any asyncio program. The price is a hand-over between two threads per call,
some tens of microseconds, paid by coroutine handlers only. Models built on an event loop do not need this module.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rpcserver.system.errors import RpcError
from rpcserver.system.strays import StrayGuard
from rpcserver.system.threads import NoThread, start_thread
from rpcwire import ErrorCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")


class CoroutineRunner:
    """Runs coroutines on an event loop in a thread of its own; safe to use from any thread.

    Nothing is imported or started before the first `run`. After a fork the child starts a loop anew. An interpreter
    does not end before `close`. The guard keeps processes that a coroutine forks from going on with the loop.
    """

    def __init__(self, guard: StrayGuard | None = None) -> None:
        self.guard = StrayGuard() if guard is None else guard
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = threading.Event()
        self._pid = 0

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for an awaitable's result; RuntimeError where it cancels its own task, or the runner is closed.

        An exception that interrupts the wait (a signal handler's, say) cancels the coroutine.
        """
        import asyncio
        import concurrent.futures

        call = _Call()
        try:
            with self._lock:
                # Under the lock, so that `close` cannot stop the loop before the coroutine is on it.
                future = asyncio.run_coroutine_threadsafe(_contain(awaitable, call, self.guard), self._running_loop())
            value, error = future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the coroutine was cancelled") from None
        except BaseException:
            call.abandon()
            raise
        if error is None:
            return value  # type: ignore[return-value]  # a value of type T where there is no error
        try:
            raise error
        finally:
            # The exception's traceback would otherwise hold this frame, and this frame the exception.
            del error, future

    def close(self, timeout: float = 5.0) -> None:
        """Cancel what still runs, and end the loop. The runner can be used again afterwards.

        Coroutines may take `timeout` seconds to end after their cancellation. The loop's thread is left to end by
        itself: it waits for what the loop's executor still does.
        """
        with self._lock:
            loop, self._loop, ended = self._loop, None, self._ended
        if loop is None or self._pid != os.getpid():
            return
        loop.call_soon_threadsafe(loop.stop)
        ended.wait(timeout)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._pid != os.getpid():
            import asyncio

            loop = None
            try:
                loop, ended = asyncio.new_event_loop(), threading.Event()
                start_thread(partial(self._serve, loop, ended), "rpcserver-coroutines", daemon=False)
            except (OSError, NoThread) as error:
                if loop is not None:
                    loop.close()
                # The call is not at fault, and may find its place later.
                reason = f"there is no event loop for this call: {error}"
                raise RpcError(reason, ErrorCode.BUSY, {"retry": True}) from error
            self._loop, self._ended, self._pid = loop, ended, os.getpid()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        try:
            # From the time that its thread is known to be there until `close`, it is the runner's.
            run_until_stopped(loop, lambda: self._loop is not loop)
        finally:
            try:
                loop.run_until_complete(end_tasks())
            finally:
                ended.set()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


def ended_from_outside(error: BaseException) -> bool:
    """Whether it ends the task that runs, and is not what a user's code raised in it: a cancellation, or a `close`."""
    import asyncio

    # Of an exception itself its class would be asked too, which its own code may answer.
    if not issubclass(type(error), asyncio.CancelledError | GeneratorExit):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True
    return task is None or task.cancelling() > 0


def run_until_stopped(loop: asyncio.AbstractEventLoop, meant: Callable[[], bool]) -> None:
    """Run a loop until it is stopped, and `meant` says that it was meant: a user's code may call its `stop` too."""
    while True:
        with survived():
            loop.run_forever()
            if not meant():
                logger.warning("the app has stopped its event loop, which goes on")
        if meant():
            return


@contextlib.contextmanager
def survived() -> Iterator[None]:
    """Log what ends a loop, instead of the task of a user's code that has raised it."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        logger.exception("a task of the app has raised what would end its event loop, which goes on")


class _Call:
    """One call, known to both threads before either can be interrupted: a future would be known too late."""

    def __init__(self) -> None:
        self.task: asyncio.Task[object] | None = None
        self.abandoned = False

    def abandon(self) -> None:
        """Cancel the coroutine, whether it has begun or not; for the thread that waits."""
        self.abandoned = True
        task = self.task
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)


async def _contain(awaitable: Awaitable[T], call: _Call, guard: StrayGuard) -> tuple[T | None, BaseException | None]:
    """Turn an exception into a value: a task that ends with SystemExit or KeyboardInterrupt would end the loop."""
    import asyncio

    call.task = asyncio.current_task()
    if call.abandoned and call.task is not None:
        call.task.cancel()
    try:
        value = await awaitable
    except BaseException as error:
        guard.check(error)
        if ended_from_outside(error):
            raise
        # The task would keep the exception, and the exception's traceback this frame.
        call.task = None
        return None, error
    guard.check()
    return value, None


async def end_tasks(timeout: float | None = None) -> None:
    """Cancel what else runs on the loop, and wait until it has ended, for so many seconds at most."""
    import asyncio

    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
    await asyncio.get_running_loop().shutdown_asyncgens()
