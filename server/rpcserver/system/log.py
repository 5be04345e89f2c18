"""The log: one write per line, with the time in UTC, the worker and its pid, as text or as JSON lines.

What is worth a line, and at which level, is decided where it happens; a line for each call is made in `access`.
A record may carry more than its message: `method`, the method whose handler wrote it; `traceback`, one that
another process has formatted; and `fields`, a mapping that becomes keys of a JSON line. It is read back in `log_tail`.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import re
import select
import stat
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcserver.system.errors import QuickStop
from rpcserver.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

# Bytes of a message, and of a traceback, as they are written.
_LONGEST: Final = 16 * 1024
_OWN: Final = ("rpcserver", "rpcwire")
# How much a pipe that polls as writable surely takes.
_PIPE_PAGE: Final = 4096

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
    """A logger that its level alone can silence, and that raises nothing.

    An app's `dictConfig` disables all loggers that exist unless told otherwise, and `logging.disable` all of them. Its
    record factory, its filters and its handlers may raise whatever they like.
    """

    last_resort: logging.Handler | None = None  # takes the records where an app has left nobody who does, at any time

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the base class's
        return level >= self.getEffectiveLevel()

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - the base class's
        try:
            return super().makeRecord(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the factory is the app's
            name, level, path, line, message, values, error = args[:7]
            return logging.LogRecord(name, level, path, line, message, values, error)

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except QuickStop:
            raise
        except BaseException:  # noqa: BLE001, S110 - what handles records is the app's, and where to say so as well
            pass

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's
        if self.last_resort is not None and self._unheard():
            self.last_resort.handle(record)
        else:
            super().callHandlers(record)

    def _unheard(self) -> bool:
        """Whether no handler gets records, as far up as they go, and no `NullHandler` there drops them."""
        asked: logging.Logger = self
        while not _heard(asked):
            if asked.parent is None or not asked.propagate:
                return asked.parent is None or not asked.handlers
            asked = asked.parent
        return False


def _heard(asked: logging.Logger) -> bool:
    """Whether it has a handler that is more than a library's way to say that it configures none."""
    return any(type(handler) is not logging.NullHandler for handler in asked.handlers)


def keep_enabled(last_resort: logging.Handler | None) -> None:
    """Let nothing that an app configures for all loggers silence the server's own that there are by now.

    Where it leaves nobody who takes their records, `last_resort` does.
    """
    for name, found in list(logging.root.manager.loggerDict.items()):
        if isinstance(found, logging.Logger) and name.partition(".")[0] in _OWN:
            if type(found) is logging.Logger:
                found.__class__ = _AlwaysEnabled
            if isinstance(found, _AlwaysEnabled):
                found.last_resort = last_resort


class LineHandler(logging.Handler):
    """Writes each record with a single write(2), so that lines of many processes never mix.

    Nothing waits for who reads the log, nor for room on a disk: a record that cannot be written is lost, and what was
    lost is counted, and said before the next one that is written.
    """

    def __init__(self, descriptor: int, *, as_json: bool, path: Path | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._writer = _never_waiting(descriptor)
        # Opened again after a change of folder, it must still be the same.
        self._path = None if path is None else path.absolute()
        self._compose = self._json_line if as_json else self._text_line
        self._formatter = logging.Formatter()
        # Shared with all processes that are forked from this one: whoever writes next ends what was torn.
        self._torn = mmap.mmap(-1, 1)
        self._lost = 0
        self._lost_by: int | None = None
        self._lost_why = ""
        self.worker: int | None = None  # the number of the worker that this process is, once it is one
        self.role = "arbiter"  # what this process is called in text, as long as it is no worker

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

    def stand_in(self) -> None:
        """Take the records of all loggers again where an app has left nobody who does."""
        if not _heard(logging.root):
            logging.root.addHandler(self)

    def filter(self, record: logging.LogRecord) -> Any:
        """Let pass what the app's filters let pass, and what they fail at."""
        try:
            return super().filter(record)
        except Exception:  # noqa: BLE001 - as above
            return True

    def handle(self, record: logging.LogRecord) -> Any:
        """Write the record if it passes; as in Python 3.13, what is thrown into the thread leaves the lock free."""
        if passed := self.filter(record):
            with self.lock or nullcontext():
                self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a log that cannot be written must not stop a server."""
        line = self._line(record)
        before = b"\n" * self._torn[0]
        if self._lost and self._lost_by == record.process:
            records = "1 record was" if self._lost == 1 else f"{self._lost} records were"
            before += self._line(_own_record(logging.WARNING, f"{records} lost here before: {self._lost_why}"))
        elif self._lost:
            # The process that this one was forked from tells of them.
            self._lost = 0
        line = before + line
        written, why = 0, "nobody read the log"
        try:
            written = _write_at_once(self._writer, line)
        except BlockingIOError:
            pass
        except OSError as error:
            why = f"it could not be written ({error.strerror})"
        if written:
            self._torn[0] = written < len(line)
        if written >= len(before):
            self._lost = 0
        if written < len(line):
            self._lost, self._lost_by, self._lost_why = self._lost + 1, record.process, why

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            return _utf8(self._compose(record))
        except Exception as error:  # noqa: BLE001 - arguments that do not fit cost a record, and not the call it is about
            what = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            where = f"{record.filename}, line {record.lineno}"
            message = f"the record {what!r} ({where}) cannot be written: {type(error).__name__}"
            return _utf8(self._compose(_own_record(logging.ERROR, message)))

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
            "message": _bounded(printable(record.getMessage()), _as_json),
        }
        if method := getattr(record, "method", None):
            fields["method"] = printable(method)
        for name, value in getattr(record, "fields", {}).items():
            fields[name] = printable(value) if isinstance(value, str) else value
        if traceback := self._traceback(record):
            fields["traceback"] = _bounded(printable(traceback), _as_json)
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
    """Send the whole process's logging to a file, or to standard error where the path is None.

    The access log, where one is kept, ignores the level.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = LineHandler(2 if path is None else _open(path), as_json=as_json, path=path)
    keep_enabled(handler)
    logging.root.addHandler(handler)
    for name in (None, *_OWN):
        # An app may give the root another level.
        logging.getLogger(name).setLevel(level.upper())
    return handler


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _never_waiting(descriptor: int) -> int:
    """Return another descriptor of a terminal, for which no write waits; any other descriptor is returned as it is.

    It is another one, as others that share the first would not expect it to be non-blocking.
    """
    try:
        if os.isatty(descriptor):
            return os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        logger.debug("the terminal cannot be opened again", exc_info=True)
    return descriptor


def _own_record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(logger.name, level, __file__, 0, message, None, None)


def _timestamp(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


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
    """Write as much as there is room for, without waiting for any; raises OSError where nothing can be written."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.write(descriptor, line)
    try:
        return os.pwritev(descriptor, [line], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE):
            raise
    # A terminal or another device, or an older kernel.
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    written = 0
    while written < len(line) and room.poll(0):
        try:
            written += os.write(descriptor, line[written : written + _PIPE_PAGE])
        except OSError:
            if not written:
                raise
            break
    return written


class RateLimit:
    """Lets one through in a period of seconds. Two threads at the same moment may both pass, which does no harm."""

    def __init__(self, period: float = 60.0) -> None:
        self._period = period
        self._due = 0.0

    def allows(self) -> bool:
        """Whether it is time for another one, which is then counted as made."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._period
        return True
