"""Processes that an app's code forks out of a worker: none of the worker's connections is theirs, and signals end them.

Programs that are started hold no connections either, since no descriptor of the server's survives execve(2).
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcserver.system.sockets import looked_at

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Handle
    from collections.abc import Iterator, Sequence

    from rpcserver.system.signals import OwnSignals
    from rpcserver.system.sockets import Listener
    from rpcserver.system.strays import StrayGuard

_MOST: Final = 65536  # how many descriptors are looked at where nobody tells which there are


class Offspring:
    """Sees to every process that this one forks from now on, in whatever thread: os.register_at_fork.

    A child gets neither the listeners nor connections accepted from them. It keeps the numbers of these descriptors,
    which lead nowhere then: what closes them in it shall close nothing else. Signals wait until the child has let go of
    the worker's handlers. The guard keeps it from going on as this process does.
    """

    def __init__(self, signals: OwnSignals, listeners: Sequence[Listener], guard: StrayGuard) -> None:
        self.guard = guard
        self._signals = signals
        self._names = frozenset(_local_name(listener.socket) for listener in listeners)
        self._of_thread = threading.local()
        self._own: int | None = None
        os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._in_child)

    @contextlib.contextmanager
    def server_forks(self) -> Iterator[None]:
        """What this thread forks meanwhile is the server's own, and gets everything."""
        self._own = threading.get_ident()
        try:
            yield
        finally:
            self._own = None

    def _before(self) -> None:
        # In the child, a loop that runs is not known to run any more.
        self._of_thread.loop = _running_loop()
        self._of_thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals.handled)

    def _after(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._of_thread.mask)

    def _in_child(self) -> None:
        own = self._own == threading.get_ident()
        self._own = None
        try:
            if not own:
                self._stray()
                self._signals.forget()
                self._let_go()
        finally:
            self._after()

    def _stray(self) -> None:
        self.guard.strayed = True
        if (loop := self._of_thread.loop) is not None:
            # What is ready in this round of the loop is run in the parent: nothing is to be done twice.
            for handle in _ready_in(loop):
                handle.cancel()
            # What has forked may be no call, and wait for something before it comes back.
            loop.call_soon(self.guard.end)

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in _open_descriptors():
            if _name_of(descriptor) in self._names:
                os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)


def _running_loop() -> AbstractEventLoop | None:
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def _ready_in(loop: AbstractEventLoop) -> Iterator[Handle]:
    """The callbacks that a loop is about to run. It keeps them in a deque, which uvloop does not tell by name."""
    own = getattr(loop, "_ready", None)
    for found in gc.get_referents(loop) if own is None else (own,):
        if isinstance(found, deque):
            yield from found


def _open_descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - numbers
    except OSError:
        return list(range(min(os.sysconf("SC_OPEN_MAX"), _MOST)))


def _name_of(descriptor: int) -> object:
    """What a stream socket is called on this side; None for anything else."""
    try:
        with looked_at(descriptor) as found:
            return _local_name(found) if found.type == socket.SOCK_STREAM else None
    except OSError:
        return None


def _local_name(found: socket.socket) -> object:
    """A path, or a port: connections to a listener at any address have one of their own, and the listener's port."""
    name = found.getsockname()
    return name[1] if found.family in (socket.AF_INET, socket.AF_INET6) else name or None
