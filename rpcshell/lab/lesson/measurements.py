"""Steps of the lesson that measure: what a fork for each connection costs, and all models side by side."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.dialects.native import Native
from rpcshell.client.dialling import dial_tcp
from rpcshell.client.exchange import Requester
from rpcshell.lab.lesson.lesson_server import PATIENCE, LessonServer, answer_of, who
from rpcshell.lab.lesson.page import span
from rpcshell.servers.processes import memory_under, processes_under
from rpcshell.view.units import size_or_dash
from rpcwire import MAX_REPLY
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from rpcshell.lab.lesson.page import Page
    from rpcshell.lab.load.callers import Caller
    from rpcwire.control import ServerStatus

_CLIENTS: Final = 3
_VISITS: Final = 15
_WORKERS: Final = 2
_CALLS: Final = 0.12
"""Seconds in which as many calls are made as there can be."""

_BURST: Final = 32
_READ: Final = 1 << 16

_SLOW: Final = 8
_SLEEP: Final = 0.05
_IDLE: Final = 16
_STEADY: Final = 8
"""Looks in which nothing may change."""


def fork(page: Page) -> None:
    """A process for each connection, and what it costs to make one."""
    with LessonServer(1, "fork") as server:
        worker = server.worker().pid
        page.tell("started", pid=worker)
        clients = [server.client() for _ in range(_CLIENTS)]
        pids = {who(client.exchange("ping", meta=True)).pid for client in clients}
        page.tell("children", clients=_CLIENTS, pids=" ".join(map(str, sorted(pids))))
        for client in clients:
            client.close()
        server.until(lambda _: not pids & set(processes_under(worker)))
        page.tell("gone")
        forked = _visit(server)
        page.tell("forked", took=forked)
    with LessonServer(1, "sync") as server:
        kept = _visit(server)
        page.tell("preforked", took=kept)
    page.conclude(ratio=f"{forked / kept:.1f}", more=forked - kept)


def all_models(page: Page) -> None:
    """All models in turn, on the same service."""
    rows = []
    for model in MODELS:
        rows.append(_measured(model))
        page.tell("measured", model=model)
    page.show_models(rows)
    page.conclude()


def _measured(model: str) -> dict[str, str]:
    """What a model costs, as a row of the table."""
    with LessonServer(_WORKERS, model) as server:
        arbiter = server.status().pid
        visit = _visit(server)
        processor = _processor_a_call(server, arbiter)
        began = time.monotonic()
        slow = [server.caller("sleep", {"seconds": _SLEEP}, stays=False) for _ in range(_SLOW)]
        for caller in slow:
            answer_of(caller)
        slept = time.monotonic() - began

        idle = [server.caller("ping") for _ in range(_IDLE)]
        _settle(server, idle)
        memory = memory_under(arbiter)
        served = _served(idle)
    return {
        "model": model,
        "connect": span(visit),
        "cpu": f"{processor * 1e6:.1f} µs" if processor else "-",
        "slow": span(slept),
        "idle": f"{served}/{_IDLE}",
        "memory": size_or_dash(memory),
    }


def _settle(server: LessonServer, callers: list[Caller]) -> None:
    """Wait until every client is served, or waits and goes on to wait."""
    before: list[int] = []

    def settled(status: ServerStatus) -> bool:
        served = _served(callers)
        # One that was seen in the queue may be accepted in the next moment.
        before.append(served)
        steady = before[-_STEADY:] == [served] * _STEADY
        return served == len(callers) or (steady and served + status.waiting >= len(callers))

    server.until(settled)


def _served(callers: list[Caller]) -> int:
    return sum(caller.fates["answered"] for caller in callers)


def _visit(server: LessonServer) -> float:
    """Seconds for connecting, one call and hanging up: the median of some times."""
    times: list[float] = []
    for _ in range(_VISITS):
        began = time.monotonic()
        with server.client() as client:
            client.call("ping")
        times.append(time.monotonic() - began)
    return statistics.median(times)


def _processor_a_call(server: LessonServer, arbiter: int) -> float:
    """Seconds on a processor that a call costs the server; 0 where the kernel does not tell.

    Many are sent at once, so that it is the calls that count, and not how a thread was woken for each of them.
    """
    requester = Requester(server.target, Native(MAX_REPLY))
    calls = 0
    with dial_tcp(server.target, PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        used = 0.0
        until = time.monotonic() + _CALLS
        while time.monotonic() < until:
            burst = [requester.request("ping", {"a": 1}, meta=False, plain=True) for _ in range(_BURST)]
            connection.sendall(b"".join(burst))
            requester.sent()
            for _ in range(_BURST):
                while requester.next_reply() is None:
                    requester.receive(connection.recv(_READ))
            if used:
                calls += _BURST
            else:
                # The first ones find nothing prepared.
                used = _processor_time(arbiter)
        used = _processor_time(arbiter) - used
    return used / max(calls, 1)


def _processor_time(arbiter: int) -> float:
    """Seconds that the threads which a server has now were on a processor; 0 where the kernel does not tell.

    A tick of /proc/PID/stat would be as long as hundreds of calls; schedstat counts in nanoseconds.
    """
    total = 0
    for pid in processes_under(arbiter):
        for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(file.read_text().split()[0])
            except (OSError, IndexError):
                # The thread has just ended.
                continue
    return total / 1e9
