"""The log: one write per line, with the time in UTC, the worker and its pid, as text or as JSON lines; and read back.

What is worth a line, and at which level, is decided where it happens; a line for each call is made in `access`.
A record may carry more than its message: `method`, the method whose handler wrote it; `traceback`, one that
another process has formatted; and `fields`, a mapping that becomes keys of a JSON line.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import select
import stat
import time
from typing import IO, TYPE_CHECKING, Final

import msgspec

from rpcwire.control import LogPart, LogPosition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

# Bytes of a message, and of a traceback, as they are written.
_LONGEST: Final = 16 * 1024
# How much a pipe that polls as writable surely takes.
_PIPE_PAGE: Final = 4096
_PART: Final = 1024 * 1024
_STEP: Final = 256 * 1024
_FARTHEST: Final = 16 * 1024 * 1024
# How records begin: as text with the time, as JSON with a brace; the rest continues one.
_RECORD: Final = re.compile(rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T|\{)")

# C0 and C1 controls, DEL, line separators and everything that turns the direction of text round: what peers
# put into names must not forge lines, colour a terminal or hide what follows.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Write unprintable and misleading characters as escapes, so that the result is one harmless line."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if short is not None:
        return short
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _bounded(text: str, written: Callable[[str], bytes]) -> str:
    """The text with so much left out of its middle that it is not written with more than `_LONGEST` bytes."""
    if len(text) <= _LONGEST and len(written(text)) <= _LONGEST:
        return text
    kept = _LONGEST - 64
    while True:
        half = kept // 2
        # In one line: what follows must not look like a line of its own.
        cut = f"{text[:half]} [... {len(text) - 2 * half} characters left out ...] {text[-half:]}"
        if (size := len(written(cut))) <= _LONGEST:
            return cut
        kept = min(kept * _LONGEST // size, kept * 7 // 8)


class _AlwaysEnabled(logging.Logger):
    """A logger that an app's `dictConfig` cannot disable, as it does with all that exist unless told otherwise."""

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass


def keep_enabled() -> None:
    """Let nothing that an app configures disable the server's own loggers that there are by now."""
    for name, found in list(logging.root.manager.loggerDict.items()):
        if type(found) is logging.Logger and name.partition(".")[0] in ("rpcserver", "rpcwire"):
            found.__class__ = _AlwaysEnabled


