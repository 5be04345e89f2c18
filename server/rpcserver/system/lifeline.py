"""Pipes that kill a process when the one that holds them ends, whatever either of them does or has become by then.

The kernel signals a pipe's owner when the other end has been closed everywhere: F_SETOWN and F_SETSIG in fcntl(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_lifeline() -> tuple[int, int]:
    """Make the pipe that a process lives and dies with, which is not forked yet: its end, and that of its parent."""
    return os.pipe2(os.O_CLOEXEC)


def tie(descriptor: int, pid: int) -> None:
    """Have a process killed when the other end of this pipe is closed.

    Raises:
        OSError: there is no such process.
    """
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, pid)
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_ASYNC)


def is_parted(end: int) -> bool:
    """Whether the other end is closed."""
    poll = select.poll()
    poll.register(end, select.POLLIN)
    return bool(poll.poll(0))


def hold(pid: int) -> tuple[int, int]:
    """Have a process killed when this one ends, or when these two descriptors, or copies of them, are closed.

    Both ends stay here, and whichever the kernel closes first tells of the other. So nothing depends on what the
    process itself does, which may be stopped as soon as it is forked, with copies of all that its parent held by then.

    Raises:
        OSError: there is no descriptor left, or no such process.
    """
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        for end in ends:
            tie(end, pid)
    except OSError:
        for end in ends:
            os.close(end)
        raise
    return ends


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """Have a process killed that has not ended when this is left, or when this process ends.

    Where the system has no descriptor left, nothing is done.
    """
    ends: tuple[int, ...] = ()
    with contextlib.suppress(OSError):
        ends = hold(pid)
    try:
        yield
    finally:
        for end in ends:
            os.close(end)
