"""One epoll and what to call for each descriptor in it."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Poller:
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

        Args:
            descriptor: what to watch.
            callback: what to call.
            first: whether it is called before the others of a round; one descriptor can be.
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
        """Wait until something is readable or the time is over, and call back for all that is.

        Args:
            timeout: seconds, or None for as long as it takes.
        """
        ready = {descriptor for descriptor, _ in self._epoll.poll(timeout)}
        for descriptor in sorted(ready, key=lambda descriptor: descriptor != self._first):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Close the epoll; what it watched stays open."""
        self._epoll.close()
