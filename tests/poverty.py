"""Processes that may have few processes, threads or descriptors.

As another user they may not read the folders of Python: what is imported late has to be imported before.
"""

from __future__ import annotations

import os
import resource
import select
import traceback
from collections.abc import Callable

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
