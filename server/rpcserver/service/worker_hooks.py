"""A service's hooks for the start and the end of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcserver.service.loader import logged_failure, run_hook, run_hook_async

if TYPE_CHECKING:
    from rpcserver.service.context import WorkerInfo
    from rpcserver.service.coroutines import CoroutineRunner
    from rpcserver.service.service import Service


class WorkerHooks:
    """Runs the hooks of one worker.

    Attributes:
        service: what is served.
        worker: by whom.
    """

    def __init__(self, service: Service, worker: WorkerInfo, runner: CoroutineRunner) -> None:
        self.service = service
        self.worker = worker
        self._runner = runner

    def start_worker(self) -> None:
        """Run the hooks for a worker's start, in models that block.

        Raises:
            AppFailed: a hook raised an exception.
        """
        for hook in self.service.start_hooks:
            run_hook(hook, self.worker, self._runner.run)

    def stop_worker(self) -> None:
        """Run the hooks for a worker's stop, each of them, and end the event loop of coroutine handlers.

        What a hook raises is logged.
        """
        for hook in self.service.stop_hooks:
            with logged_failure(hook):
                run_hook(hook, self.worker, self._runner.run)
        self._runner.close()

    async def start_worker_async(self) -> None:
        """Like `start_worker`, on an event loop."""
        for hook in self.service.start_hooks:
            await run_hook_async(hook, self.worker)

    async def stop_worker_async(self) -> None:
        """Like `stop_worker`, on an event loop."""
        for hook in self.service.stop_hooks:
            with logged_failure(hook):
                await run_hook_async(hook, self.worker)
