"""What the screen knows of the server, asked for twice a second in a thread that also does what keys have ordered.

Only that thread talks to the server, so that no key ever waits for it. It is there as long as somebody looks.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, ConnectionLost, ShellError, UsageError
from rpcshell.servers.log import read_records
from rpcshell.servers.watch import LocalServerWatch
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.servers.control import Control
    from rpcshell.servers.log import LogRecord
    from rpcwire.control import ServerStatus, WorkerStatus

PERIOD: Final = 0.5
"""Seconds between two looks."""

_LOG_LINES: Final = 2000
_LOOKS_FOR_A_LOG: Final = 2
"""With every how many looks the log is read again."""

_POINTS: Final = 61
"""Looks that are remembered: half a minute of them."""

_CLOSEST: Final = 0.2
"""Seconds between two of them, at least: rates over less would be noise."""

_WINDOW: Final = 2.0
"""Seconds over which what is said in figures is measured; the graph has every look."""


class WorkerLine(msgspec.Struct, frozen=True):
    """A worker, and what it did lately."""

    status: WorkerStatus
    rate: float | None
    """Calls a second, or None before there is anything to compare with."""
    busy: float
    """The share of the time that it spent in calls; over 1 where several run at once."""
    history: tuple[float, ...]
    """Calls a second from look to look, the latest last."""


class Picture(msgspec.Struct, frozen=True):
    """A server, and what it did lately; rate and history as its workers' lines have them."""

    status: ServerStatus
    rate: float | None
    history: tuple[float, ...]
    workers: tuple[WorkerLine, ...]


class Tracker:
    """Compares what a server tells with what it told before. Times are the server's own, whenever its words come."""

    def __init__(self) -> None:
        self._pid = 0
        self._total = _Track()
        self._workers: dict[int, _Track] = {}

    def add(self, status: ServerStatus) -> Picture:
        """Take in what a server told: later than the time before, or another server."""
        now = status.uptime
        first = status.pid != self._pid or self._total.ends_after(now)
        if first:
            self._pid, self._total, self._workers = status.pid, _Track(), {}
        totals = status.totals
        self._total.add(_Point(now, totals.calls, totals.busy_seconds))
        workers: dict[int, _Track] = {}
        for worker in status.workers:
            point = _Point(now, worker.calls, worker.busy_seconds)
            track = self._workers.get(worker.pid)
            if track is None or not track.is_followed_by(point):
                # What was born while somebody looked began with nothing; of the others that is long ago.
                track = _Track() if first else _Track(_Point(now - worker.age, 0, 0.0))
            track.add(point)
            workers[worker.pid] = track
        self._workers = workers
        return Picture(
            status,
            self._total.rate,
            tuple(self._total.history()),
            tuple(_line(worker, workers[worker.pid]) for worker in status.workers),
        )


def _line(worker: WorkerStatus, track: _Track) -> WorkerLine:
    busy = track.busy
    return WorkerLine(worker, track.rate, worker.busy if busy is None else busy, tuple(track.history()))


class _Point(NamedTuple):
    seconds: float
    calls: int
    busy: float


class _Track:
    """The counts of one worker, or of all."""

    def __init__(self, *points: _Point) -> None:
        self._points = deque(points, _POINTS)

    def ends_after(self, seconds: float) -> bool:
        return bool(self._points) and self._points[-1].seconds > seconds

    def is_followed_by(self, point: _Point) -> bool:
        """Whether the counts went on; those of another process with the same id begin anew."""
        return point.calls >= self._points[-1].calls

    def add(self, point: _Point) -> None:
        if not self._points or point.seconds - self._points[-1].seconds >= _CLOSEST:
            self._points.append(point)

    def history(self) -> Iterator[float]:
        for before, after in pairwise(self._points):
            yield (after.calls - before.calls) / (after.seconds - before.seconds)

    @property
    def rate(self) -> float | None:
        return self._growth(lambda point: point.calls)

    @property
    def busy(self) -> float | None:
        return self._growth(lambda point: point.busy)

    def _growth(self, count: Callable[[_Point], float]) -> float | None:
        """How much was added a second lately; never less than nothing."""
        if len(self._points) < 2:
            return None
        first, last = self._points[0], self._points[-1]
        before = next((point for point in reversed(self._points) if last.seconds - point.seconds >= _WINDOW), first)
        return max(0.0, (count(last) - count(before)) / (last.seconds - before.seconds))


class WorkerLog(msgspec.Struct, frozen=True):
    """What a worker has logged lately, and the arbiter about it; the latest last."""

    worker: int
    records: tuple[LogRecord, ...] = ()
    problem: str | None = None
    """Why there are none."""


