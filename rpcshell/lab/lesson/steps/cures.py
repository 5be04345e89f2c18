"""Steps in which nobody waits for an idle client: threads, a pool of them, an event loop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rpcshell.lab.lesson
from rpcshell.client.errors import CallError
from rpcshell.lab.lesson.servers import LessonServer, threads_of
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from rpcshell.lab.lesson.stage import Stage
    from rpcwire.control import RunningCall

__all__ = ["event_loop", "pool", "threads"]

_CLIENTS: Final = 10
_PARKED: Final = 30
_THREADS: Final = 4
_ROOM: Final = 4
_STORM: Final = 12
_SLEEP: Final = 0.2
_NAPS: Final = 40
_NAP: Final = 0.25
_STANDSTILL: Final = 0.4
_NAPPING_APP: Final = Path(rpcshell.lab.lesson.__file__).with_name("served") / "naps.py"


def threads(stage: Stage) -> None:
    """The same eleven clients on one worker that has a thread for each connection."""
    with LessonServer(1, "thread") as server:
        pid = server.worker().pid
        before = threads_of(pid)
        stage.tell("started", pid=pid, threads=before)
        for _ in range(_CLIENTS):
            server.client().call("ping")
        stage.tell("held", clients=_CLIENTS)
        took = _timed_ping(server)
        stage.tell("answered", client=_CLIENTS + 1, took=took)
        stage.show(server.until(lambda status: status.workers[0].connections == _CLIENTS + 1))
        after = threads_of(pid)
        stage.tell("grown", threads=after)
        stage.conclude(clients=_CLIENTS + 1, took=took, more=after - before)


def pool(stage: Stage) -> None:
    """Many idle clients on few threads, and then more calls at once than a pool takes."""
    with LessonServer(1, "pool", "--threads", str(_THREADS), "--queue", str(_ROOM)) as server:
        pid = server.worker().pid
        stage.tell("started", pid=pid, threads=_THREADS, room=_ROOM)
        for _ in range(_PARKED):
            server.client().call("ping")
        stage.tell("parked", clients=_PARKED, threads=threads_of(pid))
        stage.show(server.until(lambda status: status.workers[0].connections == _PARKED), queue=False)
        stage.tell("answered", client=_PARKED + 1, took=_timed_ping(server))
        stage.tell("storm", clients=_STORM, seconds=_SLEEP)
        callers = [server.caller("sleep", {"seconds": _SLEEP}) for _ in range(_STORM)]
        for caller in callers:
            caller.join()
        served = [caller.waited for caller in callers if caller.reply is not None]
        busy = [
            caller.waited
            for caller in callers
            if isinstance(caller.error, CallError) and caller.error.code == ErrorCode.BUSY
        ]
        stage.tell("served", served=len(served), within=max(served, default=0.0))
        stage.tell("busy", busy=len(busy), within=max(busy, default=0.0))
        stage.conclude(served=len(served), busy=len(busy))


def event_loop(stage: Stage) -> None:
    """Many calls that await on one loop, and then one that does not."""
    with LessonServer(1, "async", app=_NAPPING_APP) as server:
        pid = server.worker().pid
        stage.tell("started", pid=pid)
        callers = [server.caller("nap", {"seconds": _NAP}) for _ in range(_NAPS)]
        began = time.monotonic()
        stage.tell("naps", clients=_NAPS, seconds=_NAP)
        stage.show(server.until(lambda status: status.workers[0].connections == _NAPS), queue=False)
        for caller in callers:
            caller.answer()
        took = time.monotonic() - began
        stage.tell("awake", took=took, one_by_one=_NAPS * _NAP)
        stage.tell("threads", threads=threads_of(pid))
        other = server.client()
        other.call("ping")
        hog = server.caller("hog", {"seconds": _STANDSTILL})
        server.until(lambda status: _runs(status.workers[0].call, "hog") or hog.over)
        stage.tell("hog", seconds=_STANDSTILL)
        began = time.monotonic()
        other.call("ping")
        waited = time.monotonic() - began
        hog.answer()
        stage.tell("stopped", waited=waited)
        stage.conclude(clients=_NAPS, took=took, waited=waited)


def _timed_ping(server: LessonServer) -> float:
    """Seconds that a new client needs for its first call."""
    began = time.monotonic()
    server.client().call("ping")
    return time.monotonic() - began


def _runs(call: RunningCall | None, method: str) -> bool:
    return call is not None and call.method == method