class LineHandler(logging.Handler):
    """Writes each record with a single write(2), so that lines of many processes never mix.

    A record for which a pipe, a socket or a terminal has no room is lost; nothing waits for who reads the log.

    Args:
        descriptor: where to write; a file is opened for appending by `configure`.
    """

    def __init__(self, descriptor: int, *, as_json: bool, path: Path | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        # Opened again after a change of folder, it must still be the same.
        self._path = None if path is None else path.absolute()
        self._compose = self._json_line if as_json else self._text_line
        self._formatter = logging.Formatter()
        self._torn = False
        self.worker: int | None = None
        """The number of the worker that this process is, once it is one."""
        self.role = "arbiter"
        """What this process is called in text, as long as it is no worker."""

    def fileno(self) -> int:
        """Return the descriptor that is written to; it stays the same when the file is opened again."""
        return self._descriptor

    def reopen(self) -> None:
        """Open the file by its name again, in this process, after something else has moved it away.

        Where that fails the log goes on in the old file, and says so. Standard error is left as it is. Safe in a
        Python signal handler and beside threads that log: dup2(2) exchanges the file between two writes.
        """
        if self._path is None:
            return
        try:
            fresh = _open(self._path)
        except OSError as error:
            logger.error("the log cannot be opened again, and goes on in the old file: %s", error)
            return
        try:
            os.dup2(fresh, self._descriptor, inheritable=False)
        finally:
            os.close(fresh)
        logger.debug("the log was opened again")

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a log that cannot be written must not stop a server."""
        line = _utf8(self._compose(record))
        if self._torn:
            line = b"\n" + line
        with contextlib.suppress(OSError):
            written = _write_at_once(self._descriptor, line)
            self._torn = written < len(line) if written else self._torn

    def _text_line(self, record: logging.LogRecord) -> str:
        who = self.role if self.worker is None else f"worker {self.worker}"
        head = f"{_timestamp(record.created)} {record.levelname:<7} [{who} {record.process}] "
        method = getattr(record, "method", None)
        message = record.getMessage() if method is None else f"{visible(method)}: {record.getMessage()}"
        parts = (_bounded(part, _as_text) for part in (message, self._traceback(record)) if part)
        return head + "\n    ".join(map(_set_in, parts)) + "\n"

    def _json_line(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "worker": self.worker,
            "pid": record.process,
            "logger": record.name,
            "message": _bounded(_encodable(record.getMessage()), _as_json),
        }
        if method := getattr(record, "method", None):
            fields["method"] = _encodable(method)
        for name, value in getattr(record, "fields", {}).items():
            fields[name] = _encodable(value) if isinstance(value, str) else value
        if traceback := self._traceback(record):
            fields["traceback"] = _bounded(_encodable(traceback), _as_json)
        return _as_json(fields).decode() + "\n"

    def _traceback(self, record: logging.LogRecord) -> str:
        parts: list[str] = []
        if record.exc_info:
            parts.append(self._formatter.formatException(record.exc_info))
        if record.stack_info:
            parts.append(record.stack_info)
        # What another process has formatted.
        if carried := getattr(record, "traceback", None):
            parts.append(carried)
        return "\n".join(parts)


def configure(level: str, *, as_json: bool, path: Path | None) -> LineHandler:
    """Send the whole process's logging to standard error or to a file.

    A path of None stands for standard error. The access log, where one is kept, ignores the level.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = 2
    if path is not None:
        descriptor = _open(path)
    handler = LineHandler(descriptor, as_json=as_json, path=path)
    keep_enabled()
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _timestamp(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _encodable(text: str) -> str:
    return _utf8(text).decode()


def _set_in(text: str) -> str:
    """What follows a line's end is set in, so that it cannot be taken for a record of its own."""
    return "\n    ".join(visible(line) for line in text.split("\n"))


def _as_text(text: str) -> bytes:
    return _utf8(_set_in(text))


def _as_json(value: object) -> bytes:
    text = msgspec.json.encode(value).decode()
    # Inside a JSON string every control that is left may be written as \uXXXX.
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def _write_at_once(descriptor: int, line: bytes) -> int:
    """Write as much as there is room for, without waiting for any.

    The descriptor itself stays as it is: others share it, and would not expect it to be non-blocking.

    Raises:
        OSError: nothing can be written.
    """
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.write(descriptor, line)
    try:
        return os.pwritev(descriptor, [line], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE):
            raise
    # A terminal, or an older kernel.
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    written = 0
    while written < len(line) and room.poll(0):
        written += os.write(descriptor, line[written : written + _PIPE_PAGE])
    return written


class RateLimit:
    """Lets one through in a period. Two threads at the same moment may both be let through, which does no harm.

    Args:
        period: seconds between two that are let through.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._due = 0.0

    def allows(self) -> bool:
        """Whether it is time for another one, which is then counted as made."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._period
        return True


class NotAFile(Exception):
    """What the log is written to cannot be read back: a terminal, a pipe or a journal."""


def last_lines(descriptor: int, count: int, worker: int | None = None) -> list[str]:
    """Read the last lines of a log.

    The file behind the descriptor is opened anew, and no more than its last MiB is looked at. With the number of a
    worker only its records are read.

    Raises:
        NotAFile: it is no regular file.
        OSError: it cannot be read.
    """
    with _opened(descriptor) as file:
        lines, rest = _end_of(file, os.fstat(file.fileno()).st_size)
    if rest:
        lines.append(rest)
    if worker is not None:
        lines = _of_worker(lines, worker)
    return _decoded(lines[-count:])


def lines_since(descriptor: int, position: LogPosition | None, count: int) -> LogPart:
    """Read what was written to a log after a place in it.

    The place None stands for the last lines, as `last_lines` has them, without one that is not finished.

    Raises:
        NotAFile: it is no regular file.
        OSError: it cannot be read.
    """
    with _opened(descriptor) as file:
        found = os.fstat(file.fileno())
        name, size = f"{found.st_dev}:{found.st_ino}", found.st_size
        if position is None:
            lines, rest = _end_of(file, size)
            return LogPart(_decoded(lines[-count:]), LogPosition(name, size - len(rest)))
        # A file that was truncated is another one as well.
        anew = position.file != name or position.offset > size
        start = 0 if anew else position.offset
        skipped = 0
        if size - start > _FARTHEST:
            file.seek(size - _PART)
            file.readline()
            skipped, start = file.tell() - start, file.tell()
        file.seek(start)
        data = file.read(_STEP)
    full = len(data) == _STEP
    # What has no end yet waits for it, unless there is too much of it to wait for.
    end = data.rfind(b"\n") + 1 or (len(data) if full else 0)
    more = full and start + end < size
    lines = data[:end].removesuffix(b"\n").split(b"\n") if end else []
    if len(lines) > count:
        del lines[count:]
        end = sum(len(line) + 1 for line in lines)
        more = True
    return LogPart(_decoded(lines), LogPosition(name, start + end), more, skipped, anew)


def _opened(descriptor: int) -> IO[bytes]:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotAFile
    return open(f"/proc/self/fd/{descriptor}", "rb")  # noqa: PTH123 - no path of the file's own


def _end_of(file: IO[bytes], size: int) -> tuple[list[bytes], bytes]:
    """The last whole lines of a file, and what follows them."""
    file.seek(max(0, size - _PART))
    # No more than there was when its size was taken.
    *lines, rest = file.read(min(_PART, size)).split(b"\n")
    if size > _PART:
        # The first one may have lost its beginning.
        if not lines:
            rest = b""
        del lines[:1]
    return lines, rest


def _decoded(lines: list[bytes]) -> list[str]:
    return [line.decode("utf-8", "backslashreplace") for line in lines]


def _of_worker(lines: list[bytes], worker: int) -> list[bytes]:
    theirs = re.compile(rb'[^\[{]*\[worker %d [0-9]+\]|\{.*"worker":%d,' % (worker, worker))
    found: list[bytes] = []
    within = False
    for line in lines:
        if _RECORD.match(line):
            within = theirs.match(line) is not None
        if within:
            found.append(line)
    return found
