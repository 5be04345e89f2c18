"""The arbiter's loop: one epoll with what to call for each descriptor, and deadlines."""

from __future__ import annotations

import logging
import select
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

_LATE: Final = 1.0


class Reactor:
    """Waits for any of many descriptors to become readable, and calls its owner.

    Callbacks must not wait, and must bear being called when there is nothing to read: in one round, a descriptor
    may have been closed and its number given to another.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._first: int | None = None

    def watch(self, descriptor: int, callback: Callable[[], None], *, first: bool = False) -> None:
        """Call back when a descriptor is readable or its other end is closed.

        One descriptor can be called for before the others of a round.
        """
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)
        if first:
            self._first = descriptor

    def watch_for(self, descriptor: int, *, reading: bool, writing: bool) -> None:
        """Choose what a watched descriptor is called back for: being readable, writable, or both."""
        self._epoll.modify(descriptor, (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0))

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, which must still be open; one that is not watched is ignored."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, timeout: float | None) -> None:
        """Wait until something is readable or the timeout is over, in seconds, and call back for all that is."""
        ready = {descriptor for descriptor, _ in self._epoll.poll(timeout)}
        for descriptor in sorted(ready, key=lambda descriptor: descriptor != self._first):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Close the epoll; what it watched stays open."""
        self._epoll.close()


class Part(Protocol):
    """Whoever has something to do at a certain time."""

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""

    def run_due(self, now: float) -> None:
        """Do what is due at that time."""


class Loop:
    """Goes round; `forgive` is told for how many seconds this process could not run, before `parts` are called."""

    def __init__(self, reactor: Reactor, parts: Sequence[Part], forgive: Callable[[float], None]) -> None:
        self._reactor = reactor
        self._parts = parts
        self._forgive = forgive
        self._last = time.monotonic()

    def run_once(self) -> None:
        """Wait for one event or deadline, and see to all that are due."""
        due = min((part.deadline for part in self._parts if part.deadline is not None), default=None)
        before = time.monotonic()
        self._reactor.wait(None if due is None else max(0.0, due - before))
        now = time.monotonic()
        stopped = _lapse(self._last, before)
        if due is not None:
            stopped += _lapse(max(due, before), now)
        if stopped:
            logger.info("this process could not run for %.1f s; the workers are not blamed for it", stopped)
            self._forgive(stopped)
        self._last = now
        for part in self._parts:
            part.run_due(now)


def _lapse(due: float, now: float) -> float:
    late = now - due
    return late if late > _LATE else 0.0
