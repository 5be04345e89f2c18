"""Signals: as descriptors for a loop, told by who has sent them, and kept although an app may take them."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import struct
from typing import TYPE_CHECKING, Any, Final

from rpcserver.system.errors import QuickStop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
    """What is done at a signal."""

logger = logging.getLogger(__name__)

# signalfd(2): ssi_signo and ssi_code, in 128 bytes.
_SIGNALFD_INFO: Final = struct.Struct("=I4xi116x")
_SIGSET_SIZE: Final = 128
_VALID: Final = frozenset(signal.valid_signals())

# It returns whether the signal was registered.
_unregister: Final[Callable[[int], bool]] = faulthandler.unregister  # type: ignore[assignment]  # None for typeshed


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
    or writes to it after `stty tostop`. Whoever blocks them may write. They stay blocked in the calling thread, and in
    its children until these unblock them.

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


class OwnSignals:
    """What a process does at signals, put back where the code of an app has changed it."""

    def __init__(self) -> None:
        self._wakeup = -1
        self._handlers: dict[signal.Signals, Handler] = {}

    def wake(self, descriptor: int) -> None:
        """Write to this descriptor at every signal: signal.set_wakeup_fd."""
        self._wakeup = descriptor
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)

    @property
    def handled(self) -> Set[signal.Signals]:
        """The signals that are this process's own."""
        return self._handlers.keys()

    def handle(self, number: signal.Signals, handler: Handler) -> None:
        """Do this at a signal from now on; it also counts as handled where that is to ignore it."""
        self._handlers[number] = handler
        signal.signal(number, handler)

    def put_back(self, *, in_loop: bool = False) -> set[signal.Signals]:
        """Handle again what the app has taken, and return that; for the main thread.

        An event loop that runs in this thread has the wakeup descriptor: `in_loop`.
        """
        handlers = self._handlers
        taken = {number for number, handler in handlers.items() if signal.getsignal(number) != handler}
        # Libraries in C may have taken signals without Python knowing.
        taken |= {number for number in handlers if number is not signal.SIGABRT and _unregister(number)}
        for number in taken:
            signal.signal(number, handlers[number])
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)
        taken |= {number for number in handlers if number in blocked}
        if not in_loop:
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        return taken

    def contain(self, in_call: Callable[[], bool]) -> None:
        """Have what an app's handlers of other signals raise logged, unless it interrupts a call, as a timeout may."""
        for number in _VALID - self._handlers.keys():
            handler = signal.getsignal(number)
            if isinstance(handler, _Contained):
                # A stem may have seen to it, for which no call runs.
                handler.in_call = in_call
            elif callable(handler) and handler is not ignore:
                signal.signal(number, _Contained(handler, in_call))

    def become_child(self) -> None:
        """Go on in a forked child of the server's own, which has no children and no wakeup descriptor."""
        self._wakeup = -1
        signal.set_wakeup_fd(-1)
        self._handlers.pop(signal.SIGCHLD, None)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def forget(self) -> None:
        """Leave all signals to the app, in a forked child that is its own. What is ignored stays so."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            if callable(handler) and signal.getsignal(number) == handler:
                default = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
                signal.signal(number, default)
        self._handlers.clear()
        for number in _VALID:
            if isinstance(contained := signal.getsignal(number), _Contained):
                signal.signal(number, contained.apps_own)


class _Contained:
    """A handler whose exceptions are logged, as they would else come up in whatever the server does at the moment."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any], in_call: Callable[[], bool]) -> None:
        self.apps_own = handler
        self.in_call = in_call

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.apps_own(number, frame)
        except QuickStop:
            raise
        except BaseException:
            if self.in_call():
                raise
            logger.exception("the app's handler of %s failed", signal_text(number))


def signal_text(number: int) -> str:
    """Name a signal, or give its number: most real-time ones have no name."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; unlike SIG_IGN, this is not passed on to programs that are started."""
