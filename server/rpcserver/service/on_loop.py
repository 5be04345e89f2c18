"""What runs on an event loop: calls that are awaited there, what ends them, and the loop itself until it is stopped.

Importing this imports asyncio, which many services never need.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rpcserver.service.large import uncollected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Executor

    from rpcserver.service.context import Peer
    from rpcserver.service.endpoint import Endpoint
    from rpcserver.system.strays import StrayGuard

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class OnLoop:
    """What a dispatcher has done on the loop, or beside it in threads. The guard is that of its handlers."""

    def __init__(self, guard: StrayGuard) -> None:
        self._guard = guard
        self._for_large: Executor | None = None

    async def run_large(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Read or write what is large in a thread of its own; that is over soon, so that one is enough."""
        if self._for_large is None:
            self._for_large = concurrent.futures.ThreadPoolExecutor(1, "rpcserver-large")
        loop = asyncio.get_running_loop()
        try:
            there = loop.run_in_executor(self._for_large, partial(uncollected, function, *args, **kwargs))
        except RuntimeError:
            # There is no thread left: it is done here, and others wait.
            self._for_large = None
            return function(*args, **kwargs)
        try:
            return await there
        finally:
            # An exception's traceback would keep this frame, and this frame the exception.
            del there

    def call_in_thread(
        self, endpoint: Endpoint, arguments: Any, connection: Peer, executor: Executor | None
    ) -> Awaitable[tuple[Any, BaseException | None]]:
        """Call a handler that blocks; what it returns, or what it raises, is there when that has been awaited."""
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(executor, run, endpoint.outcome, arguments, connection, self._guard)


def ended_from_outside(error: BaseException) -> bool:
    """Whether it ends the task that runs, and is not what a user's code raised in it: a cancellation, or a `close`."""
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


async def end_tasks(timeout: float | None = None) -> None:
    """Cancel what else runs on the loop, and wait until it has ended, for so many seconds at most."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
    await asyncio.get_running_loop().shutdown_asyncgens()
