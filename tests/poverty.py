"""Processes that may have few processes, threads or descriptors.

As another user they may not read the folders of Python: what is imported late has to be imported before.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import resource
import select
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpcserver.system.process import Exit, Forker
from tests.servers import PATIENCE


def in_a_child(main: Callable[[], object], prepare: Callable[[], object]) -> None:
    """Run it in a process of its own that is prepared for it; what it raises fails the test."""
    reader, writer = os.pipe()

    def limited() -> int:
        try:
            prepare()
            main()
        except BaseException:  # noqa: BLE001 - the test shows it
            os.write(writer, traceback.format_exc().encode())
        return 0

    child = Forker().fork(limited)
    os.close(writer)
    assert select.select([child.fileno()], [], [], PATIENCE)[0]
    if raised := os.read(reader, 60_000).decode():
        pytest.fail(raised)
    assert child.reap() == Exit(0, by_signal=False)
    child.close()
    os.close(reader)


def few_processes(number: int) -> Callable[[], object]:
    """Let this user have so many processes, threads included; others than root have more already."""

    def prepare() -> None:
        if os.geteuid() == 0:
            # Who has no other process.
            user = 100_000 + os.getpid()
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        resource.setrlimit(resource.RLIMIT_NPROC, (number, number))

    return prepare


def few_descriptors(more: int) -> Callable[[], object]:
    """Let this process open so many more files."""

    def prepare() -> None:
        least = os.dup(2)
        os.close(least)
        resource.setrlimit(resource.RLIMIT_NOFILE, (least + more, least + more))

    return prepare


@contextlib.contextmanager
def descriptors_below(limit: int, pid: int = 0) -> Iterator[None]:
    """Let another process, or this one, have descriptors below a number alone, for as long as the block runs."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


class Room:
    """How many children each process may have, shared with all that are forked later; threads do not count."""

    def __init__(self, children: int) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._fork = os.fork
        self.children = children

    @property
    def children(self) -> int:
        return self._memory[0]

    @children.setter
    def children(self, number: int) -> None:
        self._memory[0] = number

    def prepare(self) -> None:
        """Have forks fail in this process and in those forked from it, as where RLIMIT_NPROC allows no more."""
        os.fork = self._limited_fork

    def _limited_fork(self) -> int:
        here = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
        if len(Path(here).read_text().split()) >= self.children:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self._fork()
