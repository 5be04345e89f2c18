"""Serves an app that shows what the async model does with each kind of handler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers import Server, running

ASYNC_APP = '''
import asyncio
import os
import threading
import time
from rpcserver import Service

service = Service("probe")
here = 0
most = 0
waiting = asyncio.Event()

@service.on_worker_start
async def prepare():
    service.loop = asyncio.get_running_loop()
    service.background = asyncio.create_task(asyncio.sleep(3600))

@service.on_worker_stop
async def clean_up():
    same = asyncio.get_running_loop() is service.loop and not service.background.done()
    if path := os.environ.get("STOPPED"):
        with open(path, "w") as file:
            file.write(str(same))

@service.method(blocking=False)
def instant(params):
    return params

@service.method
def plain(params):
    return params

@service.method
async def later(params):
    await asyncio.sleep(0)
    return params

@service.method(blocking=False)
def pid() -> int:
    return os.getpid()

@service.method
async def loop_is_the_hooks() -> bool:
    return asyncio.get_running_loop() is service.loop

@service.method
def thread() -> bool:
    return threading.current_thread() is threading.main_thread()

@service.method(blocking=False)
def blob(size: int) -> str:
    return "x" * size

@service.method
async def blob_later(size: int) -> str:
    await asyncio.sleep(0)
    return "x" * size

@service.method
async def meet(parties: int) -> int:
    """Wait until that many calls are here at once."""
    global here
    here += 1
    if here == parties:
        waiting.set()
    await waiting.wait()
    return parties

@service.method
async def alone() -> int:
    """How many calls of this have been running at once."""
    global here, most
    here += 1
    most = max(most, here)
    await asyncio.sleep(0)
    here -= 1
    return most

@service.method
async def count(path: str) -> int:
    """Leave a mark for each call that was executed."""
    await asyncio.sleep(0)
    with open(path, "ab", buffering=0) as file:
        file.write(b".")
    return os.getpid()

@service.method
def count_plain(path: str) -> None:
    with open(path, "ab", buffering=0) as file:
        file.write(b".")

@service.method
def gate(entered: str, leave: str) -> str:
    """Say that the call has begun, and wait until the test lets it go; both are FIFOs."""
    with open(entered, "wb", buffering=0) as file:
        file.write(b".")
    with open(leave, "rb", buffering=0) as file:
        file.read(1)
    return "through"

@service.method
async def hold_up(entered: str, leave: str) -> str:
    """What no coroutine should do: hold up the loop."""
    return gate(entered, leave)

@service.method
async def spin(entered: str) -> None:
    with open(entered, "wb", buffering=0) as file:
        file.write(b".")
    while True:
        pass

@service.method
async def hang(mark: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        with open(mark, "w") as file:
            file.write("cleaned up")

@service.method
async def resist() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
'''


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, workers: int = 1, env: dict[str, str] | None = None) -> Iterator[Server]:
    with running("-m", "async", "-w", str(workers), *arguments, app=ASYNC_APP, folder=folder, env=env) as server:
        yield server


def peak_memory(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