class News(msgspec.Struct, frozen=True):
    """What is known now."""

    picture: Picture | None = None
    """The server as it was last."""
    problem: str | None = None
    """Why it tells nothing now."""
    silent: float = 0.0
    """For how many seconds it has told nothing."""
    log: WorkerLog | None = None
    said: tuple[int, str] = (0, "")
    """The number of the last order, from 1, and what came of it."""
    refused: bool = False
    """Whether that was refused."""


class Feed:
    """Watches the server that `connect` leads to, and steers it; `changed` is called in its thread upon news."""

    def __init__(self, connect: Callable[[], Control], changed: Callable[[], None] = lambda: None) -> None:
        self.news = News()
        self.changed = changed
        self._watch = LocalServerWatch(connect)
        self._tracker = Tracker()
        self._orders: queue.SimpleQueue[Callable[[Control], str]] = queue.SimpleQueue()
        self._log_of: int | None = None
        self._looks = 0
        self._answered = 0.0
        self._problem = ""

    def start(self) -> None:
        """Begin to watch."""
        self._answered = time.monotonic()
        self._watch.start(self._look, PERIOD, "top")

    def stop(self) -> None:
        """Watch no more, once what was ordered is done."""
        self._watch.stop(PERIOD)

    def kill(self, worker: int, pid: int, signal: str) -> None:
        """Send a worker a signal, unless another one has its number by then."""

        def order(control: Control) -> str:
            found = control.status().find(worker)
            if found is None or found.pid != pid:
                return f"pid {pid} is worker {worker} no more: nothing was sent"
            control.kill_worker(worker, signal)
            return f"{signal} was sent to worker {worker}, pid {pid}"

        self._order(order)

    def scale(self, by: int) -> None:
        """Keep so many more workers, or fewer."""

        def order(control: Control) -> str:
            wanted = control.status().wanted + by
            if wanted < 1:
                return "one worker is the least there can be"
            control.scale(wanted)
            return f"scaling to {count_of(wanted, 'worker')}"

        self._order(order)

    def reload(self) -> None:
        """Replace the workers one by one."""
        self._order(lambda control: f"reloading to generation {control.reload()}")

    def follow_log(self, worker: int | None) -> None:
        """Read a worker's log too; None reads none."""
        self._log_of = worker
        if worker is not None:
            self._watch.look_now()

    def _order(self, order: Callable[[Control], str]) -> None:
        self._orders.put(order)
        self._watch.look_now()

    def _look(self) -> None:
        while not self._orders.empty():
            self._obey(self._orders.get())
        try:
            picture = self._tracker.add(self._watch.status())
            self._answered = time.monotonic()
            self._problem = ""
            self._tell(picture=picture, problem=None, silent=0.0, log=self._watch.ask(self._read_log))
        except ShellError as error:
            self._miss(error)

    def _obey(self, order: Callable[[Control], str]) -> None:
        number = self.news.said[0] + 1
        try:
            self._tell(said=(number, self._watch.ask(order)), refused=False)
        except ShellError as error:
            self._tell(said=(number, str(error)), refused=True)

    def _read_log(self, control: Control) -> WorkerLog | None:
        worker, known = self._log_of, self.news.log
        self._looks += 1
        if worker is None or (known is not None and known.worker == worker and self._looks % _LOOKS_FOR_A_LOG):
            return known
        try:
            records = read_records(control.logs(_LOG_LINES))
            return WorkerLog(worker, tuple(record for record in records if _is_about(record, worker)))
        except CallError as error:
            return WorkerLog(worker, problem=error.message)

    def _miss(self, error: ShellError) -> None:
        """Tell why the server does not answer; it may come back as another process, with another socket."""
        match error:
            case CallTimeout():
                self._problem = "it is there, but hangs (stopped, or very busy)"
            case UsageError() if self._problem:
                # It is not found among those that answer, which is known.
                pass
            case ConnectionFailed() | ConnectionLost() | UsageError():
                self._problem = "it has gone"
            case _:
                self._problem = error.message
        self._tell(problem=self._problem, silent=time.monotonic() - self._answered)

    def _tell(self, **changes: object) -> None:
        self.news = msgspec.structs.replace(self.news, **changes)
        self.changed()


def _is_about(record: LogRecord, worker: int) -> bool:
    """Whether a worker has logged something, or the arbiter something about it, such as its death."""
    return record.worker == worker or (record.worker is None and record.message.startswith(f"worker {worker} "))
