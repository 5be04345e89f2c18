"""Connections that wait for their clients and need no thread for that: one epoll watches them, and one thread at a time
looks after their deadlines.

Who takes a connection whose client has spoken, and what runs its requests, is the models' business.
"""

from __future__ import annotations

import contextlib
import os
import select
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.workers.limits import NEVER, grace_allowed, tick_for
from rpcserver.workers.next_step import ANSWER, CLOSE, READ, WRITE, Next
from rpcserver.workers.socket_drivers import NonBlockingConnection, admit

if TYPE_CHECKING:
    import socket
    from collections import deque
    from collections.abc import Callable

    from rpcserver.workers.conversation import Conversation
    from rpcserver.workers.terms import Terms

# Plain integers, as they are needed at each request.
_READABLE: Final = int(select.EPOLLIN)
_WRITABLE: Final = int(select.EPOLLOUT)
# One event, and then none until epoll is asked anew; by itself, none but the connection's loss.
_ONCE: Final = int(select.EPOLLONESHOT)


class ParkedConnection(NonBlockingConnection):
    """A connection that belongs to one thread at a time; nothing in it is locked."""

    __slots__ = ("awaits", "deadline", "descriptor", "watched")

    def __init__(self, connection: socket.socket, conversation: Conversation) -> None:
        super().__init__(connection, conversation)
        self.awaits: Next = READ  # what it is parked for; `ANSWER` where its requests wait for their turn
        self.deadline = 0.0  # until when, in monotonic seconds; 0 where that is still to be worked out
        self.descriptor = connection.fileno()  # also after its end
        self.watched = _READABLE  # what epoll was last asked to tell of it

    @property
    def socket(self) -> socket.socket:
        """Its socket, for a thread that shall wait for it."""
        return self._socket


