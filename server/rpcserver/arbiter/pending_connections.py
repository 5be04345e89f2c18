"""Connections taken from the listen queues when a server stops, which still wait for a worker."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from rpcserver.system.process import allow_descriptors

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)


class WaitingRoom:
    """Keeps connections for workers that drain."""

    def __init__(self) -> None:
        self._connections: deque[socket.socket] = deque()

    def take_from(self, listeners: Sequence[Listener], backlog: int) -> None:
        """Take what waits in the queues of listeners, and close these.

        Args:
            listeners: no longer in use.
            backlog: how many connections may wait at each.
        """
        allow_descriptors(backlog * len(listeners))
        for listener in listeners:
            self._connections.extend(listener.take_queued())
            listener.close()

    def hand_one_over(self, channel: ArbiterEnd) -> None:
        """Give a worker a connection, or tell it that there is none."""
        if not self._connections:
            channel.dismiss()
        elif channel.hand_over(self._connections[0]):
            self._connections.popleft().close()

    def close(self) -> None:
        """Close the connections that nobody has served, and say so."""
        if self._connections:
            logger.warning("%d connections that waited for a worker were not served", len(self._connections))
        while self._connections:
            self._connections.popleft().close()
