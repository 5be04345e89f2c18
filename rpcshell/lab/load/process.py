"""A load process: `python -m rpcshell.lab.load.process`. Standard input orders the load, reports go to its output."""

from __future__ import annotations

import gc
import os
import resource
import sys
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.lab.load.generator import Generator
from rpcshell.lab.load.messages import Begin, Ready, Stop, Task, read_order, write
from rpcwire import FrameDecoder, frame

if TYPE_CHECKING:
    from rpcshell.lab.load.messages import Order, Report

_READ: Final = 64 * 1024
_LARGEST: Final = 1 << 31
_SPARE_DESCRIPTORS: Final = 64


class _ShellGone(Exception):
    """The shell has ended, and nobody wants to know what came of the run."""


class _StandardStreams:
    """What the shell says, and what it is told."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._decoder = FrameDecoder(max_frame=_LARGEST)

    def next_order(self) -> Order:
        """Wait for it.

        Raises:
            _ShellGone: There will be none.
        """
        while (body := self._decoder.next_frame()) is None:
            data = os.read(self.descriptor, _READ)
            if not data:
                raise _ShellGone
            self._decoder.feed(data)
        order: Order = read_order(body)
        return order

    def told_to_stop(self) -> bool:
        """Whether that is what there is to read.

        Raises:
            _ShellGone: It has ended.
        """
        return isinstance(self.next_order(), Stop)

    def report(self, report: Report) -> None:
        """Tell the shell something.

        Raises:
            _ShellGone: It does not listen any more.
        """
        data = memoryview(frame(write(report)))
        try:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except BrokenPipeError:
            raise _ShellGone from None


def main() -> None:
    """Do what the shell says, for as long as it is there."""
    # Nothing here makes circles, and to look for some would show in the latencies.
    gc.disable()
    shell = _StandardStreams()
    try:
        task = shell.next_order()
        if not isinstance(task, Task):
            return
        _allow_descriptors(task.connections + _SPARE_DESCRIPTORS)
        generator = Generator(task, shell)
        try:
            generator.connect()
        except ConnectionFailed as error:
            shell.report(Ready(problem=error.reason, hint=error.hint))
            return
        shell.report(Ready())
        if isinstance(shell.next_order(), Begin):
            generator.run()
    except _ShellGone:
        pass
    # Threads that still connect are left where they are.
    os._exit(0)


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


if __name__ == "__main__":
    main()
