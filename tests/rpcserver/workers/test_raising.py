"""What handlers and hooks raise that is no `Exception`, in every model: it costs the call, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode
from tests.models import EACH_KIND, of_each_kind
from tests.servers import PROBE_APP, Server, running

RAISING_APP = (
    PROBE_APP
    + """
import asyncio, os

class Skipped(BaseException):
    pass

class Untouchable(Exception):
    def __getattribute__(self, name):
        raise MemoryError(name)

KINDS = {
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(3),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("several", [KeyboardInterrupt()]),
    "Skipped": Skipped,
    "Untouchable": Untouchable,
}

@service.method
def plain(kind: str):
    raise KINDS[kind]()

@service.method(blocking=False)
def on_the_loop(kind: str):
    raise KINDS[kind]()

@service.method
async def coroutine(kind: str):
    await asyncio.sleep(0)
    raise KINDS[kind]()

@service.method
async def cancels_itself():
    asyncio.current_task().cancel()
    await asyncio.sleep(60)

@service.method
async def task_beside(kind: str):
    async def fail():
        raise KINDS[kind]()
    await asyncio.wait([asyncio.ensure_future(fail())])
    return "went on"

@service.method
async def stops_its_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.001)
    return "went on"

@service.method
def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))

@service.on_worker_stop
def later_hook():
    if path := os.environ.get("STOPPED"):
        with open(path, "w") as file:
            file.write("ran")

@service.on_worker_stop
async def earlier_hook():
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task

@service.on_worker_stop
def earliest_hook():
    raise KeyboardInterrupt
"""
)

KINDS = [
    "CancelledError",
    "GeneratorExit",
    "KeyboardInterrupt",
    "SystemExit",
    "BaseExceptionGroup",
    "Skipped",
    "Untouchable",
]
HANDLERS = ["plain", "on_the_loop", "coroutine"]


@pytest.fixture(scope="module", params=EACH_KIND)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(
        "-m", model, "-w", "1", "--threads", "2", app=RAISING_APP, folder=tmp_path_factory.mktemp(model)
    ) as server:
        yield server


@pytest.mark.samples(3)
@pytest.mark.parametrize("handler", HANDLERS)
def test_whatever_a_handler_raises_is_an_error_reply_and_the_connection_goes_on(server: Server, handler: str) -> None:
    with server.connect() as client:
        pid = client.call("pid").result
        for kind in KINDS:
            fault = client.call(handler, [kind]).result
            assert (fault["code"], fault["data"]["exception"]) == (ErrorCode.INTERNAL_ERROR, kind)
            server.wait_for_log(f"{handler} failed{' with' if kind == 'Untouchable' else ':'} {kind}")
        assert client.call("pid").result == pid


def test_a_coroutine_that_cancels_its_own_task_is_an_error_reply(server: Server) -> None:
    with server.connect() as client:
        assert client.call("cancels_itself").result["code"] == ErrorCode.INTERNAL_ERROR
        assert client.call("echo", [1]).result == [1]


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_what_a_task_of_a_handler_raises_leaves_the_loop_running(server: Server, kind: str) -> None:
    with server.connect() as client:
        assert client.call("task_beside", [kind]).result == "went on"


def test_a_loop_that_a_handler_stops_goes_on(server: Server) -> None:
    with server.connect() as client:
        pid = client.call("pid").result
        assert [client.call("stops_its_loop").result for _ in range(2)] == ["went on"] * 2
        assert client.call("pid").result == pid
        server.wait_for_log("the app has stopped its event loop, which goes on")


def test_no_descriptor_and_no_thread_is_lost(server: Server) -> None:
    def count() -> int:
        with server.connect() as client:
            found: int = client.call("descriptors").result
            return found

    before = count()
    for _ in range(10):
        with server.connect() as client:
            client.call("plain", ["CancelledError"])
    assert count() <= before + 1


@pytest.mark.samples(1)
@of_each_kind
def test_stop_hooks_run_after_one_that_has_failed(model: str, tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    env = {**os.environ, "STOPPED": str(mark)}
    with running("-m", model, "-w", "1", app=RAISING_APP, folder=tmp_path, env=env) as server:
        with server.connect() as client:
            assert client.call("echo", [1]).result == [1]
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert mark.read_text() == "ran"


@pytest.mark.samples(1)
@of_each_kind
def test_an_interrupt_while_the_app_is_imported_is_said(model: str, tmp_path: Path) -> None:
    app = "import os\nif os.path.exists('broken'):\n    raise KeyboardInterrupt\n" + PROBE_APP
    with running("-m", model, "-w", "1", app=app, folder=tmp_path) as server:
        (tmp_path / "broken").touch()
        server.signal(signal.SIGHUP)
        server.wait_for_log("failed: KeyboardInterrupt")
        with server.connect() as client:
            assert client.call("echo", [1]).result == [1]


@pytest.mark.samples(1)
@of_each_kind
def test_logging_of_the_apps_that_raises_costs_nothing(model: str, tmp_path: Path) -> None:
    app = (
        PROBE_APP
        + """
import logging

def refuse(record):
    if "echo" in record.getMessage():
        raise KeyboardInterrupt
    return True

logging.getLogger("rpcserver.access").addFilter(refuse)
"""
    )
    with running("-m", model, "-w", "1", "--threads", "1", "--access-log", app=app, folder=tmp_path) as server:
        pids = server.workers()
        with server.connect() as client:
            for _ in range(3):
                assert client.call("echo", [1]).result == [1]
        assert server.workers() == pids


STRIKING_APP = (
    PROBE_APP
    + """
import ctypes, threading

class TimeUp(BaseException):
    pass

@service.method
def strike_later(go: str, done: str) -> None:
    thread = ctypes.c_ulong(threading.get_ident())

    def strike():
        open(go, "rb").close()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeUp))
        open(done, "wb").close()

    threading.Thread(target=strike, daemon=True).start()
"""
)


@pytest.mark.parametrize("model", ["pool", "async"])
def test_what_is_thrown_into_a_thread_after_its_call_costs_no_other_call(model: str, tmp_path: Path) -> None:
    # As libraries do that limit how long a call takes: PyThreadState_SetAsyncExc.
    done, go = tmp_path / "done", tmp_path / "go"
    for fifo in (done, go):
        os.mkfifo(fifo)
    with running("-m", model, "-w", "1", "--threads", "1", app=STRIKING_APP, folder=tmp_path) as server:
        pids = server.workers()
        with server.connect() as other:
            assert other.call("echo", 0).result == 0
            for strikes in range(1, 4):
                with server.connect() as client:
                    client.call("strike_later", [str(go), str(done)])
                    go.write_bytes(b"")
                    done.read_bytes()
                    assert [other.call("echo", number).result for number in range(3)] == [0, 1, 2]
                server.wait_for_log("TimeUp", strikes)
        assert server.workers() == pids
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
