"""A load process, from both sides: `python -m rpcshell.lab.load.process`, and how the shell starts, hears and ends it.

Orders come on its standard input, reports go to its standard output.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from rpcshell.client.errors import ConnectionFailed, ShellError
from rpcshell.client.exit_status import how_it_ended, last_line
from rpcshell.client.target import FleetTarget, Target
from rpcshell.lab.load.generator import Generator
from rpcshell.lab.load.messages import LARGEST, Begin, Ready, ShellGone, ShellStreams, Task, Tick, read_report, write
from rpcwire import FrameDecoder, frame

if TYPE_CHECKING:
    from rpcshell.lab.load.client_generator import ClientGenerator
    from rpcshell.lab.load.messages import Order, Report

_START_TIMEOUT: Final = 30.0
_END_TIMEOUT: Final = 1.0
_READ: Final = 256 * 1024
_SPARE_DESCRIPTORS: Final = 64


def usable_cores() -> int:
    """How many load processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _LoadProcess:
    """A load process, and what it says."""

    def __init__(self, task: Task) -> None:
        # What it complains of must not be drawn over the prompt.
        self._complaints = _temporary_file()
        # A session of its own: Ctrl-C is for the shell, which asks for what there is by then.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rpcshell.lab.load.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._complaints.close()
            raise ShellError(f"a load process cannot be started: {error.strerror}") from error
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both streams are pipes")
        self._input = self._process.stdin
        self._output = self._process.stdout
        self._decoder = FrameDecoder(max_frame=LARGEST)
        self.tell(task)

    def fileno(self) -> int:
        """Readable when there is a report, or the process has ended."""
        return self._output.fileno()

    def tell(self, order: Order) -> None:
        """Say something; one that has ended does not hear it."""
        data = memoryview(frame(write(order)))
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[self._input.write(data) or 0 :]

    def reports(self) -> list[Report]:
        """What it says, now that there is something; raises `ShellError` where it has ended."""
        data = os.read(self._output.fileno(), _READ)
        if not data:
            raise ShellError(f"a load process {self._how_it_ended()}, so this run says nothing")
        self._decoder.feed(data)
        found: list[Report] = []
        while (body := self._decoder.next_frame()) is not None:
            found.append(read_report(body))
        return found

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        if status < 0:
            return how_it_ended(status)
        last = last_line(self._complaints)
        return f"{how_it_ended(status)}{': ' if last else ''}{last}"

    def end(self) -> None:
        """Give it a second to end by itself, then kill it."""
        self._input.close()
        self._output.close()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._complaints.close()


def _temporary_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:
        # Without a place for it nothing is known of what it complains of.
        return Path(os.devnull).open("r+b")


class LoadProcesses:
    """All load processes of a run, one for each task; a context manager that ends them."""

    def __init__(self, tasks: list[Task]) -> None:
        self.all: list[_LoadProcess] = []
        self._tasks = tasks
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        try:
            for task in self._tasks:
                process = _LoadProcess(task)
                self.all.append(process)
                self._selector.register(process, selectors.EVENT_READ)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all:
            process.end()
        self._selector.close()

    def connect(self, target: Target) -> None:
        """Wait until each has its connections to the target.

        Raises:
            ConnectionFailed: One cannot have them.
            ShellError: One has ended, or is not ready in time.
        """
        waiting = set(self.all)
        deadline = time.monotonic() + _START_TIMEOUT
        while waiting:
            if time.monotonic() >= deadline:
                raise ShellError(f"the load processes were not ready within {_START_TIMEOUT:g} s")
            for process, report in self.wait(deadline - time.monotonic()):
                if isinstance(report, Ready) and report.problem is not None:
                    raise ConnectionFailed(target, report.problem, hint=report.hint)
                waiting.discard(process)

    def tell(self, order: Order) -> None:
        """Say something to all."""
        for process in self.all:
            process.tell(order)

    def wait(self, seconds: float) -> list[tuple[_LoadProcess, Report]]:
        """Wait for reports, so long at most, and return those there are.

        Raises:
            ShellError: A process has ended before its last report.
        """
        found: list[tuple[_LoadProcess, Report]] = []
        for key, _ in self._selector.select(max(0.0, seconds)):
            process = key.fileobj
            if isinstance(process, _LoadProcess):
                reports = process.reports()
                found += [(process, report) for report in reports]
                if any(isinstance(report, Tick) and report.last for report in reports):
                    self._selector.unregister(process)
        return found


def main() -> None:
    """Do what the shell says, for as long as it is there."""
    # Nothing here makes circles, and to look for some would show in the latencies.
    gc.disable()
    shell = ShellStreams()
    try:
        task = shell.next_order()
        if not isinstance(task, Task):
            return
        _allow_descriptors(task.connections + _SPARE_DESCRIPTORS)
        generator = _generator(task, shell)
        try:
            generator.connect()
        except ConnectionFailed as error:
            shell.report(Ready(problem=error.reason, hint=error.hint))
            return
        shell.report(Ready())
        if isinstance(shell.next_order(), Begin):
            generator.run()
    except ShellGone:
        pass
    # Threads that still connect are left where they are.
    os._exit(0)


def _generator(task: Task, shell: ShellStreams) -> Generator | ClientGenerator:
    target = task.destination
    if not (target.dialect or isinstance(target, FleetTarget)):
        return Generator(task, shell)
    from rpcshell.lab.load.client_generator import ClientGenerator

    return ClientGenerator(task, shell)


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


if __name__ == "__main__":
    main()
