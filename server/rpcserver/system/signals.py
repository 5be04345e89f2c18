"""Signals: as descriptors for a loop, told by who has sent them, and kept although an app may take them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

# signalfd(2): ssi_signo and ssi_code, in 128 bytes.
_SIGNALFD_INFO: Final = struct.Struct("=I4xi116x")
_SIGSET_SIZE: Final = 128


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


class SentSignals:
    """Blocks signals, and tells of those that a process has sent, not of the kernel's own: signalfd(2).

    The kernel sends SIGTTIN and SIGTTOU to every process of a group in the background of which one reads its terminal,
    or writes to it after `stty tostop`. Whoever blocks them may write.

    Args:
        numbers: of the signals. They stay blocked in the calling thread, and in its children until these unblock them.

    Raises:
        OSError: there is no descriptor left.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        numbers = tuple(numbers)
        libc = ctypes.CDLL(None, use_errno=True)
        wanted = ctypes.create_string_buffer(_SIGSET_SIZE)
        libc.sigemptyset(wanted)
        for number in numbers:
            libc.sigaddset(wanted, number)
        # SFD_NONBLOCK and SFD_CLOEXEC have the values of open(2)'s flags.
        self._descriptor: int = libc.signalfd(-1, wanted, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def fileno(self) -> int:
        """Return the descriptor that is readable while a signal waits."""
        return self._descriptor

    def receive(self) -> list[signal.Signals]:
        """Take the signals that processes have sent."""
        try:
            data = os.read(self._descriptor, 64 * _SIGNALFD_INFO.size)
        except BlockingIOError:
            return []
        # sigaction(2): the kernel's own codes are positive.
        return [signal.Signals(number) for number, code in _SIGNALFD_INFO.iter_unpack(data) if code <= 0]

    def close(self) -> None:
        """Close the descriptor; the signals stay blocked."""
        os.close(self._descriptor)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; unlike SIG_IGN, this is not passed on to programs that are started."""
