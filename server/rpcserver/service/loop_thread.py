"""The event loop of coroutine handlers in worker models that block, in a thread of its own.

`coroutines` says what it is for, and loads this with the first coroutine, or before forks that shall share it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rpcserver.service.on_loop import end_tasks, ended_from_outside, run_until_stopped
from rpcserver.system.errors import RpcError
from rpcserver.system.threads import NoThread, start_thread
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rpcserver.system.strays import StrayGuard

T = TypeVar("T")


class LoopThread:
    """The thread and its loop, which start with the first coroutine, and anew in a forked child; for any thread."""

    def __init__(self, guard: StrayGuard) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = threading.Event()
        self._pid = 0

    def run(self, awaitable: Awaitable[T]) -> T:
        """Do as `CoroutineRunner.run` says."""
        call = _Call()
        try:
            with self._lock:
                # Under the lock, so that `close` cannot stop the loop before the coroutine is on it.
                future = asyncio.run_coroutine_threadsafe(_contain(awaitable, call, self._guard), self._running_loop())
            value, error = future.result()
        except CancelledError:
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

    def close(self, timeout: float) -> None:
        """Do as `CoroutineRunner.close` says."""
        with self._lock:
            loop, self._loop, ended = self._loop, None, self._ended
        if loop is None or self._pid != os.getpid():
            return
        loop.call_soon_threadsafe(loop.stop)
        ended.wait(timeout)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._pid != os.getpid():
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
