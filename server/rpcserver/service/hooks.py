"""Runs what a service wants done when a worker starts and stops."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

from rpcserver.service.endpoint import HANDLER_LOG
from rpcserver.service.source import handler_name, handler_place, one_line, own_traceback, printable
from rpcserver.system.errors import AppFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rpcserver.service.context import WorkerInfo
    from rpcserver.service.service import Hook


def run_hook(hook: Hook, worker: WorkerInfo, run: Callable[[Awaitable[Any]], Any]) -> None:
    """Call a hook, and have its coroutine run, if it makes one.

    Raises:
        AppFailed: the hook raised an exception.
    """
    try:
        result = _called(hook, worker)
        if inspect.isawaitable(result):
            run(result)
    except (Exception, SystemExit) as error:
        raise _failed(hook, error) from error


async def run_hook_async(hook: Hook, worker: WorkerInfo) -> None:
    """Like `run_hook`, on an event loop."""
    try:
        result = _called(hook, worker)
        if inspect.isawaitable(result):
            await result
    except (Exception, SystemExit) as error:
        raise _failed(hook, error) from error


@contextlib.contextmanager
def logged_failure(hook: Hook) -> Iterator[None]:
    """Log what a hook raises, so that the hooks after it run all the same."""
    try:
        yield
    except AppFailed as error:
        HANDLER_LOG.error("%s\n%s", printable(error.message), printable(error.traceback or "").rstrip())


def _called(hook: Hook, worker: WorkerInfo) -> Any:
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return hook()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wants_worker = any(found.kind in positional and found.default is found.empty for found in parameters)
    return hook(worker) if wants_worker else hook()


def _failed(hook: Hook, error: BaseException) -> AppFailed:
    name, place = handler_name(hook), handler_place(hook)
    where = name if place is None else f"{name} ({place})"
    return AppFailed(name, f"the hook {where} failed: {one_line(error)}", own_traceback(error))