class Parking:
    """Connections that wait for their clients.

    A parked connection is nobody's. Whoever takes it out has it alone: the thread that epoll has told of it, or the one
    that looks after deadlines. Both take it from the same dictionary, which is one step under the GIL.

    Epoll goes on to tell of a connection that was taken, so that it need not be asked again at each request. A thread
    that is told of one that another has hushes it, and who parks it asks for it anew. Where many threads wait at once,
    epoll would wake the next for what the first has yet to read, and tells each time only once.

    Args:
        submit: called by `look_after` with a connection that has requests to run, and whether they have just come.
        closed: called in any thread after a connection has been closed.
        hasten: called in any thread when `look_after` has something to do before its time.
    """

    def __init__(
        self,
        terms: Terms,
        submit: Callable[[ParkedConnection, bool], None],
        closed: Callable[[], None],
        hasten: Callable[[], None],
    ) -> None:
        settings = terms.settings
        self._terms = terms
        self._submit = submit
        self._closed = closed
        self._hasten = hasten
        # Whether many threads wait at once; nothing is lost where that is wrong for a moment.
        self.shared = False
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._modify = self._epoll.modify
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Edge-triggered: each write ends one wait, and nobody need read it.
        self._epoll.register(self._wakeup, select.EPOLLIN | select.EPOLLET)
        self._connections: dict[int, ParkedConnection] = {}
        self._parked: dict[int, ParkedConnection] = {}
        self._leave_by = NEVER
        limits = (settings.idle_timeout, settings.read_timeout, settings.write_timeout, settings.max_connection_age)
        self._tick = tick_for(*limits, grace_allowed(settings), settings.reclaim_idle / 2)
        self._look_at = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, accepted: socket.socket) -> bool:
        """Park a connection that was accepted; False if its client has gone already."""
        conversation = admit(accepted, self._terms)
        if conversation is not None:
            self.adopt(ParkedConnection(accepted, conversation))
        return conversation is not None

    def adopt(self, connection: ParkedConnection) -> None:
        """Park a connection that was not here before, or has been released."""
        if self._leave_by < NEVER and not connection.conversation.leaving:
            connection.conversation.leave(self._leave_by)
        self._connections[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, connection.watched)
        self.park(connection, connection.advance())

    def release(self, connection: ParkedConnection) -> None:
        """Let go of a connection that was taken, for its thread to keep or to close.

        Its close alone would not do: where an app has forked since, epoll would go on to tell of the child's copy.
        """
        # An app may have closed it.
        with contextlib.suppress(OSError):
            self._epoll.unregister(connection.descriptor)
        del self._connections[connection.descriptor]

    def take(self, timeout: float = -1) -> ParkedConnection | None:
        """Wait for a client to do what its connection is parked for, and take that out.

        None after the timeout, in seconds, a `wake`, or another thread's luck.
        """
        for descriptor, _ in self._poll(timeout, 1):
            return self._parked.pop(descriptor, None) or self._hush(descriptor)
        return None

    def gather(self, into: deque[ParkedConnection], most: int, timeout: float = -1) -> bool:
        """Wait as `take` does, and append at most so many connections whose clients have done it.

        False is returned after the timeout, in seconds.
        """
        parked = self._parked
        events = self._poll(timeout, most)
        for descriptor, _ in events:
            if (connection := parked.pop(descriptor, None) or self._hush(descriptor)) is not None:
                into.append(connection)
        return bool(events)

    def _hush(self, descriptor: int) -> ParkedConnection | None:
        """Have epoll tell no more of a connection that another thread has; take it where that has parked it by now."""
        connection = self._connections.get(descriptor)
        if connection is None:
            return None
        if connection.watched == _ONCE:
            # It is lost, which is told once. Or it was parked anew while a thread was held up between the two lines
            # below: then it is hushed the next time.
            connection.watched = 0
            return None
        try:
            self._modify(descriptor, _ONCE)
            # Another may have its descriptor since.
            self._connections[descriptor].watched = _ONCE
        except (OSError, KeyError):
            # It is closed.
            return None
        # Who parks it from now on sees that, but not who has just done so.
        return self._parked.pop(descriptor, None)

    def park(self, connection: ParkedConnection, awaits: Next = READ) -> None:
        """Give back a connection that was taken; whoever does so has it no more."""
        connection.awaits = awaits
        connection.deadline = 0.0
        descriptor = connection.descriptor
        parked = self._parked
        while True:
            events = _WRITABLE if connection.awaits is WRITE or connection.awaits is ANSWER else _READABLE
            if self.shared:
                events |= _ONCE
                # Epoll tells of it once, and may have: it has to be asked anew.
                connection.watched = 0
            if connection.watched != events:
                connection.watched = events
                self._modify(descriptor, events)
            parked[descriptor] = connection
            if connection.watched == events:
                break
            # It was hushed meanwhile, so that nobody may have been told of it.
            taken = parked.pop(descriptor, None)
            if taken is None:
                break
            connection = taken
        if connection.conversation.leaving and connection.conversation.deadline <= monotonic():
            self._hasten()

    def repark(self) -> None:
        """Have epoll tell again of all clients that have spoken, where who was told may not have taken them out."""
        for descriptor in list(self._parked):
            if (connection := self._parked.pop(descriptor, None)) is not None:
                self.park(connection, connection.awaits)

    def settle(self, connection: ParkedConnection) -> bool:
        """Write, park or close a connection that was taken; True where it has requests to run, and stays taken."""
        following = connection.advance()
        if following is ANSWER:
            return True
        if following is CLOSE:
            self.release(connection)
            connection.close()
            self._closed()
        else:
            self.park(connection, following)
        return False

    def wake(self) -> None:
        """End the wait of one thread in `take`, or else the next; safe in any thread."""
        os.eventfd_write(self._wakeup, 1)

    def drain(self) -> None:
        """Ask every connection, and those that come, for an end without loss; safe in any thread."""
        self._leave_by = monotonic() + grace_allowed(self._terms.settings)
        self._look_at = 0.0
        self._hasten()

    def reclaim(self, choose: Callable[[list[ParkedConnection]], list[ParkedConnection]]) -> None:
        """Ask the chosen ones of the connections for an end without loss; safe in any thread."""
        connections = list(self._connections.values())
        for connection in choose(connections):
            connection.conversation.leave(monotonic() + grace_allowed(self._terms.settings))
        for connection in connections:
            connection.deadline = 0.0
        self._look_at = 0.0
        self._hasten()

    def due_in(self) -> float:
        """In how many seconds `look_after` is due."""
        return max(0.0, self._look_at - monotonic())

    def look_after(self) -> None:
        """See to the deadlines of connections that are parked, and to those that shall leave; in one thread only."""
        now = monotonic()
        self._look_at = now + self._tick
        if self._leave_by < NEVER or self._terms.settings.max_connection_age:
            for connection in list(self._connections.values()):
                if self._leave_by < NEVER and not connection.conversation.leaving:
                    connection.conversation.leave(self._leave_by)
                    connection.deadline = 0.0
                connection.conversation.note_age(now)
        for connection in list(self._parked.values()):
            if connection.awaits is ANSWER:
                continue
            if not connection.deadline or connection.conversation.leaving:
                connection.conversation.note_silence(now)
                connection.deadline = connection.conversation.deadline
            if now >= connection.deadline and (taken := self._parked.pop(connection.descriptor, None)) is not None:
                # Another may have its descriptor since, whose deadline is looked at there.
                self._on_deadline(taken)

    def _on_deadline(self, connection: ParkedConnection) -> None:
        conversation = connection.conversation
        awaited = connection.awaits
        if awaited is READ and not conversation.mid_frame:
            # What has arrived is answered, even if it came a moment ago.
            conversation.heard = False
            connection.receive()
            expired = not (conversation.heard or conversation.lost)
        else:
            expired = awaited is not WRITE or connection.advance() is WRITE
        if expired and monotonic() >= conversation.deadline:
            conversation.expire()
        if self.settle(connection):
            self._submit(connection, awaited is READ)
