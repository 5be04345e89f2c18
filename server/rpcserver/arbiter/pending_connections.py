"""Connections taken from the listen queues when a server stops, which still wait for a worker."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcserver.system.process import allow_descriptors

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

_LONGEST_HANDSHAKE: Final = 1.0
_LOOK_AGAIN: Final = 0.01


class PendingConnections:
    """Keeps connections for workers that drain.

    Attributes:
        deadline: when `run_due` has something to do, in monotonic seconds.
    """

    def __init__(self) -> None:
        self._connections: deque[socket.socket] = deque()
        self._listeners: Sequence[Listener] = ()
        self._patience = 0.0
        self._then: Callable[[], None] = _nothing
        self.deadline: float | None = None

    def take_from(self, listeners: Sequence[Listener], backlog: int, then: Callable[[], None]) -> None:
        """Withdraw listeners, take what waits in their queues, and close them.

        That is done in a moment, in which the kernel ends what it is about: a client that it had found a listener for
        is then in the middle of its handshake, and has a second to end it. `then` is called at the end.
        """
        allow_descriptors(backlog * len(listeners))
        for listener in listeners:
            listener.withdraw()
        self._listeners, self._then = listeners, then
        now = time.monotonic()
        self._patience = now + _LONGEST_HANDSHAKE
        self.deadline = now + _LOOK_AGAIN

    def run_due(self, now: float) -> None:
        """Look again at the listeners, if it is time."""
        if self.deadline is not None and now >= self.deadline:
            self._take(now)

    def _take(self, now: float) -> None:
        # Looked at before the queues are: who ends the handshake in between is found in one.
        awaited = now < self._patience and any(listener.in_handshake() for listener in self._listeners)
        for listener in self._listeners:
            self._connections.extend(listener.take_queued())
        if awaited:
            self.deadline = now + _LOOK_AGAIN
            return
        self.deadline = None
        for listener in self._listeners:
            listener.shut_down()
            listener.close()
        self._then()

    def hand_one_over(self, channel: ArbiterEnd) -> None:
        """Give a worker a connection, or tell it that there is none."""
        if not self._connections:
            channel.dismiss()
        elif channel.hand_over(self._connections[0]):
            self._connections.popleft().close()

    def close(self) -> None:
        """Close the connections that nobody has served, and say so."""
        self.deadline = None
        if self._connections:
            logger.warning("%d connections that waited for a worker were not served", len(self._connections))
        while self._connections:
            self._connections.popleft().close()


def _nothing() -> None:
    pass
