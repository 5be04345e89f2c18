"""What handlers fork: it ends by signals as it would in a script, and holds nothing that is the server's."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.models import of_each_kind
from tests.rpcserver.steering import steering
from tests.servers import PATIENCE, running

APP = """
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from rpcserver import Service

service = Service("forking")
forking = multiprocessing.get_context("fork")

@service.method
def mapped() -> list[int]:
    with forking.Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])

@service.method
def terminated() -> int | None:
    child = forking.Process(target=time.sleep, args=(3600,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode

@service.method
def disposed() -> list[str]:
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        names = [number.name for number in signal.Signals if callable(signal.getsignal(number))]
        names += [str(signal.set_wakeup_fd(-1)), str(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]
        os.write(writer, " ".join(names).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    found = os.read(reader, 4096).decode().split()
    os.close(reader)
    os.close(writer)
    return found

@service.method
def staying() -> list[int]:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], close_fds=False)
    return [pid, program.pid]
"""

STRAYS = """
import asyncio
import os
import sys
from rpcserver import Context, Service

service = Service("strays")

def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

@service.on_worker_start
def hook() -> None:
    global of_hook, worker
    worker = os.getpid()
    of_hook = (pid := os.fork()) and status_of(pid)

@service.method
def hooked() -> int:
    return of_hook

@service.method
def returning() -> int:
    return (pid := os.fork()) and status_of(pid)

@service.method(blocking=False)
def returning_to_a_loop() -> int:
    return (pid := os.fork()) and status_of(pid)

@service.method
def raising(context: Context) -> int:
    return (pid := os.fork()) and status_of(pid) or 1 // pid

@service.method
def exiting() -> int:
    return (pid := os.fork()) and status_of(pid) or sys.exit(7)

@service.method
async def coroutine() -> int:
    return (pid := os.fork()) and status_of(pid)

@service.method
async def waiting() -> int:
    pid = os.fork()
    while pid == 0:
        await asyncio.sleep(0)
    return status_of(pid)

@service.method
async def between() -> list[int]:
    # Another callback of the same round says whether it runs in the worker.
    reader, writer = os.pipe()
    forked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: (children.append(os.fork()), forked.set()))
    loop.call_soon(lambda: os.write(writer, b"%d " % (os.getpid() == worker)))
    await forked.wait()
    status = status_of(children.pop())
    os.close(writer)
    with open(reader) as file:
        return [status, *map(int, file.read().split())]

children: list[int] = []
"""
# Python 3.12 warns of forks beside threads.
QUIET = {"PYTHONWARNINGS": "ignore"}


@pytest.mark.samples(1)
@of_each_kind
def test_children_of_handlers_are_as_in_a_script_and_hold_no_connection(model: str, tmp_path: Path) -> None:
    unix = f"unix:{tmp_path / 'socket'}"
    options = ("-m", model, "-w", "2", "--drain-grace", "0.2")
    with (
        running(*options, bind=("127.0.0.1:0", unix), env=QUIET, app=APP, folder=tmp_path) as server,
        server.connect() as client,
        server.connect(1) as other,
    ):
        for _ in range(2):
            assert client.call("mapped").result == [1, 2, 3]
            assert client.call("terminated").result == -signal.SIGTERM
        assert client.call("disposed").result == ["SIGINT", "-1", "set()"]
        assert other.call("disposed").result == ["SIGINT", "-1", "set()"]
        stayed = client.call("staying").result
        try:
            server.signal(signal.SIGTERM)
            assert client.receive() is None
            assert other.receive() is None
            assert server.process.wait(PATIENCE) == 0
            with socket.create_server(("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))):
                pass
        finally:
            for pid in stayed:
                os.kill(pid, signal.SIGKILL)


@of_each_kind
def test_a_process_that_a_handler_forks_never_goes_on_as_a_worker(model: str, tmp_path: Path) -> None:
    ends = {"hooked": 1, "returning": 1, "returning_to_a_loop": 1, "raising": 1, "coroutine": 1, "waiting": 1}
    with (
        running("-m", model, "-w", "1", env=QUIET, app=STRAYS, folder=tmp_path) as server,
        server.connect() as client,
        steering(server) as arbiter,
    ):
        for method, status in (ends | {"exiting": 7}).items():
            assert client.call(method).result == status, method
        assert client.call("between").result == [1, 1]
        (worker,) = arbiter.workers()
        assert (worker["calls"], worker["errors"]) == (len(ends) + 2, 0)
        assert server.log().count("have it end by os._exit") == len(ends) + 1
        assert "ZeroDivisionError" in server.log()
