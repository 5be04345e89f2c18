"""Runs coroutine handlers in worker models that block.

One event loop per worker lives in a thread of its own, started with the first coroutine; the threads that serve
connections hand coroutines to it and wait. So what a coroutine leaves behind (a connection pool, a background
task, a lock) belongs to one loop that keeps running between calls, and coroutines of several threads
interleave on it as they would in any asyncio program. The price is a hand-over between two threads per call,
some tens of microseconds, paid by coroutine handlers only. Models built on an event loop do not need this module.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from rpcserver.system.strays import StrayGuard

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rpcserver.service.loop_thread import LoopThread

T = TypeVar("T")


class CoroutineRunner:
    """Runs coroutines on an event loop in a thread of its own; safe to use from any thread.

    Nothing is started before the first `run`. After a fork the child starts a loop anew. An interpreter
    does not end before `close`. The guard keeps processes that a coroutine forks from going on with the loop.
    """

    def __init__(self, guard: StrayGuard | None = None) -> None:
        self.guard = StrayGuard() if guard is None else guard
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for an awaitable's result.

        An exception that interrupts the wait (a signal handler's, say) cancels the coroutine.

        Raises:
            RuntimeError: it has cancelled its own task, or the runner was closed.
            RpcError: there is no thread or descriptor left for the loop.
            BaseException: whatever the coroutine raised.
        """
        thread = self._thread
        if thread is None:
            from rpcserver.service.loop_thread import LoopThread

            with self._lock:
                thread = self._thread = self._thread or LoopThread(self.guard)
        return thread.run(awaitable)

    def close(self, timeout: float = 5.0) -> None:
        """Cancel what still runs, and end the loop. The runner can be used again afterwards.

        Coroutines may take `timeout` seconds to end after their cancellation. The loop's thread is left to end by
        itself: it waits for what the loop's executor still does.
        """
        if self._thread is not None:
            self._thread.close(timeout)


def import_ahead() -> None:
    """Import what coroutines run on, where the app has asyncio already.

    Processes that are forked share it then, and one without a free descriptor can run its first coroutine.
    """
    if "asyncio" in sys.modules:
        importlib.import_module("rpcserver.service.loop_thread")
