"""Processes end with the one that made them, also where they were stopped before they could do anything for that."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from rpcserver.system import process
from rpcserver.system.lifeline import open_lifeline
from rpcserver.system.process import Forker
from tests.servers import PATIENCE, all_gone, watched


@contextlib.contextmanager
def parent(main: Callable[[int], None]) -> Iterator[tuple[process.ChildProcess, int]]:
    """Run something in a process that then waits for a signal; what it says is read, and a pid."""
    reader, writer = os.pipe()

    def live() -> int:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        main(writer)
        signal.pause()
        return 0

    made = Forker().fork(live)
    os.close(writer)
    try:
        with os.fdopen(reader) as said:
            yield made, int(said.readline())
    finally:
        made.send_signal(signal.SIGKILL)
        os.waitid(os.P_PIDFD, made.fileno(), os.WEXITED)
        made.close()


def sleeping() -> int:
    signal.pause()
    return 0


def stop_at_once() -> None:
    """Have every child that is forked from now on stopped before its first step."""
    os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGSTOP))


def say_stopped(writer: int, pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    os.write(writer, b"%d\n" % pid)


def ends_with(made: process.ChildProcess, pid: int) -> bool:
    """Whether a process ends when the one that made it is killed."""
    with watched([pid]) as descriptors:
        made.send_signal(signal.SIGKILL)
        try:
            return all_gone(descriptors, PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(next(iter(descriptors)), signal.SIGKILL)


def test_a_child_that_was_stopped_at_once_dies_with_its_parent() -> None:
    def main(writer: int) -> None:
        forker = Forker()
        siblings = [forker.fork(sleeping)]
        stop_at_once()
        child = forker.fork(lambda: 0)
        say_stopped(writer, child.pid)
        siblings.append(child)
        signal.pause()

    with parent(main) as (made, pid):
        assert ends_with(made, pid)


def test_the_process_between_a_stem_and_its_worker_dies_with_the_stem(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(writer: int) -> None:
        def say_that_it_waits(pid: int) -> int:
            say_stopped(writer, pid)
            return sleeping()

        stop_at_once()
        monkeypatch.setattr(process, "await_child", say_that_it_waits)
        Forker().fork_for(os.getppid(), open_lifeline()[0], lambda: 0, contextlib.nullcontext)

    with parent(main) as (made, pid):
        assert ends_with(made, pid)
