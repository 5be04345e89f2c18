"""The one way in which every worker model accepts connections, so that workers take fair turns.

Plain epoll wakes the same worker for connection after connection, because it puts waiters in front of the queue.
With EPOLLEXCLUSIVE (epoll_ctl(2)) one waiter is woken per connection, and since a listener is added again before
each wait, whoever has just accepted stands at the end of the queue. So workers take turns as they do in a
blocking accept(2), yet can wait for a signal as well.

An exclusive wake-up is lost with the worker that got it, if that is killed before it accepts, and the connection
would wait for the next one to arrive; so every wait ends after a second with an attempt to accept.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from ..sockets import Listener

logger = logging.getLogger(__name__)

TICK: Final = 1.0
"""The longest wait in seconds."""

_SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Waits for connections on several listeners, in one worker.

    Args:
        listeners: non-blocking listening sockets, shared with other processes.
        wakeup: a descriptor that ends a wait when it becomes readable; it is emptied then.
    """

    def __init__(self, listeners: Sequence[Listener], wakeup: int) -> None:
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._wakeup = wakeup
        self._epoll = select.epoll()
        self._epoll.register(wakeup, select.EPOLLIN)
        self._short_until = 0.0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._listeners

    def accept(self, timeout: float = TICK) -> socket.socket | None:
        """Wait for one connection and accept it; listeners are watched only during this call.

        Args:
            timeout: the longest wait in seconds.

        Returns:
            A blocking socket, or None after the wakeup descriptor's call, another worker's luck or the timeout.
        """
        shortage = self._short_until - time.monotonic()
        watched = shortage <= 0
        if not watched:
            timeout = min(timeout, shortage)
        else:
            for descriptor in self._listeners:
                self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        try:
            ready = {descriptor for descriptor, _ in self._epoll.poll(timeout)}
        finally:
            if watched:
                for descriptor in self._listeners:
                    self._epoll.unregister(descriptor)
        if self._wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 512)
            ready.discard(self._wakeup)
        elif not ready:
            ready = set(self._listeners)
        # A wake-up for a connection was given to this worker alone: it accepts, even if it shall leave.
        for descriptor in ready:
            connection = self._accept_from(descriptor)
            if connection is not None:
                return connection
        return None

    def close(self) -> None:
        """Stop listening in this process; safe in a signal handler while no `accept` runs."""
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.close()

    def _accept_from(self, descriptor: int) -> socket.socket | None:
        listener = self._listeners[descriptor]
        try:
            connection, _ = listener.socket.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _SHORTAGE:
                # The connection stays in the queue for a worker that can take it, and epoll would report it
                # to this one without end.
                self._short_until = time.monotonic() + TICK
                logger.warning("no connection can be accepted for a second: %s", error.strerror)
            else:
                logger.debug("a connection was lost before it was accepted: %s", error.strerror)
            return None
        return connection
