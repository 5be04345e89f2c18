"""Connections after their last word: read for a while, so that what a client still sends does not reset them.

Closing over unread data resets a connection, and a reset may destroy replies that the client has not read yet
(RFC 1122, 4.2.2.13). For models whose thread has something better to do than to wait for the client's end.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import Final, Protocol

from rpcserver.workers.refusals import LINGER_BYTES, LINGER_SECONDS, READ_SIZE

_MOST: Final = 256


class Readable(Protocol):
    """What of a socket is used here."""

    def fileno(self) -> int:
        """Return its descriptor."""

    def setblocking(self, blocking: bool, /) -> None:
        """Have the kernel wait, or not."""

    def recv(self, size: int, /) -> bytes:
        """Read from it."""

    def close(self) -> None:
        """Close it."""


@dataclass(slots=True)
class _Rest:
    """A connection that lingers, until when, and how much it may still send."""

    connection: Readable
    deadline: float
    left: int = LINGER_BYTES


class Lingering:
    """Connections on which nothing more is sent; the oldest are closed early when there are too many."""

    def __init__(self) -> None:
        self._rests: list[_Rest] = []

    def __len__(self) -> int:
        return len(self._rests)

    def add(self, connection: Readable) -> None:
        """Take over a connection whose sending side was shut down."""
        connection.setblocking(False)
        self._rests.append(_Rest(connection, time.monotonic() + LINGER_SECONDS))
        self.sweep()

    def sweep(self) -> None:
        """Throw away what has come, and close the connections whose client has ended them or whose time is over."""
        now = time.monotonic()
        spare = len(self._rests) - _MOST
        going_on: list[_Rest] = []
        for index, rest in enumerate(self._rests):
            if index < spare or now >= rest.deadline or _has_ended(rest):
                rest.connection.close()
            else:
                going_on.append(rest)
        self._rests = going_on

    def wait(self) -> None:
        """Sweep until none is left; that takes no longer than the youngest's time."""
        while self._rests:
            left = max(rest.deadline for rest in self._rests) - time.monotonic()
            poll = select.poll()
            for rest in self._rests:
                poll.register(rest.connection, select.POLLIN)
            poll.poll(max(0.0, left) * 1000)
            self.sweep()

    def release(self) -> None:
        """Close this process's descriptors, in a forked child."""
        for rest in self._rests:
            rest.connection.close()
        self._rests = []


def _has_ended(rest: _Rest) -> bool:
    try:
        data = rest.connection.recv(READ_SIZE)
    except BlockingIOError:
        return False
    except OSError:
        return True
    rest.left -= len(data)
    return not data or rest.left <= 0
