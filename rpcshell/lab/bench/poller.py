"""Waiting for many descriptors, with a time that may be shorter than a millisecond."""

from __future__ import annotations

import contextlib
import select
import sys
from pathlib import Path
from typing import Final

__all__ = ["WRITABLE", "Poller"]

_READABLE: Final = select.POLLIN
WRITABLE: Final = select.POLLOUT
"""Of an event: the descriptor takes data again."""

_FINE: Final = 0.002
"""Seconds below which poll(2) and epoll_wait(2), which know no less than a millisecond, would be too late."""


class Poller:
    """A set of descriptors to wait for; on Linux by epoll(7), elsewhere by poll(2).

    Args:
        exact: Whether times under a millisecond matter. Only Linux can do better than 1 ms, at the cost of a second
            system call for each wait.
    """

    def __init__(self, *, exact: bool) -> None:
        if sys.platform == "linux":
            self._epoll: select.epoll | None = select.epoll() if exact else None
            self._poll: select.epoll | select.poll = self._epoll or select.epoll()
        else:
            self._epoll = None
            self._poll = select.poll()
        self._unit = 1.0 if sys.platform == "linux" else 1000.0
        if exact:
            _wake_in_time()

    def register(self, descriptor: int) -> None:
        """Wait for a descriptor to become readable."""
        self._poll.register(descriptor, _READABLE)

    def modify(self, descriptor: int, *, writing: bool) -> None:
        """Wait for a descriptor to become writable too, or no longer."""
        self._poll.modify(descriptor, _READABLE | WRITABLE if writing else _READABLE)

    def unregister(self, descriptor: int) -> None:
        """Wait for a descriptor no longer."""
        self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Wait for an event, and return all there are.

        Args:
            seconds: How long, at most.
        """
        if seconds <= 0.0:
            return self._poll.poll(0)
        if self._epoll is not None:
            if seconds < _FINE:
                # An epoll descriptor is readable itself, and select(2) waits for microseconds.
                if not select.select([self._epoll], (), (), seconds)[0]:
                    return []
                seconds = 0.0
            else:
                # Too early is mended by another wait.
                seconds -= 0.001
        return self._poll.poll(seconds * self._unit)


def _wake_in_time() -> None:
    """Have the system end waits when they are over, and not up to 50 us later (PR_SET_TIMERSLACK in prctl(2))."""
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1")
