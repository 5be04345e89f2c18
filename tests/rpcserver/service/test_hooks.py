"""Hooks around a worker's life, in blocking models and on an event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from rpcserver import AppFailed, Service, WorkerInfo
from rpcserver.service.dispatch import Dispatcher
from tests.rpcserver.calling import RUNNER, WORKER
from tests.servers import until


class Story:
    """A service whose hooks and methods tell what happened."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.service = Service("test")
        self.service.on_worker_start(lambda: self.events.append("plain start"))
        self.service.on_worker_start(self.start)
        self.service.on_worker_stop(self.stop)
        self.service.on_worker_stop(self.end)
        self.dispatcher = Dispatcher(self.service, WORKER)

    async def start(self, worker: WorkerInfo) -> None:
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        self.events.append(("start", worker.worker))

    def end(self, worker: WorkerInfo) -> None:
        self.events.append(worker)

    async def stop(self, grace: float = 1.0) -> None:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is self.loop
        self.events.append(("stop", grace))


TOLD = ["plain start", ("start", 3), WORKER, ("stop", 1.0)]


def test_hooks_run_in_order_in_blocking_models_on_one_loop() -> None:
    RUNNER.close()
    story = Story()
    story.dispatcher.hooks.start_worker()
    assert story.events == TOLD[:2]
    story.dispatcher.hooks.stop_worker()
    assert story.events == TOLD
    until(lambda: all(thread.name != "rpcserver-coroutines" for thread in threading.enumerate()))


def test_hooks_run_in_order_on_an_event_loop() -> None:
    story = Story()

    async def main() -> None:
        await story.dispatcher.hooks.start_worker_async()
        assert asyncio.get_running_loop() is story.loop
        await story.dispatcher.hooks.stop_worker_async()

    asyncio.run(main())
    assert story.events == TOLD


def fail() -> None:
    raise OSError("no database")


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise SystemExit(3)


@pytest.mark.parametrize(("hook", "says"), [(fail, "OSError: no database"), (fail_later, "SystemExit: 3")])
def test_a_start_hook_that_fails_ends_the_start_with_its_own_traceback(hook: Any, says: str) -> None:
    service = Service("test")
    service.on_worker_start(hook)
    service.on_worker_start(lambda: pytest.fail("the worker does not start"))
    dispatcher = Dispatcher(service, WORKER)
    with pytest.raises(AppFailed, match=says) as caught:
        dispatcher.hooks.start_worker()
    dispatcher.hooks.stop_worker()
    assert f"{hook.__name__} ({__file__}:{hook.__code__.co_firstlineno})" in str(caught.value)
    assert says in str(caught.value.traceback)
    assert "server/rpcserver" not in str(caught.value.traceback)
    with pytest.raises(AppFailed, match=says):
        asyncio.run(dispatcher.hooks.start_worker_async())


def test_a_stop_hook_that_fails_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    stopped: list[int] = []
    service = Service("test")
    service.on_worker_stop(lambda: stopped.append(1))
    service.on_worker_stop(fail)
    service.on_worker_stop(lambda: stopped.append(2))
    dispatcher = Dispatcher(service, WORKER)
    dispatcher.hooks.stop_worker()
    asyncio.run(dispatcher.hooks.stop_worker_async())
    assert stopped == [2, 1, 2, 1]
    assert [(record.name, record.levelno) for record in caplog.records] == [("rpcserver.handler", logging.ERROR)] * 2
    assert "no database" in caplog.records[0].getMessage()
