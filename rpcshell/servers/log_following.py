"""Following a server's log: asking now and then for what has come, and giving on no more of it than is wanted.

Where it goes is the caller's business; what a record is, `log`'s.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError
from rpcshell.servers.log import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.servers.control import Control
    from rpcshell.servers.log import LogFilter, LogRecord
    from rpcwire.control import LogPart, LogPosition

__all__ = ["LogFollower", "LogSink", "Throttle"]

PERIOD: Final = 0.2
"""Seconds between two looks at the log."""

_LINES_AT_ONCE: Final = 5000
_WINDOW: Final = 1.0
_PATIENCE: Final = 0.5
_GONE: Final = "the server has gone: its log is followed no more"


class LogSink(NamedTuple):
    """Where what is followed goes; the follower's thread calls it.

    Attributes:
        show: Takes records, and returns whether it did; not where too much waits to be shown already.
        say: Takes a line about the log itself.
    """

    show: Callable[[Sequence[LogRecord]], bool]
    say: Callable[[str], None]


class Throttle:
    """Lets so many lines through in a second, and counts the others.

    Args:
        most: How many lines.

    Attributes:
        left_out: How many were not let through since that was last told.
    """

    def __init__(self, most: int) -> None:
        self.left_out = 0
        self._most = most
        self._left = most
        self._since = 0.0

    def begin(self, now: float) -> int:
        """Begin another second where the last one is over; how many lines were left out until then, to be told.

        Args:
            now: The time in seconds.
        """
        if now - self._since < _WINDOW:
            return 0
        self._since, self._left = now, self._most
        told, self.left_out = self.left_out, 0
        return told

    def take(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """The records that there is room for: the first ones.

        Args:
            records: Those that came.
        """
        for at, record in enumerate(records):
            if self._left <= 0:
                self.leave_out(records[at:])
                return records[:at]
            self._left -= len(record.lines)
        return records

    def leave_out(self, records: Sequence[LogRecord]) -> None:
        """Count records that are not shown."""
        self.left_out += sum(len(record.lines) for record in records)


class LogFollower:
    """Follows a log until it is stopped or the server has gone.

    Args:
        control: A connection to the server's control socket; closed at the end.
        position: Where in the log to begin.
        wanted: Tells what is wanted.
        sink: Takes it.
        throttle: Leaves out what would be too much, or None to give on everything.
    """

    def __init__(
        self,
        control: Control,
        position: LogPosition,
        wanted: LogFilter,
        sink: LogSink,
        throttle: Throttle | None = None,
    ) -> None:
        self._control = control
        self._position = position
        self._wanted = wanted
        self._sink = sink
        self._throttle = throttle
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._silent = False

    @property
    def stopped(self) -> bool:
        """Whether it follows no more."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Follow in a thread."""
        self._thread = threading.Thread(target=self.run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()
        if self._thread is not None:
            # What it is about to show comes first, but a server that does not answer is not waited for.
            self._thread.join(_PATIENCE)

    def run(self) -> None:
        """Follow in this thread."""
        try:
            while not self._stopped.wait(PERIOD):
                self._look()
        except (ConnectionFailed, ConnectionLost):
            self._end(_GONE)
        except ShellError as error:
            self._end(str(error))
        except OSError:
            # The terminal that it was shown on has gone.
            self._stopped.set()
        finally:
            self._control.close()

    def _look(self) -> None:
        more = True
        while more and not self._stopped.is_set():
            try:
                part = self._control.log_since(self._position, _LINES_AT_ONCE)
            except CallTimeout:
                # It stands still, which is no end.
                if not self._silent:
                    self._sink.say("the server does not answer; its log is followed once it does")
                self._silent = True
                return
            self._silent = False
            self._give_on(part)
            self._position, more = part.next, part.more

    def _give_on(self, part: LogPart) -> None:
        if part.anew:
            self._sink.say("the log began anew: the last lines of its former file may be missing")
        if part.skipped:
            self._sink.say(f"… {part.skipped / 1e6:,.1f} MB of the log left out")
        records: Sequence[LogRecord] = [record for record in read_records(part.lines) if self._wanted.wants(record)]
        throttle = self._throttle
        if throttle is not None:
            if missing := throttle.begin(time.monotonic()):
                self._sink.say(f"… {missing:,} line{'' if missing == 1 else 's'} of the log left out")
            records = throttle.take(records)
        if records and not self._stopped.is_set() and not self._sink.show(records) and throttle is not None:
            throttle.leave_out(records)

    def _end(self, why: str) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self._sink.say(why)
