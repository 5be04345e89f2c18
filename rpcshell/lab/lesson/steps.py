"""Steps of the lesson that run real servers and tell what really happened: who waits, what cures it, what goes.

What they say is in the texts; the steps that compare models by measuring are in `measurements`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionLost, ShellError
from rpcshell.lab.lesson.stage import PATIENCE, LessonServer, answer_of, threads_of, who

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.lab.lesson.stage import Stage
    from rpcwire.control import RunningCall

__all__ = [
    "eleven_clients", "event_loop", "killed_worker", "one_worker", "pool", "reload", "ten_workers", "threads",
]  # fmt: skip

_TEN: Final = 10
_BACKLOG: Final = ("--backlog", "8")
"""So few that the gauge shows a single client."""

_HELD: Final = 0.4
_CONNECTIONS: Final = 60
_RECLAIM: Final = 1.0

_PARKED: Final = 30
_THREADS: Final = 4
_ROOM: Final = 4
_STORM: Final = 12
_SLEEP: Final = 0.5

_NAPPING_APP: Final = Path(__file__).with_name("naps.py")
_NAPS: Final = 40
_NAP: Final = 0.25
_STANDSTILL: Final = 0.4

_THREE: Final = 3
_LONG: Final = 20.0
_RELOADED: Final = 4
_LOOPERS: Final = 2
_BEFORE: Final = 0.1


def one_worker(stage: Stage) -> None:
    """A client that holds the only worker, and a second one that waits for it."""
    with LessonServer(1, "sync", *_BACKLOG) as server:
        stage.tell("started", pid=server.worker().pid, address=server.target)
        first = server.client()
        began = time.monotonic()
        first.call("ping")
        stage.tell("held", took=time.monotonic() - began)
        second = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0)
        stage.tell("waits", waiting=status.waiting)
        stage.show(status)
        stage.pause(_HELD)
        first.close()
        stage.tell("left", after=second.waited)
        meta = who(answer_of(second))
        stage.tell("served", worker=meta.worker)
        stage.show(server.until(lambda status: not status.waiting))
        stage.conclude(waited=second.waited, service=meta.service_us / 1e6)


def ten_workers(stage: Stage) -> None:
    """Connections that come one after the other, and who takes them."""
    with LessonServer(_TEN, "sync") as server:
        stage.tell("started", workers=_TEN, address=server.target)
        stage.show(server.status())
        counts = dict.fromkeys(range(1, _TEN + 1), 0)
        began = time.monotonic()
        for _ in range(_CONNECTIONS):
            with server.client() as client:
                counts[who(client.exchange("ping", meta=True)).worker] += 1
        stage.tell("took", connections=_CONNECTIONS, took=time.monotonic() - began)
        stage.show_shares(list(counts.values()))
        stage.conclude(workers=_TEN, least=min(counts.values()), most=max(counts.values()))


def eleven_clients(stage: Stage) -> None:
    """Ten idle clients on ten workers, one more that waits for somebody to leave, and one that nobody leaves for."""
    with LessonServer(_TEN, "sync", *_BACKLOG, "--reclaim-idle", f"{_RECLAIM:g}") as server:
        stage.tell("started", workers=_TEN, reclaim=_RECLAIM)
        holders: dict[int, tuple[int, Client]] = {}
        for number in range(1, _TEN + 1):
            client = server.client()
            holders[who(client.exchange("ping", meta=True)).worker] = number, client
        stage.tell("held", clients=len(holders))
        eleventh = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0)
        stage.tell("waits", waiting=status.waiting)
        stage.show(status)
        stage.pause(_HELD / 2)
        number, client = min(holders.values(), key=lambda holder: holder[0])
        client.close()
        stage.tell("left", client=number)
        worker = who(answer_of(eleventh)).worker
        stage.tell("served", worker=worker)
        holders[worker] = _TEN + 1, eleventh.client

        twelfth = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0 or twelfth.over)
        stage.tell("stays", waiting=status.waiting)
        stage.show(status)
        worker = who(answer_of(twelfth)).worker
        number, _ = holders[worker]
        stage.tell("reclaimed", client=number, worker=worker)
        stage.conclude(left=eleventh.waited, reclaimed=twelfth.waited)


def threads(stage: Stage) -> None:
    """The same eleven clients on one worker that has a thread for each connection."""
    with LessonServer(1, "thread") as server:
        pid = server.worker().pid
        before = threads_of(pid)
        stage.tell("started", pid=pid, threads=before)
        for _ in range(_TEN):
            server.client().call("ping")
        stage.tell("held", clients=_TEN)
        took = _timed_ping(server)
        stage.tell("answered", client=_TEN + 1, took=took)
        stage.show(server.until(lambda status: status.workers[0].connections == _TEN + 1))
        after = threads_of(pid)
        stage.tell("grown", threads=after)
        stage.conclude(clients=_TEN + 1, took=took, more=after - before)


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
            caller.join(PATIENCE)
        served = [caller.waited for caller in callers if caller.fates["answered"]]
        busy = [caller.waited for caller in callers if caller.fates["busy"]]
        stage.tell("served", served=len(served), within=max(served, default=0.0))
        stage.tell("busy", busy=len(busy), within=max(busy, default=0.0))
        stage.conclude(served=len(served), busy=len(busy))


def event_loop(stage: Stage) -> None:
    """Many calls that await on one loop, and then one that does not."""
    with LessonServer(1, "async", app=_NAPPING_APP) as server:
        pid = server.worker().pid
        stage.tell("started", pid=pid)
        # The first clients may call before the last one is there.
        began = time.monotonic()
        callers = [server.caller("nap", {"seconds": _NAP}) for _ in range(_NAPS)]
        stage.tell("naps", clients=_NAPS, seconds=_NAP)
        stage.show(server.until(lambda status: status.workers[0].connections == _NAPS), queue=False)
        for caller in callers:
            answer_of(caller)
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
        answer_of(hog)
        stage.tell("stopped", waited=waited)
        stage.conclude(clients=_NAPS, took=took, waited=waited)


def _timed_ping(server: LessonServer) -> float:
    """Seconds that a new client needs for its first call."""
    began = time.monotonic()
    server.client().call("ping")
    return time.monotonic() - began


def _runs(call: RunningCall | None, method: str) -> bool:
    return call is not None and call.method == method


def killed_worker(stage: Stage) -> None:
    """A worker is killed in the middle of a call."""
    with LessonServer(_THREE, "sync") as server:
        stage.tell("started", workers=_THREE)
        victim = server.caller("sleep", {"seconds": _LONG})
        status = server.until(lambda status: any(worker.call for worker in status.workers))
        doomed = next(worker for worker in status.workers if worker.call)
        stage.tell("calls", worker=doomed.worker, pid=doomed.pid)
        stage.show(status, queue=False)
        began = time.monotonic()
        server.control.kill_worker(doomed.worker, "KILL")
        stage.tell("killed", pid=doomed.pid)
        victim.join(PATIENCE)
        end = None if victim.last is None else victim.last.error
        if not isinstance(end, ConnectionLost):
            raise end or ShellError("the call outlived the worker that it was in")
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
        server.until(lambda _: all(looper.fates["answered"] for looper in loopers))
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
            looper.join(PATIENCE)
        answered = sum(looper.fates["answered"] for looper in loopers)
        stage.conclude(
            calls=answered,
            lost=sum(looper.fates.total() for looper in loopers) - answered,
            longest=max(looper.longest for looper in loopers),
        )


def _time_between(server: LessonServer, dead: int, ready: int) -> float:
    """Seconds from the death of a process until another was ready, by the server's own account."""
    events = server.control.events().events
    died = next(event.at for event in events if event.kind == "died" and event.pid == dead)
    return next(event.at for event in events if event.kind == "ready" and event.pid == ready) - died


def _listed(pids: list[int]) -> str:
    return " ".join(map(str, pids))
