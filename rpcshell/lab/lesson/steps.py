"""Steps of the lesson that run real servers and tell what really happened: who waits, what cures it, what goes.

What they say is in the texts; the steps that compare models by measuring are in `measurements`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionLost, ShellError
from rpcshell.lab.lesson.lesson_server import PATIENCE, LessonServer, answer_of, threads_of, who
from rpcshell.lab.load.callers import end_callers

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.lab.lesson.page import Page
    from rpcwire.control import WorkerStatus

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

_NAPPING_APP: Final = str(Path(__file__).with_name("naps.py"))
_NAPS: Final = 40
_NAP: Final = 0.25
_STANDSTILL: Final = 0.4

_THREE: Final = 3
_LONG: Final = 20.0
_RELOADED: Final = 4
_LOOPERS: Final = 2
_BEFORE: Final = 0.1


def one_worker(page: Page) -> None:
    """A client that holds the only worker, and a second one that waits for it."""
    with LessonServer(1, "sync", *_BACKLOG) as server:
        page.tell("started", pid=server.worker().pid, address=server.target)
        first = server.client()
        began = time.monotonic()
        first.call("ping")
        page.tell("held", took=time.monotonic() - began)
        second = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0)
        page.tell("waits", waiting=status.waiting)
        page.draw(status)
        page.pause(_HELD)
        first.close()
        page.tell("left", after=second.waited)
        meta = who(answer_of(second))
        page.tell("served", worker=meta.worker)
        page.draw(server.until(lambda status: not status.waiting))
        page.conclude(waited=second.waited, service=meta.service_us / 1e6)


def ten_workers(page: Page) -> None:
    """Connections that come one after the other, and who takes them."""
    with LessonServer(_TEN, "sync") as server:
        page.tell("started", workers=_TEN, address=server.target)
        page.draw(server.status())
        counts = dict.fromkeys(range(1, _TEN + 1), 0)
        began = time.monotonic()
        for _ in range(_CONNECTIONS):
            with server.client() as client:
                counts[who(client.exchange("ping", meta=True)).worker] += 1
        page.tell("took", connections=_CONNECTIONS, took=time.monotonic() - began)
        page.draw_shares(list(counts.values()))
        page.conclude(workers=_TEN, least=min(counts.values()), most=max(counts.values()))


def eleven_clients(page: Page) -> None:
    """Ten idle clients on ten workers, one more that waits for somebody to leave, and one that nobody leaves for."""
    with LessonServer(_TEN, "sync", *_BACKLOG, "--reclaim-idle", f"{_RECLAIM:g}") as server:
        page.tell("started", workers=_TEN, reclaim=_RECLAIM)
        holders: dict[int, tuple[int, Client]] = {}
        for number in range(1, _TEN + 1):
            client = server.client()
            holders[who(client.exchange("ping", meta=True)).worker] = number, client
        page.tell("held", clients=len(holders))
        eleventh = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0)
        page.tell("waits", waiting=status.waiting)
        page.draw(status)
        page.pause(_HELD / 2)
        number, client = min(holders.values(), key=lambda holder: holder[0])
        client.close()
        page.tell("left", client=number)
        worker = who(answer_of(eleventh)).worker
        page.tell("served", worker=worker)
        holders[worker] = _TEN + 1, eleventh.client

        twelfth = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0 or twelfth.over)
        page.tell("stays", waiting=status.waiting)
        page.draw(status)
        worker = who(answer_of(twelfth)).worker
        number, _ = holders[worker]
        page.tell("reclaimed", client=number, worker=worker)
        page.conclude(left=eleventh.waited, reclaimed=twelfth.waited)


def threads(page: Page) -> None:
    """The same eleven clients on one worker that has a thread for each connection."""
    with LessonServer(1, "thread") as server:
        pid = server.worker().pid
        before = threads_of(pid)
        page.tell("started", pid=pid, threads=before)
        for _ in range(_TEN):
            server.client().call("ping")
        page.tell("held", clients=_TEN)
        took = _timed_ping(server)
        page.tell("answered", client=_TEN + 1, took=took)
        page.draw(server.until(lambda status: status.workers[0].connections == _TEN + 1))
        after = threads_of(pid)
        page.tell("grown", threads=after)
        page.conclude(clients=_TEN + 1, took=took, more=after - before)


def pool(page: Page) -> None:
    """Many idle clients on few threads, and then more calls at once than a pool takes."""
    with LessonServer(1, "pool", "--threads", str(_THREADS), "--queue", str(_ROOM)) as server:
        pid = server.worker().pid
        page.tell("started", pid=pid, threads=_THREADS, room=_ROOM)
        for _ in range(_PARKED):
            server.client().call("ping")
        page.tell("parked", clients=_PARKED, threads=threads_of(pid))
        page.draw(server.until(lambda status: status.workers[0].connections == _PARKED), queue=False)
        page.tell("answered", client=_PARKED + 1, took=_timed_ping(server))
        page.tell("storm", clients=_STORM, seconds=_SLEEP)
        callers = [server.caller("sleep", {"seconds": _SLEEP}) for _ in range(_STORM)]
        for caller in callers:
            caller.join(PATIENCE)
        served = [caller.waited for caller in callers if caller.fates["answered"]]
        busy = [caller.waited for caller in callers if caller.fates["busy"]]
        page.tell("served", served=len(served), within=max(served, default=0.0))
        page.tell("busy", busy=len(busy), within=max(busy, default=0.0))
        page.conclude(served=len(served), busy=len(busy))


def event_loop(page: Page) -> None:
    """Many calls that await on one loop, and then one that does not."""
    with LessonServer(1, "async", app=_NAPPING_APP) as server:
        pid = server.worker().pid
        page.tell("started", pid=pid)
        # The first clients may call before the last one is there.
        began = time.monotonic()
        callers = [server.caller("nap", {"seconds": _NAP}) for _ in range(_NAPS)]
        page.tell("naps", clients=_NAPS, seconds=_NAP)
        page.draw(server.until(lambda status: status.workers[0].connections == _NAPS), queue=False)
        for caller in callers:
            answer_of(caller)
        took = time.monotonic() - began
        page.tell("awake", took=took, one_by_one=_NAPS * _NAP)
        page.tell("threads", threads=threads_of(pid))
        other = server.client()
        other.call("ping")
        hog = server.caller("hog", {"seconds": _STANDSTILL})
        server.until(
            lambda status: hog.over or any(worker.call and worker.call.method == "hog" for worker in status.workers)
        )
        page.tell("hog", seconds=_STANDSTILL)
        began = time.monotonic()
        other.call("ping")
        waited = time.monotonic() - began
        answer_of(hog)
        page.tell("stopped", waited=waited)
        page.conclude(clients=_NAPS, took=took, waited=waited)


def _timed_ping(server: LessonServer) -> float:
    """Seconds that a new client needs for its first call."""
    began = time.monotonic()
    server.client().call("ping")
    return time.monotonic() - began


def killed_worker(page: Page) -> None:
    """A worker is killed in the middle of a call."""
    with LessonServer(_THREE, "sync") as server:
        page.tell("started", workers=_THREE)
        victim = server.caller("sleep", {"seconds": _LONG})
        status = server.until(lambda status: any(worker.call for worker in status.workers))
        doomed = next(worker for worker in status.workers if worker.call)
        page.tell("calls", worker=doomed.worker, pid=doomed.pid)
        page.draw(status, queue=False)
        began = time.monotonic()
        server.control.kill_worker(doomed.worker, "KILL")
        page.tell("killed", pid=doomed.pid)
        victim.join(PATIENCE)
        end = None if victim.last is None else victim.last.error
        if not isinstance(end, ConnectionLost):
            raise end or ShellError("the call outlived the worker that it was in")
        page.tell("lost", after=time.monotonic() - began)
        asked = time.monotonic()
        reply = server.client().exchange("ping", meta=True)
        page.tell("others", took=time.monotonic() - asked, worker=who(reply).worker)

        def back(worker: WorkerStatus) -> bool:
            return worker.worker == doomed.worker and worker.pid != doomed.pid and worker.state == "ready"

        status = server.until(lambda status: any(map(back, status.workers)))
        successor = next(filter(back, status.workers))
        took = _time_between(server, doomed.pid, successor.pid)
        page.tell("successor", worker=successor.worker, pid=successor.pid, took=took)
        page.draw(status, queue=False)
        page.conclude(died=status.totals.died, lost=status.totals.lost)


def reload(page: Page) -> None:
    """All workers are replaced while clients call."""
    with LessonServer(_RELOADED, "sync") as server:
        old = [worker.pid for worker in server.status().workers]
        page.tell("started", pids=" ".join(map(str, old)))
        loopers = [server.looper() for _ in range(_LOOPERS)]
        server.until(lambda _: all(looper.fates["answered"] for looper in loopers))
        page.pause(_BEFORE)
        page.tell("loops", clients=_LOOPERS)
        began = time.monotonic()
        generation = server.control.reload()
        page.tell("reload")
        status = server.until(
            lambda status: (
                not status.reloading
                and all(worker.generation == generation and worker.state == "ready" for worker in status.workers)
            )
        )
        took = time.monotonic() - began
        page.tell("reloaded", took=took, pids=" ".join(str(worker.pid) for worker in status.workers))
        page.draw(status, queue=False)
        end_callers(loopers, PATIENCE)
        answered = sum(looper.fates["answered"] for looper in loopers)
        page.conclude(
            calls=answered,
            lost=sum(looper.fates.total() for looper in loopers) - answered,
            longest=max(looper.longest for looper in loopers),
        )


def _time_between(server: LessonServer, dead: int, ready: int) -> float:
    """Seconds from the death of a process until another was ready, by the server's own account."""
    events = server.control.events().events
    died = next(event.at for event in events if event.kind == "died" and event.pid == dead)
    return next(event.at for event in events if event.kind == "ready" and event.pid == ready) - died
