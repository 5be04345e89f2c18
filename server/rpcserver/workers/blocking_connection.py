"""A conversation on a socket that is waited for in the kernel, by the thread or process that has it.

Sockets that are never waited for are in `socket_drivers`; who accepts connections is the models' business.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.errors import QuickStop
from rpcserver.workers.limits import READ_SIZE, grace_allowed, tick_for
from rpcserver.workers.next_step import ANSWER, LINGER, READ, WRITE, Next
from rpcserver.workers.socket_drivers import NonBlockingConnection, acknowledge, converse, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcserver.workers.conversation import Answer, Conversation
    from rpcserver.workers.terms import Terms

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 1e-6
_TIMEVAL: Final = struct.Struct("ll")


class Abandoned(BaseException):
    """Raised by what answers: another thread has taken the connection over, and this one leaves it alone."""


class BlockingConnection:
    """One connection, from its first byte to its close.

    Reads and writes wait in the kernel (SO_RCVTIMEO, SO_SNDTIMEO) and not in a poll(2) before each, as Python's
    own timeouts would; so a request costs one recv(2) and one send(2). Deadlines are looked at after a wait
    that ended without data, once a second, and after a read that ended inside a frame.

    Args:
        connection: a connected stream socket; `serve` closes it.
        on_tick: called after each wait that ended without data, and about once a second beside.
        linger: takes the connection over after the last word, so that `serve` need not wait for the client's end.
        begun: what has been said on it already, where it is not new.
    """

    def __init__(
        self,
        connection: socket.socket,
        answer: Answer,
        terms: Terms,
        on_tick: Callable[[], None] | None = None,
        linger: Callable[[NonBlockingConnection], None] | None = None,
        begun: Conversation | None = None,
    ) -> None:
        settings = terms.settings
        self.conversation = converse(connection, terms) if begun is None else begun
        self._is_new = begun is None
        self._socket = connection
        self._run = answer
        self._settings = settings
        self._on_tick = on_tick
        self._linger = linger
        self._due = 0.0 if on_tick is not None or settings.max_connection_age else inf
        self._longest_use = settings.reclaim_idle or inf
        limits = (settings.idle_timeout, settings.read_timeout, settings.max_connection_age)
        # Two waits fit into the time after which an idle connection may be reclaimed.
        self._tick = tick_for(settings.reclaim_idle / 2, *limits)

    @property
    def _answer(self) -> Answer:
        """What answers here; never kept in `self`, which a method of its own would keep alive beyond its end."""
        return self._run

    def serve(self) -> None:
        """Answer requests until either side ends the connection; whatever the client does, this returns."""
        try:
            self._set_up()
            if self._converse():
                return
        except Abandoned:
            return
        except QuickStop:
            raise
        except OSError as error:
            self.conversation.lose(error)
        except BaseException:
            # What answers lets nothing of a user's pass; but logging may be a user's too.
            logger.critical(
                "%s: this connection is closed after an error", self.conversation.peer.address, exc_info=True
            )
            self.conversation.lost = True
        # Not in a `finally`: a connection may have been left to another thread.
        NonBlockingConnection(self._socket, self.conversation).close()

    def refuse(self, reply: bytes) -> None:
        """Close the connection, instead of serving it, with a reply that says why."""
        self.conversation.refuse(reply)
        self.serve()

    def drain(self) -> None:
        """Ask for an end without loss: what has arrived is answered, and the last reply says `close`.

        A recv(2) that a signal interrupts goes on with the timeout set here. So this is safe in a signal handler of
        the thread that serves, where a signal just before recv(2) is noticed at the next tick; and another thread
        that sends the serving one a signal afterwards ends its wait for certain.
        """
        if self.conversation.leaving:
            return
        self.conversation.leave(monotonic() + grace_allowed(self._settings))
        with contextlib.suppress(OSError):
            self._wait_at_most(_AT_ONCE)

    def reclaim(self) -> None:
        """Drain the connection if it was idle for a tick, or in use for long, else hurry it; as safe as `drain`."""
        now = monotonic()
        if self.conversation.silent_for(now) >= self._tick or self.conversation.in_use_for(now) >= self._longest_use:
            self.drain()
        else:
            self.conversation.hurry()

    def _set_up(self) -> None:
        self._wait_at_most(self._tick)
        if self.conversation.leaving:
            self._wait_at_most(_AT_ONCE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(tick_for(self._settings.write_timeout)))
        if self._is_new:
            prepare(self._socket, self.conversation)

    def _converse(self) -> bool:
        """Go from one request to the next; True when the connection was handed over."""
        conversation = self.conversation
        recv = self._socket.recv
        send = self._socket.send
        sole_request = conversation.sole_request
        answer = self._answer
        peer = conversation.peer
        while (following := self._go_on()) is READ:
            due = self._look_around()
            while True:
                # While the client is silent, its last call holds no memory.
                data, body, reply = b"", None, b""
                try:
                    data = recv(READ_SIZE)
                except BlockingIOError:
                    self._look_at_deadline()
                    if self._rest():
                        return True
                    break
                body = sole_request(data)
                if body is None:
                    conversation.receive(data)
                    break
                conversation.heard = True
                last = conversation.leaving
                reply = answer(body, peer, last)
                try:
                    sent = send(reply)
                except BlockingIOError:
                    sent = 0
                if sent == len(reply) and not last:
                    if monotonic() < due:
                        continue
                    break
                conversation.hold(memoryview(reply)[sent:], last=last)
                break
        return following is LINGER and self._end()

    def _go_on(self) -> Next:
        """Answer and write until bytes must be waited for."""
        conversation = self.conversation
        answer = self._answer
        while True:
            following = conversation.next()
            if following is ANSWER:
                conversation.answer_requests(answer)
                # Nearly always the client takes all of it, and nothing must be waited for.
                self._write()
            elif following is READ:
                if not conversation.mid_frame:
                    return following
                acknowledge(self._socket)
                if monotonic() < conversation.deadline:
                    return following
                conversation.expire()
            elif following is not WRITE:
                return following
            elif monotonic() < conversation.deadline:
                self._write()
            else:
                conversation.expire()

    def _write(self) -> None:
        conversation = self.conversation
        try:
            if data := conversation.outgoing():
                conversation.sent(self._socket.send(data))
        except BlockingIOError:
            if self._on_tick is not None:
                self._on_tick()

    def _look_around(self) -> float:
        """Do what is due about once a second, however busy the client keeps this; return when it is due again."""
        if self._due < inf and (now := monotonic()) >= self._due:
            self._due = now + tick_for(self._settings.max_connection_age)
            self.conversation.note_age(now)
            if self._on_tick is not None:
                self._on_tick()
        return self._due

    def _look_at_deadline(self) -> None:
        """A wait has ended without data."""
        if self._on_tick is not None:
            self._on_tick()
        conversation = self.conversation
        now = monotonic()
        conversation.note_silence(now - self._tick)
        leaving = conversation.leaving
        left = conversation.deadline - now
        if left <= 0:
            conversation.expire()
        elif leaving:
            self._wait_at_most(min(self._tick, left))

    def _rest(self) -> bool:
        """Hand the connection over where its client is silent and something else can wait for it; True if it was."""
        return False

    def _end(self) -> bool:
        """Say that no more comes, and read to the client's end; True when that was handed over."""
        conversation = self.conversation
        if self._linger is not None:
            self._linger(NonBlockingConnection(self._socket, conversation))
            return True
        self._socket.shutdown(socket.SHUT_WR)
        conversation.linger()
        while conversation.next() is LINGER:
            # Once more for each wait: `drain` may have shortened it from elsewhere.
            self._wait_at_most(conversation.deadline - monotonic())
            try:
                conversation.receive(self._socket.recv(READ_SIZE))
            except BlockingIOError:
                if monotonic() >= conversation.deadline:
                    conversation.expire()
        return False

    def _wait_at_most(self, seconds: float) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))


def _timeval(seconds: float) -> bytes:
    # A timeval of zero means no timeout at all: socket(7).
    microseconds = max(1, round(seconds * 1_000_000))
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))
