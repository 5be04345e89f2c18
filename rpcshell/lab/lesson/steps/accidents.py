"""Steps in which workers go: one is killed, all are replaced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionLost, ShellError
from rpcshell.lab.lesson.servers import LessonServer, who

if TYPE_CHECKING:
    from rpcshell.lab.lesson.stage import Stage

__all__ = ["killed_worker", "reload"]

_WORKERS: Final = 3
_LONG: Final = 20.0
_RELOADED: Final = 4
_LOOPERS: Final = 2
_BEFORE: Final = 0.1


def killed_worker(stage: Stage) -> None:
    """A worker is killed in the middle of a call."""
    with LessonServer(_WORKERS, "sync") as server:
        stage.tell("started", workers=_WORKERS)
        victim = server.caller("sleep", {"seconds": _LONG})
        status = server.until(lambda status: any(worker.call for worker in status.workers))
        doomed = next(worker for worker in status.workers if worker.call)
        stage.tell("calls", worker=doomed.worker, pid=doomed.pid)
        stage.show(status, queue=False)
        began = time.monotonic()
        server.control.kill_worker(doomed.worker, "KILL")
        stage.tell("killed", pid=doomed.pid)
        victim.join()
        if not isinstance(victim.error, ConnectionLost):
            raise victim.error or ShellError("the call outlived the worker that it was in")
        stage.tell("lost", after=time.monotonic() - began)
        asked = time.monotonic()
        reply = server.client().exchange("ping", meta=True)
        stage.tell("others", took=time.monotonic() - asked, worker=who(reply).worker)

        def back(pid: int, number: int, state: str) -> bool:
            return number == doomed.worker and pid != doomed.pid and state == "ready"

        status = server.until(lambda status: any(back(one.pid, one.worker, one.state) for one in status.workers))
        successor = next(one for one in status.workers if back(one.pid, one.worker, one.state))
        took = _time_between(server, doomed.pid, successor.pid)
        stage.tell("successor", worker=successor.worker, pid=successor.pid, took=took)
        stage.show(status, queue=False)
        stage.conclude(died=status.totals.died, lost=status.totals.lost)


def reload(stage: Stage) -> None:
    """All workers are replaced while clients call."""
    with LessonServer(_RELOADED, "sync") as server:
        old = [worker.pid for worker in server.status().workers]
        stage.tell("started", pids=_listed(old))
        loopers = [server.looper() for _ in range(_LOOPERS)]
        server.until(lambda _: all(looper.calls for looper in loopers))
        stage.pause(_BEFORE)
        stage.tell("loops", clients=_LOOPERS)
        began = time.monotonic()
        generation = server.control.reload()
        stage.tell("reload")
        status = server.until(
            lambda status: (
                not status.reloading
                and all(worker.generation == generation and worker.state == "ready" for worker in status.workers)
            )
        )
        took = time.monotonic() - began
        stage.tell("reloaded", took=took, pids=_listed([worker.pid for worker in status.workers]))
        stage.show(status, queue=False)
        for looper in loopers:
            looper.end()
        for looper in loopers:
            looper.join()
        stage.conclude(
            calls=sum(looper.calls for looper in loopers),
            lost=sum(looper.lost for looper in loopers),
            longest=max(looper.longest for looper in loopers),
        )


def _time_between(server: LessonServer, dead: int, ready: int) -> float:
    """Seconds from the death of a process until another was ready, by the server's own account."""
    events = server.control.events().events
    died = next(event.at for event in events if event.kind == "died" and event.pid == dead)
    return next(event.at for event in events if event.kind == "ready" and event.pid == ready) - died


def _listed(pids: list[int]) -> str:
    return " ".join(map(str, pids))
