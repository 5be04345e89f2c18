"""The last lines of a log file, read back without holding more than a part of it."""

from __future__ import annotations

import os
import re
import stat
from typing import Final

_PART: Final = 1024 * 1024
# How `rpcserver.log` begins records: as text with the time, as JSON with a brace; the rest continues one.
_RECORD: Final = re.compile(rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T|\{)")


class NotAFile(Exception):
    """What the log is written to cannot be read back: a terminal, a pipe or a journal."""


def last_lines(descriptor: int, count: int, worker: int | None = None) -> list[str]:
    """Read the last lines of a log.

    Args:
        descriptor: what the log is written to; the file behind it is opened anew for reading.
        count: how many lines, at most; no more than the file's last MiB is looked at.
        worker: only records of the worker with this number; None for all.

    Raises:
        NotAFile: it is no regular file.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotAFile
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 - no path of the file's own
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _PART))
        lines = file.read(_PART).split(b"\n")
    if size > _PART:
        # The first one may have lost its beginning.
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    if worker is not None:
        lines = _of_worker(lines, worker)
    return [line.decode("utf-8", "backslashreplace") for line in lines[-count:]]


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
