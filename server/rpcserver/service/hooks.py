"""A service's hooks: how they are called, and what becomes of what they raise."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

from rpcserver.service.endpoint import HANDLER_LOG
from rpcserver.service.source import handler_name, handler_place, one_line, own_traceback
from rpcserver.system.errors import AppFailed, QuickStop
from rpcserver.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcserver.service.context import WorkerInfo
    from rpcserver.service.coroutines import CoroutineRunner
    from rpcserver.service.service import Hook, Service


def run_preload_hooks(service: Service) -> None:
    """Run the hooks for the time when an app has been imported; raises AppFailed where one fails."""
    for hook in service.preload_hooks:
        with _failure_told(hook):
            hook()


class WorkerHooks:
    """Runs the hooks of one worker."""

    def __init__(self, service: Service, worker: WorkerInfo, runner: CoroutineRunner) -> None:
        self._service = service
        self._worker = worker
        self._runner = runner

    def start_worker(self) -> None:
        """Run the hooks for a worker's start, in models that block; raises AppFailed where one fails."""
        for hook in self._service.start_hooks:
            self._run_hook(hook)

    def stop_worker(self) -> None:
        """Run the hooks for a worker's stop, log what they raise, and end the event loop of coroutine handlers."""
        for hook in self._service.stop_hooks:
            with _failure_logged():
                self._run_hook(hook)
        self._runner.close()

    async def start_worker_async(self) -> None:
        """Like `start_worker`, on an event loop."""
        for hook in self._service.start_hooks:
            await self._run_hook_async(hook)

    async def stop_worker_async(self) -> None:
        """Like `stop_worker`, on an event loop."""
        for hook in self._service.stop_hooks:
            with _failure_logged():
                await self._run_hook_async(hook)

    def _run_hook(self, hook: Hook) -> None:
        with _failure_told(hook), self._runner.guard.holding():
            result = self._call_hook(hook)
            if inspect.isawaitable(result):
                self._runner.run(result)

    async def _run_hook_async(self, hook: Hook) -> None:
        with _failure_told(hook, on_loop=True), self._runner.guard.holding():
            result = self._call_hook(hook)
            if inspect.isawaitable(result):
                await result

    def _call_hook(self, hook: Hook) -> Any:
        try:
            parameters = inspect.signature(hook).parameters.values()
        except (TypeError, ValueError):
            return hook()
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        wants_worker = any(found.kind in positional and found.default is found.empty for found in parameters)
        return hook(self._worker) if wants_worker else hook()


@contextlib.contextmanager
def _failure_told(hook: Hook, *, on_loop: bool = False) -> Iterator[None]:
    """Make an `AppFailed` of what a hook raises, but not of what ends its worker, or the task that it runs in."""
    try:
        yield
    except QuickStop:
        raise
    except BaseException as error:
        if on_loop:
            from rpcserver.service.on_loop import ended_from_outside

            if ended_from_outside(error):
                raise
        name, place = handler_name(hook), handler_place(hook)
        where = name if place is None else f"{name} ({place})"
        raise AppFailed(name, f"the hook {where} failed: {one_line(error)}", own_traceback(error)) from error


@contextlib.contextmanager
def _failure_logged() -> Iterator[None]:
    """Log that a hook has failed, so that those after it run all the same."""
    try:
        yield
    except AppFailed as error:
        HANDLER_LOG.error("%s\n%s", printable(error.message), printable(error.traceback or "").rstrip())
