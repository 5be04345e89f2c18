"""A server's log as it is read back: the records in it, and which of these are wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LEVELS", "LogFilter", "LogRecord", "read_records"]

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least to the gravest."""

# As `rpcserver.system.log` begins the records of a log that is text.
_TEXT: Final = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\S+Z) (?P<level>[A-Z]+) +\[(?P<who>[^\]]*?) (?P<pid>\d+)\] ")
_WORKER: Final = re.compile(r"worker (\d+)")
_KNOWN: Final = frozenset({"time", "level", "worker", "pid", "logger", "message", "method", "traceback"})
_ACCESS: Final = "rpcserver.access"
_INDENT: Final = " " * 4


class LogRecord(msgspec.Struct, frozen=True):
    """What was logged at once.

    Attributes:
        lines: As they stand in the log; the first one begins with time and level unless something else wrote it.
        level: How grave it is, in small letters; empty where that is not known.
        time: When, as it is logged: UTC, as ISO 8601 has it.
        who: What wrote it, such as `worker 3` or `arbiter`.
        worker: The worker's number, or None.
        pid: Its process, or None.
        message: What it says, of one or more lines.
        fields: What else a log of JSON lines has.
    """

    lines: tuple[str, ...]
    level: str = ""
    time: str = ""
    who: str = ""
    worker: int | None = None
    pid: int | None = None
    message: str = ""
    fields: dict[str, Any] = {}


def read_records(lines: Sequence[str]) -> Iterator[LogRecord]:
    """Put lines of a log, of text or of JSON, together to records.

    Args:
        lines: What comes before the first beginning of a record is one without time and level.
    """
    begun: tuple[re.Match[str], str] | None = None
    held: list[str] = []
    for line in lines:
        head = _TEXT.match(line)
        record = _of_json(line) if head is None and line.startswith("{") else None
        if head is None and record is None:
            held.append(line)
            continue
        yield from _of_text(begun, held)
        begun, held = None, []
        if record is not None:
            yield record
        elif head is not None:
            begun, held = (head, line), [line]
    yield from _of_text(begun, held)


class LogFilter:
    """Tells which records are wanted, one after the other: what continues a record is wanted where that was.

    Args:
        worker: Only those of this worker.
        level: Only those of this level and graver ones.
        text: Only those that have this in them, as they were logged or as they are read; case makes no difference.
    """

    def __init__(self, *, worker: int | None = None, level: str | None = None, text: str | None = None) -> None:
        self._worker = worker
        self._levels = None if level is None else LEVELS[LEVELS.index(level) :]
        self._text = None if text is None else text.lower()
        self._all = worker is None and level is None and text is None
        self._within = self._all

    @property
    def wants_all(self) -> bool:
        """Whether every record is wanted."""
        return self._all

    def wants(self, record: LogRecord) -> bool:
        """Whether a record is wanted."""
        if self._all or not record.level:
            return self._within
        self._within = (
            self._worker in {None, record.worker}
            and (self._levels is None or record.level in self._levels)
            and (self._text is None or any(self._text in line.lower() for line in (*record.lines, record.message)))
        )
        return self._within


def _of_text(begun: tuple[re.Match[str], str] | None, lines: list[str]) -> Iterator[LogRecord]:
    if begun is None:
        if lines:
            yield LogRecord(tuple(lines), message="\n".join(lines))
        return
    head, first = begun
    who = head["who"]
    worker = _WORKER.fullmatch(who)
    yield LogRecord(
        tuple(lines),
        head["level"].lower(),
        head["time"],
        who,
        None if worker is None else int(worker[1]),
        int(head["pid"]),
        "\n".join([first[head.end() :], *lines[1:]]),
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
