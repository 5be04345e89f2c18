"""The event loop of coroutine handlers in models that block."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rpcserver.service.coroutines import CoroutineRunner
from tests.rpcserver.calling import RUNNER
from tests.servers import until


@pytest.fixture(autouse=True)
def no_other_loop() -> None:
    RUNNER.close()
    until(lambda: not loop_threads())


@pytest.fixture
def runner() -> Iterator[CoroutineRunner]:
    made = CoroutineRunner()
    yield made
    made.close()


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rpcserver-coroutines"]


def test_nothing_starts_before_the_first_coroutine() -> None:
    CoroutineRunner().close()
    assert loop_threads() == []


def test_a_coroutines_result_is_returned_and_its_exception_raised(runner: CoroutineRunner) -> None:
    async def good() -> int:
        await asyncio.sleep(0)
        return 5

    async def bad() -> None:
        await asyncio.sleep(0)
        raise KeyError("k")

    assert runner.run(good()) == 5
    with pytest.raises(KeyError, match="k"):
        runner.run(bad())
    assert runner.run(good()) == 5


def test_every_coroutine_runs_on_the_same_loop_in_a_thread_of_its_own(runner: CoroutineRunner) -> None:
    async def where() -> tuple[Any, int]:
        return asyncio.get_running_loop(), threading.get_ident()

    first, second = runner.run(where()), runner.run(where())
    assert first == second
    assert first[1] != threading.get_ident()
    assert len(loop_threads()) == 1


def test_background_tasks_go_on_between_calls(runner: CoroutineRunner) -> None:
    done = threading.Event()
    tasks = []

    async def background() -> None:
        await asyncio.sleep(0.001)
        done.set()

    async def start() -> None:
        tasks.append(asyncio.ensure_future(background()))

    runner.run(start())
    assert done.wait(30)


def test_threads_run_coroutines_side_by_side(runner: CoroutineRunner) -> None:
    count = 8
    arrived = 0
    everybody: list[asyncio.Event] = []

    async def meet(number: int) -> int:
        nonlocal arrived
        if not everybody:
            everybody.append(asyncio.Event())
        arrived += 1
        if arrived == count:
            everybody[0].set()
        await everybody[0].wait()
        return number

    results: list[int] = []

    def call(number: int) -> None:
        results.append(runner.run(meet(number)))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == list(range(count))
    assert len(loop_threads()) == 1


def test_a_coroutine_sees_the_callers_context_variables(runner: CoroutineRunner) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(7)

    async def read() -> int:
        return variable.get()

    assert runner.run(read()) == 7


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopAsyncIteration()])
def test_an_exit_inside_a_coroutine_reaches_the_caller_and_the_loop_lives(
    runner: CoroutineRunner, error: BaseException
) -> None:
    async def leave() -> None:
        raise error

    async def good() -> int:
        return 1

    with pytest.raises(type(error)):
        runner.run(leave())
    assert runner.run(good()) == 1


def test_a_cancellation_of_what_it_awaits_reaches_the_caller(runner: CoroutineRunner) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        runner.run(cancelled())


def test_a_coroutine_that_cancels_its_own_task_is_an_exception_for_the_caller(runner: CoroutineRunner) -> None:
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    with pytest.raises(RuntimeError, match="cancelled"):
        runner.run(cancels_itself())


def test_an_exit_in_a_task_of_ones_own_leaves_the_loop_running(runner: CoroutineRunner) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def start() -> BaseException | None:
        task = asyncio.ensure_future(leave())
        await asyncio.wait([task])
        # Asyncio logs one that nobody takes, later and in the middle of another test.
        return task.exception()

    assert type(runner.run(start())) is SystemExit


class Alarm(BaseException):
    """Raised by the test's signal handler."""


def test_an_interrupted_wait_cancels_the_coroutine(runner: CoroutineRunner) -> None:
    cancelled = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        raise Alarm

    async def hang() -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    previous = signal.signal(signal.SIGUSR2, interrupt)
    try:
        with pytest.raises(Alarm):
            runner.run(hang())
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert cancelled.wait(30)


def test_close_cancels_what_runs_and_ends_the_thread() -> None:
    runner = CoroutineRunner()
    started = threading.Event()
    ended = threading.Event()
    outcome: list[str] = []

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def call() -> None:
        try:
            runner.run(hang())
        except RuntimeError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    assert started.wait(30)
    runner.close()
    thread.join(30)
    assert ended.is_set()
    assert outcome == ["the coroutine was cancelled"]
    until(lambda: not loop_threads())


def test_close_gives_up_on_a_coroutine_that_will_not_end() -> None:
    runner = CoroutineRunner()
    release = threading.Event()
    blocked = threading.Event()

    go = asyncio.Event()

    async def block() -> None:
        await go.wait()
        blocked.set()
        release.wait(30)

    async def start() -> asyncio.AbstractEventLoop:
        tasks.append(asyncio.ensure_future(block()))
        return asyncio.get_running_loop()

    tasks: list[Any] = []
    runner.run(start()).call_soon_threadsafe(go.set)
    assert blocked.wait(30)
    (thread,) = loop_threads()
    runner.close(timeout=0.01)
    release.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_closed_runner_starts_anew() -> None:
    runner = CoroutineRunner()

    async def good() -> int:
        return 1

    for _ in range(2):
        assert runner.run(good()) == 1
        runner.close()
    until(lambda: not loop_threads())


# From 3.12 on Python warns of any fork beside a thread, which is the case that is tested.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own(runner: CoroutineRunner) -> None:
    async def pid() -> int:
        return os.getpid()

    assert runner.run(pid()) == os.getpid()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(runner.run(pid())).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answered:
        assert answered.read() == str(child)
    os.waitpid(child, 0)
    assert runner.run(pid()) == os.getpid()
