"""A load process's standard streams: what the shell tells it, and what it tells the shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.messages import Stop, read_order, write
from rpcwire import FrameDecoder, frame

if TYPE_CHECKING:
    from rpcshell.lab.bench.messages import Order, Ready, Tick

__all__ = ["Orders", "ShellGone", "say"]

_READ: Final = 64 * 1024
_LARGEST: Final = 1 << 31


class ShellGone(Exception):
    """The shell has ended, and nobody wants to know what came of the run."""


class Orders:
    """What the shell says, on standard input."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._decoder = FrameDecoder(max_frame=_LARGEST)

    def next(self) -> Order:
        """Wait for an order.

        Raises:
            ShellGone: There will be none.
        """
        while (body := self._decoder.next_frame()) is None:
            data = os.read(self.descriptor, _READ)
            if not data:
                raise ShellGone
            self._decoder.feed(data)
        order: Order = read_order(body)
        return order

    def say_stop(self) -> bool:
        """Whether it is time to stop, now that there is something to read.

        Raises:
            ShellGone: It has ended.
        """
        return isinstance(self.next(), Stop)


def say(report: Ready | Tick) -> None:
    """Tell the shell something.

    Raises:
        ShellGone: It does not listen any more.
    """
    data = memoryview(frame(write(report)))
    try:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    except BrokenPipeError:
        raise ShellGone from None
