"""Reading what users name: a file, or a pipe, as a shell's `<(command)` is one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_PIECE: Final = 1 << 16


def read_contents(path: Path) -> bytes:
    """Return what is in a file, or comes out of a pipe; one that nobody writes to would be waited for without end.

    Raises:
        OSError: it cannot be read, or is such a pipe.
    """
    if not path.is_fifo():
        return path.read_bytes()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        begin = pipe.read(_PIECE)
        if begin == b"":
            raise OSError(errno.ENXIO, "nobody writes to this pipe", str(path))
        os.set_blocking(pipe.fileno(), True)
        return (begin or b"") + pipe.readall()
