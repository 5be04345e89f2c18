"""Processes beside the workers that do for the arbiter what would make it wait, or need threads.

A companion is a child of the arbiter that dies with it, is started again when it dies first, and talks to it over a
socket pair. What companions do is in `metrics`, `watch` and `registrar`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.slots import backoff
from rpcserver.system.process import ChildProcess, Forker
from rpcserver.system.signals import ignore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcserver.system.log import LineHandler
    from rpcserver.system.loop import Reactor
    from rpcserver.system.process import Closeable

logger = logging.getLogger(__name__)

Tell = Callable[[str, bytes], None]
"""Sends the companion of a name a message, if it runs."""

LONGEST_ANSWER: Final = 1 << 20
"""Bytes that the arbiter can tell a companion at once, where the kernel allows for so much (socket(7), wmem_max)."""

_MAX_MESSAGE: Final = 64 * 1024
_AFTER_WORKERS: Final = 0.2
_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 60.0
_LIVED: Final = 10.0
_IGNORED: Final = (signal.SIGHUP, signal.SIGUSR2)


class Duty(msgspec.Struct, frozen=True):
    """What a companion is for."""

    name: str
    main: Callable[[socket.socket], int]
    on_message: Callable[[bytes], bytes | None]
    """Called in the arbiter with what the companion sends; what it returns, if anything, is sent back. It must not
    wait."""
    keeps: Sequence[Closeable] = ()
    """What the arbiter and the companion hold and workers must not."""


class Companions:
    """The companions of one arbiter.

    `private` yields what they must not hold of the arbiter's, the workers' listeners too, for a listener lives as long
    as any process holds it.
    """

    def __init__(self, reactor: Reactor, logs: LineHandler, private: Callable[[], Iterable[Closeable]]) -> None:
        self._reactor = reactor
        self._logs = logs
        self._private = private
        self._forker = Forker()
        self._all: list[_Companion] = []
        self._this: _Companion | None = None

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        return min((found.due for found in self._all if found.due is not None), default=None)

    @property
    def pids(self) -> set[int]:
        """The companions' processes."""
        return {found.process.pid for found in self._all if found.process is not None}

    def add(self, duty: Duty) -> None:
        """Have a companion started soon, and kept running until `stop`; the first workers take precedence.

        Add it before the first fork, so that no worker holds what it keeps.
        """
        self._all.append(_Companion(duty, due=time.monotonic() + _AFTER_WORKERS))

    def run_due(self, now: float) -> None:
        """Start those again that are due at that time, in monotonic seconds."""
        for companion in self._all:
            if companion.due is not None and now >= companion.due:
                self._start(companion)

    def tell(self, name: str, message: bytes) -> None:
        """Send a message to the companion of that name, if it runs."""
        for companion in self._all:
            if companion.duty.name == name:
                self._send(companion, message)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each; SIGUSR1 makes them open the log again."""
        for companion in self._all:
            if companion.process is not None:
                companion.process.send_signal(number)

    def stop(self) -> None:
        """End all of them, which have nothing to lose, and let go of what they kept."""
        for companion in self._all:
            if companion.process is not None:
                companion.process.send_signal(signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitid(os.P_PIDFD, companion.process.fileno(), os.WEXITED)
                self._let_go(companion)
            for kept in companion.duty.keeps:
                kept.close()
        self._all.clear()

    def close(self) -> None:
        """Close their descriptors in a forked child; the companions go on."""
        for companion in self._all:
            companion.close()
            if companion is not self._this:
                for kept in companion.duty.keeps:
                    kept.close()

    def _start(self, companion: _Companion) -> None:
        companion.due = None
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            self._try_again(companion, error)
            return
        ours.setblocking(False)
        # The kernel's default has no room for what is to be told of a thousand methods.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_ANSWER)

        def be_companion() -> int:
            ours.close()
            self._this = companion
            for own in (self, *self._private()):
                own.close()
            return _live(companion.duty, theirs, self._logs)

        try:
            companion.process = self._forker.fork(be_companion)
        except OSError as error:
            ours.close()
            self._try_again(companion, error)
            return
        finally:
            theirs.close()
        companion.end = ours
        companion.started = time.monotonic()
        self._reactor.watch(companion.process.fileno(), lambda: self._on_exit(companion))
        self._reactor.watch(ours.fileno(), lambda: self._on_message(companion))

    def _try_again(self, companion: _Companion, error: OSError) -> None:
        delay = companion.died(time.monotonic())
        name = companion.duty.name
        logger.error("the %s companion cannot be started: %s; the next try is in %g s", name, error.strerror, delay)

    def _on_message(self, companion: _Companion) -> None:
        end = companion.end
        if end is None:
            return
        try:
            message = end.recv(_MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._reactor.unwatch(end.fileno())
            return
        answer = companion.duty.on_message(message)
        if answer is not None:
            self._send(companion, answer)

    def _send(self, companion: _Companion, message: bytes) -> None:
        if companion.end is None:
            return
        try:
            companion.end.send(message)
        except OSError as error:
            logger.warning("the %s companion cannot be told: %s", companion.duty.name, error.strerror)

    def _on_exit(self, companion: _Companion) -> None:
        process = companion.process
        if process is None or (end := process.reap()) is None:
            return
        pid = process.pid
        self._let_go(companion)
        delay = companion.died(time.monotonic())
        logger.error("the %s companion (pid %d) %s; a new one starts in %g s", companion.duty.name, pid, end, delay)

    def _let_go(self, companion: _Companion) -> None:
        for held in (companion.process, companion.end):
            if held is not None:
                self._reactor.unwatch(held.fileno())
        companion.close()


class _Companion(msgspec.Struct):
    """A companion as the arbiter knows it; `due` is when it is to be started again."""

    duty: Duty
    process: ChildProcess | None = None
    end: socket.socket | None = None
    started: float = 0.0
    due: float | None = None
    early_deaths: int = 0

    def died(self, now: float) -> float:
        """Note its end, and return the seconds until it is started again."""
        self.early_deaths = 1 if now - self.started >= _LIVED else self.early_deaths + 1
        delay = backoff(self.early_deaths, _FIRST_DELAY, _LONGEST_DELAY)
        self.due = now + delay
        return delay

    def close(self) -> None:
        """Close its descriptors."""
        for held in (self.process, self.end):
            if held is not None:
                held.close()
        self.process = self.end = None


def _live(duty: Duty, end: socket.socket, logs: LineHandler) -> int:
    """Be a companion, from the fork to the exit code."""
    logs.role = duty.name
    for number in _IGNORED:
        signal.signal(number, ignore)
    # A terminal, or a service manager that stops a group, sends these to every process; the arbiter ends its companions
    # itself, last of all.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: logs.reopen())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return duty.main(end)
