"""Steps in which clients wait: for one worker, and for ten."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.lesson.servers import LessonServer, who

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.lab.lesson.stage import Stage

__all__ = ["eleven_clients", "one_worker", "ten_workers"]

_BACKLOG: Final = ("--backlog", "8")
"""So few that the gauge shows a single client."""

_HELD: Final = 0.4
_WORKERS: Final = 10
_CONNECTIONS: Final = 60
_RECLAIM: Final = 1.0


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
        meta = who(second.answer())
        stage.tell("served", worker=meta.worker)
        stage.show(server.until(lambda status: not status.waiting))
        stage.conclude(waited=second.waited, service=meta.service_us / 1e6)


def ten_workers(stage: Stage) -> None:
    """Connections that come one after the other, and who takes them."""
    with LessonServer(_WORKERS, "sync") as server:
        stage.tell("started", workers=_WORKERS, address=server.target)
        stage.show(server.status())
        counts = dict.fromkeys(range(1, _WORKERS + 1), 0)
        began = time.monotonic()
        for _ in range(_CONNECTIONS):
            with server.client() as client:
                counts[who(client.exchange("ping", meta=True)).worker] += 1
        stage.tell("took", connections=_CONNECTIONS, took=time.monotonic() - began)
        stage.show_shares(list(counts.values()))
        stage.conclude(workers=_WORKERS, least=min(counts.values()), most=max(counts.values()))


def eleven_clients(stage: Stage) -> None:
    """Ten idle clients on ten workers, one more that waits for somebody to leave, and one that nobody leaves for."""
    with LessonServer(_WORKERS, "sync", *_BACKLOG, "--reclaim-idle", f"{_RECLAIM:g}") as server:
        stage.tell("started", workers=_WORKERS, reclaim=_RECLAIM)
        holders: dict[int, tuple[int, Client]] = {}
        for number in range(1, _WORKERS + 1):
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
        worker = who(eleventh.answer()).worker
        stage.tell("served", worker=worker)
        holders[worker] = _WORKERS + 1, eleventh.client

        twelfth = server.caller("ping")
        status = server.until(lambda status: status.waiting > 0 or twelfth.over)
        stage.tell("stays", waiting=status.waiting)
        stage.show(status)
        worker = who(twelfth.answer()).worker
        number, _ = holders[worker]
        stage.tell("reclaimed", client=number, worker=worker)
        stage.conclude(left=eleventh.waited, reclaimed=twelfth.waited)
