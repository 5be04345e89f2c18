"""Servers as they tell of themselves, made up."""

from __future__ import annotations

from rpcshell.lab.top.dashboard import Dashboard
from rpcshell.lab.top.feed import Feed, News, Picture, Tracker, WorkerLine
from rpcshell.servers.control import Control
from rpcwire.control import ListenerStatus, RunningCall, ServerStatus, TotalStatus, WorkerStatus


def a_worker(number: int, **fields: object) -> WorkerStatus:
    known: dict[str, object] = {
        "worker": number,
        "pid": 1000 + number,
        "memory": 20_000_000,
        "pss": 6_000_000,
        "uss": 2_000_000,
        "age": 100.0,
    }
    return WorkerStatus(**{**known, **fields})  # type: ignore[arg-type]  # whatever a test is about


def a_server(workers: list[WorkerStatus], *, uptime: float = 100.0, **fields: object) -> ServerStatus:
    known: dict[str, object] = {
        "pid": 999,
        "model": "sync",
        "uptime": uptime,
        "wanted": len(workers),
        "listeners": [ListenerStatus("127.0.0.1:8080", 3, 128)],
        "totals": TotalStatus(calls=sum(worker.calls for worker in workers)),
    }
    return ServerStatus(workers=workers, **{**known, **fields})  # type: ignore[arg-type]  # as above


def a_picture(*workers: WorkerStatus, **fields: object) -> Picture:
    return Tracker().add(a_server(list(workers), **fields))  # type: ignore[arg-type]  # as above


def a_line(number: int, *, rate: float | None = 0.0, busy: float = 0.0, **fields: object) -> WorkerLine:
    return WorkerLine(a_worker(number, **fields), rate, busy, ())


def calling(method: str, seconds: float = 3.25) -> RunningCall:
    return RunningCall(method, seconds)


class Orders(Feed):
    """Keeps what was ordered, and watches nothing."""

    def __init__(self) -> None:
        super().__init__(lambda: Control("/nowhere"))
        self.given: list[tuple[object, ...]] = []

    def kill(self, worker: int, pid: int, signal: str) -> None:
        self.given.append(("kill", worker, pid, signal))

    def scale(self, by: int) -> None:
        self.given.append(("scale", by))

    def reload(self) -> None:
        self.given.append(("reload",))

    def follow_log(self, worker: int | None) -> None:
        self.given.append(("log", worker))


def a_dashboard(picture: Picture | None, **news: object) -> tuple[Dashboard, Orders]:
    orders = Orders()
    board = Dashboard(orders, "127.0.0.1:8080")
    board.update(News(picture, **news))  # type: ignore[arg-type]  # as above
    return board, orders
