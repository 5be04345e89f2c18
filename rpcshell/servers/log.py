"""A server's log as it is read back: the records in it, which of these are wanted, and following it."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.servers.watch import LocalServerWatch
    from rpcwire.control import LogPart

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least to the gravest."""

# As `rpcserver.system.log` begins the records of a log that is text.
_TEXT: Final = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\S+Z) (?P<level>[A-Z]+) +\[(?P<who>[^\]]*?) (?P<pid>\d+)\] ")
_WORKER: Final = re.compile(r"worker (\d+)")
_KNOWN: Final = frozenset({"time", "level", "worker", "pid", "logger", "message", "method", "traceback"})
_ACCESS: Final = "rpcserver.access"
_INDENT: Final = " " * 4

_FOLLOWING_PERIOD: Final = 0.2
_LINES_AT_ONCE: Final = 5000
_THROTTLE_WINDOW: Final = 1.0


class LogRecord(msgspec.Struct, frozen=True):
    """What was logged at once."""

    lines: tuple[str, ...]
    """As they stand in the log; the first one begins with time and level unless something else wrote it."""
    level: str = ""
    """In small letters; empty where it is not known."""
    time: str = ""
    """As it is logged: UTC, as ISO 8601 has it."""
    who: str = ""
    """What wrote it, such as `worker 3` or `arbiter`."""
    worker: int | None = None
    pid: int | None = None
    message: str = ""
    fields: dict[str, Any] = {}
    """What else a log of JSON lines has."""


def read_records(lines: Sequence[str]) -> Iterator[LogRecord]:
    """Put lines of a log, of text or of JSON, together to records.

    What comes before the first beginning of a record is one without time and level.
    """
    begun: re.Match[str] | None = None
    held: list[str] = []
    for line in lines:
        head = _TEXT.match(line)
        record = _of_json(line) if head is None and line.startswith("{") else None
        if head is None and record is None:
            held.append(line)
            continue
        yield from _of_text(begun, held)
        if record is not None:
            yield record
        begun, held = head, [] if head is None else [line]
    yield from _of_text(begun, held)


class LogFilter:
    """Tells which records are wanted, one after the other: what continues a record is wanted where that was.

    They are of this worker, at least as grave as this level, and have this text in them in whatever case.
    """

    def __init__(self, *, worker: int | None = None, level: str | None = None, text: str | None = None) -> None:
        self._worker = worker
        self._levels = None if level is None else LEVELS[LEVELS.index(level) :]
        self._text = None if text is None else text.lower()
        self.wants_all = worker is None and level is None and text is None
        self._within = self.wants_all

    def wants(self, record: LogRecord) -> bool:
        """Whether a record is wanted."""
        if self.wants_all or not record.level:
            return self._within
        self._within = (
            self._worker in {None, record.worker}
            and (self._levels is None or record.level in self._levels)
            and (self._text is None or any(self._text in line.lower() for line in (*record.lines, record.message)))
        )
        return self._within


class LogSink(NamedTuple):
    """Where what is followed goes; the follower's thread calls it."""

    show: Callable[[Sequence[LogRecord]], bool]
    """Takes records, and returns whether it did; not where too much waits to be shown already."""
    say: Callable[[str], None]
    """Takes a line about the log itself."""


class Throttle:
    """Lets `most` lines through in a second, and counts the others."""

    def __init__(self, most: int) -> None:
        self.left_out = 0
        """How many lines were not let through since that was last told."""
        self._most = most
        self._left = most
        self._since = 0.0

    def begin(self, now: float) -> int:
        """Begin another second where the last one is over; how many lines were left out until then, to be told."""
        if now - self._since < _THROTTLE_WINDOW:
            return 0
        self._since, self._left = now, self._most
        told, self.left_out = self.left_out, 0
        return told

    def take(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """The records that there is room for: the first ones."""
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
    """Follows the log that a watch has begun to read, until it is stopped or the server has gone."""

    def __init__(
        self, watch: LocalServerWatch, wanted: LogFilter, sink: LogSink, throttle: Throttle | None = None
    ) -> None:
        self._watch = watch
        self._wanted = wanted
        self._sink = sink
        self._throttle = throttle
        self._stopped = threading.Event()
        self._silent = False

    @property
    def stopped(self) -> bool:
        """Whether it follows no more."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Follow in a thread."""
        self._watch.start(self._look, _FOLLOWING_PERIOD, "log")

    def run(self) -> None:
        """Follow in this thread."""
        self._watch.run(self._look, _FOLLOWING_PERIOD)

    def stop(self) -> None:
        """Follow no more; what is about to be shown is shown first."""
        self._stopped.set()
        self._watch.stop()

    def _look(self) -> None:
        try:
            self._read_on()
        except (ConnectionFailed, ConnectionLost):
            self._end("the server has gone: its log is followed no more")
        except ShellError as error:
            self._end(str(error))
        except OSError:
            # The terminal that it was shown on has gone.
            self.stop()

    def _read_on(self) -> None:
        more = True
        while more and not self._stopped.is_set():
            try:
                part = self._watch.new_log(_LINES_AT_ONCE)
            except CallTimeout:
                # It stands still, which is no end.
                if not self._silent:
                    self._sink.say("the server does not answer; its log is followed once it does")
                self._silent = True
                return
            self._silent = False
            self._give_on(part)
            more = part.more

    def _give_on(self, part: LogPart) -> None:
        if part.anew:
            self._sink.say("the log began anew: the last lines of its former file may be missing")
        if part.skipped:
            self._sink.say(f"… {part.skipped / 1e6:,.1f} MB of the log left out")
        records: Sequence[LogRecord] = [record for record in read_records(part.lines) if self._wanted.wants(record)]
        if (throttle := self._throttle) is not None:
            if missing := throttle.begin(time.monotonic()):
                self._sink.say(f"… {missing:,} line{'' if missing == 1 else 's'} of the log left out")
            records = throttle.take(records)
        if records and not self._stopped.is_set() and not self._sink.show(records) and throttle is not None:
            throttle.leave_out(records)

    def _end(self, why: str) -> None:
        if not self._stopped.is_set():
            self.stop()
            self._sink.say(why)


def _of_text(head: re.Match[str] | None, lines: list[str]) -> Iterator[LogRecord]:
    if head is None:
        if lines:
            yield LogRecord(tuple(lines), message="\n".join(lines))
        return
    who = head["who"]
    worker = _WORKER.fullmatch(who)
    yield LogRecord(
        tuple(lines),
        head["level"].lower(),
        head["time"],
        who,
        None if worker is None else int(worker[1]),
        int(head["pid"]),
        "\n".join([lines[0][head.end() :], *lines[1:]]),
    )


def _of_json(line: str) -> LogRecord | None:
    try:
        found = msgspec.json.decode(line.encode("utf-8", "backslashreplace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return None
    worker, pid = (found[name] if isinstance(found.get(name), int) else None for name in ("worker", "pid"))
    parts: list[str] = found["message"].split("\n")
    fields = {name: value for name, value in found.items() if name not in _KNOWN}
    if found.get("logger") == _ACCESS:
        # Its message says it all.
        fields = {}
    elif isinstance(method := found.get("method"), str):
        parts[0] = f"{method}: {parts[0]}"
    if isinstance(traceback := found.get("traceback"), str):
        parts += traceback.split("\n")
    return LogRecord(
        (line,),
        str(found.get("level", "")),
        str(found.get("time", "")),
        "arbiter" if worker is None else f"worker {worker}",
        worker,
        pid,
        f"\n{_INDENT}".join(parts),
        fields,
    )
