"""What the screen knows of the server: a thread asks twice a second and does what keys have ordered.

Only this thread talks to the server, so that no key ever waits for it. It is there as long as somebody looks.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, ConnectionLost, ShellError, UsageError
from rpcshell.lab.top.tracking import Picture, Tracker
from rpcshell.servers.log import read_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.servers import Control
    from rpcshell.servers.log import LogRecord

__all__ = ["PERIOD", "Feed", "Log", "News"]

PERIOD: Final = 0.5
"""Seconds between two looks."""

_LOG_LINES: Final = 2000
_LOOKS_FOR_A_LOG: Final = 2
"""With every how many looks the log is read again."""


class Log(msgspec.Struct, frozen=True):
    """What was logged last about a worker.

    Attributes:
        worker: Its number.
        records: What it has logged, and the arbiter about it; the latest last.
        problem: Why there are none, or None.
    """

    worker: int
    records: tuple[LogRecord, ...] = ()
    problem: str | None = None


class News(msgspec.Struct, frozen=True):
    """What is known now.

    Attributes:
        picture: The server as it was last, or None before it has told anything.
        problem: Why it tells nothing now, or None.
        silent: For how many seconds it has told nothing.
        log: The log that was asked for last, or None.
        said: What came of the last order, and its number, from 1.
        refused: Whether that was refused.
    """

    picture: Picture | None = None
    problem: str | None = None
    silent: float = 0.0
    log: Log | None = None
    said: tuple[int, str] = (0, "")
    refused: bool = False


class Feed:
    """Asks the server, and steers it.

    Args:
        connect: Makes a connection to whatever control socket is the server's now.
        changed: Called in the thread whenever there are news.

    Attributes:
        news: What is known now.
    """

    def __init__(self, connect: Callable[[], Control], changed: Callable[[], None] = lambda: None) -> None:
        self.news = News()
        self.changed = changed
        self._connect = connect
        self._control: Control | None = None
        self._tracker = Tracker()
        self._orders: queue.SimpleQueue[Callable[[Control], str] | None] = queue.SimpleQueue()
        self._log_of: int | None = None
        self._looks = 0
        self._answered = 0.0
        self._problem = ""
        # It may be waiting for a server that hangs, which is no reason to make anybody else wait.
        self._thread = threading.Thread(target=self._run, name="top", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._answered = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._orders.put(None)
        self._thread.join(PERIOD)

    def look(self) -> None:
        """Ask once, and wait for the answer; the thread does this."""
        try:
            if self._control is None:
                self._control = self._connect()
            picture = self._tracker.add(self._control.status())
            self._answered = time.monotonic()
            self._problem = ""
            self._tell(picture=picture, problem=None, silent=0.0, log=self._read_log(self._control))
        except ShellError as error:
            self._lose(error)

    def kill(self, worker: int, pid: int, signal: str) -> None:
        """Send a worker a signal, unless another one has its number by then.

        Args:
            worker: Its number.
            pid: Its process.
            signal: The signal's name without SIG.
        """

        def order(control: Control) -> str:
            found = control.status().find(worker)
            if found is None or found.pid != pid:
                return f"pid {pid} is worker {worker} no more: nothing was sent"
            control.kill_worker(worker, signal)
            return f"{signal} was sent to worker {worker}, pid {pid}"

        self._orders.put(order)

    def scale(self, by: int) -> None:
        """Keep more workers or fewer.

        Args:
            by: How many more.
        """

        def order(control: Control) -> str:
            wanted = control.status().wanted + by
            if wanted < 1:
                return "one worker is the least there can be"
            control.scale(wanted)
            return f"scaling to {wanted} worker{'' if wanted == 1 else 's'}"

        self._orders.put(order)

    def reload(self) -> None:
        """Replace the workers one by one."""
        self._orders.put(lambda control: f"reloading to generation {control.reload()}")

    def follow_log(self, worker: int | None) -> None:
        """Read the last lines of a worker's log too.

        Args:
            worker: Its number; None to read no log.
        """
        if worker != self._log_of:
            self._log_of = worker
            if worker is not None:
                self._orders.put(lambda _control: "")

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            self.look()
            # After a time without an answer there is nothing to catch up with.
            due = max(due + PERIOD, time.monotonic())
            try:
                order = self._orders.get(timeout=max(due - time.monotonic(), 0))
                due -= PERIOD
            except queue.Empty:
                continue
            if order is None:
                break
            self._obey(order)
        if self._control is not None:
            self._control.close()

    def _obey(self, order: Callable[[Control], str]) -> None:
        number = self.news.said[0] + 1
        try:
            if self._control is None:
                self._control = self._connect()
            if text := order(self._control):
                self._tell(said=(number, text), refused=False)
        except ShellError as error:
            self._tell(said=(number, str(error)), refused=True)

    def _read_log(self, control: Control) -> Log | None:
        worker, known = self._log_of, self.news.log
        self._looks += 1
        if worker is None or (known is not None and known.worker == worker and self._looks % _LOOKS_FOR_A_LOG):
            return known
        try:
            records = read_records(control.logs(_LOG_LINES))
            return Log(worker, tuple(record for record in records if _is_about(record, worker)))
        except CallError as error:
            return Log(worker, problem=error.message)

    def _lose(self, error: ShellError) -> None:
        """Go without the server; it may come back as another process, with another socket."""
        if self._control is not None:
            self._control.close()
            self._control = None
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
