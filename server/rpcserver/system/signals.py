"""Signals as a queue: a handler does nothing, the signal's number waits in a pipe until the main loop reads it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType


class SignalQueue:
    """Catches signals for a loop that waits on descriptors: signal.set_wakeup_fd."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor that is readable while a signal waits."""
        return self._reader

    def catch(self, numbers: Iterable[signal.Signals]) -> None:
        """Catch these signals from now on."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, ignore)

    def receive(self) -> list[signal.Signals]:
        """Take the signals that have come, in their order."""
        with contextlib.suppress(BlockingIOError):
            return [signal.Signals(number) for number in os.read(self._reader, 4096)]
        return []

    def close(self) -> None:
        """Close the queue, in a forked child for instance, where signals would else come to the parent's queue."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; unlike SIG_IGN, this is not passed on to programs that are started."""
