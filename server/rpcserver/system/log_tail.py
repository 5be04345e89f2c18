"""The log read back, as far as it is a file; how it is written is the business of `log`."""

from __future__ import annotations

import os
import re
import stat
from typing import IO, Final

from rpcwire.control import LogPart, LogPosition

_PART: Final = 1024 * 1024
_STEP: Final = 256 * 1024
_FARTHEST: Final = 16 * 1024 * 1024
# How records begin: as text with the time, as JSON with a brace; the rest continues one.
_RECORD: Final = re.compile(rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T|\{)")


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
    """Read what was written to a log after a place in it; raises what `last_lines` does.

    The place None stands for the last lines, as `last_lines` has them, without one that is not finished.
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
        # The first line may lack its beginning.
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
