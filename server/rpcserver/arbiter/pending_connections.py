"""Connections taken from the listen queues when a server stops, which still wait for a worker."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcserver.system.inherited import allow_descriptors

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

_LONGEST_HANDSHAKE: Final = 1.0
_LOOK_AGAIN: Final = 0.01


class PendingConnections:
    """Keeps connections for workers that drain; `then` is told at the end for how many seconds they may still drain."""

    def __init__(
        self, settings: ServerSettings, crew: Crew, listeners: Sequence[Listener], then: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._crew = crew
        self._listeners = listeners
        self._then = then
        self._connections: deque[socket.socket] = deque()
        self._began = 0.0
        self._awaited_worker = False
        self.deadline: float | None = None
        """When `run_due` has something to do, in monotonic seconds."""

    def __iter__(self) -> Iterator[socket.socket]:
        return iter(self._connections)

    def take(self) -> None:
        """Withdraw the listeners, take what waits in their queues, close them, and have no more workers started.

        That is done in a moment, in which the kernel ends what it is about: a client that it had found a listener for
        is then in the middle of its handshake, and has a second to end it. Clients that no worker could serve wait for
        one that starts, within half of the drain timeout.
        """
        allow_descriptors(self._settings.backlog * len(self._listeners))
        for listener in self._listeners:
            listener.withdraw()
        self._began = time.monotonic()
        self.deadline = self._began + _LOOK_AGAIN
        if not _is_starting(self._crew):
            self._crew.close()

    def run_due(self, now: float) -> None:
        """Look again at the listeners, if it is time."""
        if self.deadline is None or now < self.deadline:
            return
        # Looked at before the queues are: who ends the handshake in between is found in one.
        awaited = now < self._began + _LONGEST_HANDSHAKE and any(
            listener.in_handshake() for listener in self._listeners
        )
        for listener in self._listeners:
            self._connections.extend(listener.take_queued())
        if awaited or self._awaits_worker(now):
            self.deadline = now + _LOOK_AGAIN
            return
        self.deadline = None
        for listener in self._listeners:
            listener.shut_down()
            listener.close()
        self._crew.close()
        self._then(self._settings.drain_timeout - (now - self._began if self._awaited_worker else 0.0))

    def _awaits_worker(self, now: float) -> bool:
        patience = self._settings.drain_timeout / 2
        if not self._connections or now >= self._began + patience or not _is_starting(self._crew):
            return False
        if not self._awaited_worker:
            self._awaited_worker = True
            waiting = len(self._connections)
            logger.info("stopping: no worker is ready yet, and connections (%d) wait for one, %g s", waiting, patience)
            if all(slot.worker is None for slot in self._crew.slots):
                self._crew.start(self._crew.slots[0])
        return True

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


def _is_starting(crew: Crew) -> bool:
    """Whether no worker serves, but one is to come."""
    if crew.closing or any(slot.serves for slot in crew.slots) or (crew.stems is not None and crew.stems.has_failed):
        return False
    return any(slot.worker is not None or slot.retry_at is not None for slot in crew.slots)
