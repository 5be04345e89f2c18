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
import resource
import select
import time
from typing import TYPE_CHECKING, Final

from rpcserver.system.listen_queue import clients_waiting, time_queued
from rpcserver.system.log import RateLimit
from rpcserver.system.scoreboard import CONNECTIONS, SlotBoard
from rpcserver.system.sockets import SHORTAGE
from rpcserver.workers.limits import SAID_AGAIN, TICK

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

_PATIENCE: Final = 3
"""How many times in a row, a second apart, none can be accepted before a worker that has none retires."""

_TURN: Final = 150e-6
_LONGEST_TURN: Final = 2e-3
_BURST: Final = 2e-3


class Acceptor:
    """Waits for connections on several listeners, in one worker.

    Args:
        wakeup: a descriptor that ends a wait when it becomes readable; it is emptied then.
        rivals: how many others accept from the same listeners and shall have their turn in a burst of connections.
            Whoever has just accepted is awake, and would take the next one while the worker that was woken for it
            still wakes up; so it pauses, for longer the more there are, as all together need to keep up.
        retire: asks for a successor, with the reason, where this process has no descriptor for a connection, and it
            is not its connections that take them.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        wakeup: int,
        *,
        rivals: int = 0,
        board: SlotBoard | None = None,
        retire: Callable[[str], object] | None = None,
    ) -> None:
        self._board = SlotBoard.private() if board is None else board
        self._methods = self._board.methods
        self._retire = retire
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._wakeup = wakeup
        self._epoll = select.epoll()
        self._epoll.register(wakeup, select.EPOLLIN)
        self._short_until = 0.0
        self._shortages = 0
        self._shortage = RateLimit(SAID_AGAIN)
        self._pause = min(_TURN * rivals, _LONGEST_TURN)
        self._accepted_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._listeners

    def accept(self, timeout: float = TICK) -> socket.socket | None:
        """Wait for one connection and accept it; listeners are watched only during this call.

        None after a wake-up, another worker's luck or the timeout, in seconds.
        """
        shortage = self._short_until - time.monotonic()
        if shortage > 0:
            self.wait(min(timeout, shortage))
            return None
        if self._pause and time.monotonic() - self._accepted_at < _BURST:
            # epoll's timeouts are whole milliseconds.
            time.sleep(self._pause)
        for descriptor in self._listeners:
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        try:
            ready = {descriptor for descriptor, _ in self._epoll.poll(timeout)}
        finally:
            for descriptor in self._listeners:
                self._epoll.unregister(descriptor)
        if self._wakeup in ready:
            self._empty_wakeup()
            ready.discard(self._wakeup)
            return self._accept_any(ready)
        # A wake-up for a connection was given to this worker alone: it accepts, even if it shall leave.
        return self._accept_any(ready or self._listeners)

    def wait(self, timeout: float = TICK) -> None:
        """Wait for the wakeup descriptor's call alone, and leave connections to other workers."""
        if self._epoll.poll(timeout):
            self._empty_wakeup()

    def has_waiting(self) -> bool:
        """Whether a connection waits that no worker has taken."""
        poll = select.poll()
        for descriptor in self._listeners:
            poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def count_waiting(self) -> int:
        """How many connections wait, one at least: who asks has seen one."""
        return max(1, sum(clients_waiting(listener.socket) for listener in self._listeners.values()))

    def take(self) -> socket.socket | None:
        """Accept a connection if one waits that no other worker has taken."""
        return self._accept_any(self._listeners)

    def close(self) -> None:
        """Stop listening in this process; safe in a signal handler while no `accept` runs."""
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.close()

    def release(self) -> None:
        """Close everything that this holds, in a forked child."""
        self.close()
        self._epoll.close()
        os.close(self._wakeup)

    def _empty_wakeup(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 4096)

    def _accept_any(self, descriptors: Iterable[int]) -> socket.socket | None:
        for descriptor in descriptors:
            connection = self._accept_from(descriptor)
            if connection is not None:
                return connection
        return None

    def _accept_from(self, descriptor: int) -> socket.socket | None:
        listener = self._listeners[descriptor]
        try:
            connection = listener.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                # The listener was shut down: by a server that stops, whose call to leave is about to wake this worker,
                # or by an app, and then the arbiter sees to it.
                self._short_until = time.monotonic() + TICK
            elif error.errno in SHORTAGE:
                # The connection stays in the queue for a worker that can take it, and epoll would report it
                # to this one without end.
                self._short_until = time.monotonic() + TICK
                self._note_shortage(error)
            else:
                logger.debug("a connection was lost before it was accepted: %s", error.strerror)
            return None
        self._accepted_at = time.monotonic()
        self._shortages = 0
        if self._methods is not None and (waited := time_queued(connection)) is not None:
            self._methods.note_wait(waited)
        return connection

    def _note_shortage(self, error: OSError) -> None:
        self._shortages += 1
        if self._shortage.allows():
            logger.warning(
                "no connection can be accepted for now: %s; a higher limit or fewer --max-connections would help",
                error.strerror,
            )
        own = error.errno == errno.EMFILE and not self._board.cells[CONNECTIONS]
        if own and self._shortages >= _PATIENCE and self._retire is not None:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            self._retire(f"has no descriptor for connections: the app holds all, or has lowered their limit ({limit})")
