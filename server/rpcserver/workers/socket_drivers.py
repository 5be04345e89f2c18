"""A conversation on a socket that the worker reads and writes itself: one that waits in the kernel, and one that never
waits. The one on an event loop is in `aio_connection`.

Who accepts connections, how many are served at once, and who watches those that do not wait, is the models' business.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.addresses import peer_address
from rpcserver.system.errors import QuickStop
from rpcserver.workers.acceptor import TICK
from rpcserver.workers.conversation import (
    ANSWER,
    CLOSE,
    LINGER,
    LINGER_SECONDS,
    READ,
    READ_SIZE,
    WRITE,
    Conversation,
    Next,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import ServerSettings
    from rpcserver.workers.conversation import Answer

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 1e-6
_TIMEVAL: Final = struct.Struct("ll")
_MOST: Final = 256
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
# Plain integers, as they are needed at each piece of a frame.
_UNIX: Final = int(socket.AF_UNIX)
_TCP: Final = int(socket.IPPROTO_TCP)
_QUICKACK: Final = int(socket.TCP_QUICKACK)


def converse(connection: socket.socket, settings: ServerSettings, tls: ssl.SSLContext | None) -> Conversation:
    """Begin a conversation on an accepted socket; TLS is spoken on TCP addresses only."""
    return Conversation(settings, None if connection.family == socket.AF_UNIX else tls)


def prepare(connection: socket.socket, conversation: Conversation) -> None:
    """Set a socket's options, and note who is at its other end.

    Raises:
        OSError: the client has gone already.
    """
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    conversation.peer.address = peer_address(connection)


def acknowledge(connection: socket.socket) -> None:
    """Have what was read acknowledged at once, because a read has ended inside a frame.

    A client that writes the prefix and the body apart, with Nagle's algorithm on, holds the body back until the
    prefix is acknowledged, and a delayed acknowledgement takes 40 ms: tcp(7).

    Raises:
        OSError: the connection is lost.
    """
    if connection.family != _UNIX:
        connection.setsockopt(_TCP, _QUICKACK, 1)


def reset_on_close(connection: socket.socket) -> None:
    """Have close(2) throw away what the client does not read."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


class NonBlockingConnection:
    """A conversation on a socket that is never waited for here.

    Args:
        connection: a connected stream socket; it is closed with this.
        conversation: what is said on it.
    """

    def __init__(self, connection: socket.socket, conversation: Conversation) -> None:
        connection.setblocking(False)
        self.conversation = conversation
        self._socket = connection

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Read once."""
        try:
            self.conversation.receive(self._socket.recv(READ_SIZE))
        except BlockingIOError:
            pass
        except OSError as error:
            self.conversation.lose(error)
        except Exception:
            # Whoever reads here reads for many clients, and what one of them sends ends no other's connection.
            address = self.conversation.peer.address
            logger.critical("%s: this connection is closed after an error", address, exc_info=True)
            self.conversation.lost = True

    def advance(self) -> Next:
        """Write what is held, as far as the client takes it, and say what is to be done or waited for now."""
        conversation = self.conversation
        while True:
            following = conversation.next()
            try:
                if following is WRITE:
                    if data := conversation.outgoing():
                        conversation.sent(self._socket.send(data))
                    continue
                if following is LINGER and not conversation.lingering:
                    self._socket.shutdown(socket.SHUT_WR)
                    conversation.linger()
                elif following is READ and conversation.mid_frame:
                    acknowledge(self._socket)
            except BlockingIOError:
                pass
            except OSError as error:
                conversation.lose(error)
                continue
            return following

    def close(self) -> None:
        """Close the socket."""
        if self.conversation.reset:
            reset_on_close(self._socket)
        self._socket.close()


class Lingering:
    """Connections on which no request is read any more; the oldest are closed early when there are too many."""

    def __init__(self) -> None:
        self._connections: list[NonBlockingConnection] = []

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: NonBlockingConnection) -> None:
        """Take over a connection whose last word is held or said."""
        self._connections.append(connection)
        self.sweep()

    def sweep(self) -> None:
        """Go on with what has come, and close the connections whose client has ended them or whose time is over."""
        now = monotonic()
        spare = len(self._connections) - _MOST
        going_on: list[NonBlockingConnection] = []
        for index, connection in enumerate(self._connections):
            if index < spare or _is_over(connection, now):
                connection.close()
            else:
                going_on.append(connection)
        self._connections = going_on

    def wait(self) -> None:
        """Sweep until none is left; that takes no longer than it may take to say one last word."""
        end = monotonic() + LINGER_SECONDS
        while self._connections and (left := end - monotonic()) > 0:
            poll = select.poll()
            for connection in self._connections:
                poll.register(connection, select.POLLIN)
            due = min(connection.conversation.deadline for connection in self._connections) - monotonic()
            poll.poll(max(0.0, min(left, due)) * 1000)
            self.sweep()
        self.release()

    def release(self) -> None:
        """Close all of them as they are."""
        for connection in self._connections:
            connection.close()
        self._connections = []


def _is_over(connection: NonBlockingConnection, now: float) -> bool:
    if connection.advance() is not CLOSE:
        connection.receive()
        if now >= connection.conversation.deadline:
            connection.conversation.expire()
    return connection.advance() is CLOSE


class Abandoned(BaseException):
    """Raised by what answers: another thread has taken the connection over, and this one leaves it alone."""


class BlockingConnection:
    """One connection, from its first byte to its close.

    Reads and writes wait in the kernel (SO_RCVTIMEO, SO_SNDTIMEO) and not in a poll(2) before each, as Python's
    own timeouts would; so a request costs one recv(2) and one send(2). Deadlines are looked at after a wait
    that ended without data, once a second, and after a read that ended inside a frame.

    Args:
        connection: a connected stream socket; `serve` closes it.
        answer: what answers.
        settings: limits and deadlines.
        on_tick: called after each wait that ended without data.
        linger: takes the connection over after the last word, so that `serve` need not wait for the client's end.
        tls: the server's certificate, where TLS is spoken on TCP addresses.
    """

    def __init__(
        self,
        connection: socket.socket,
        answer: Answer,
        settings: ServerSettings,
        on_tick: Callable[[], None] | None = None,
        linger: Callable[[NonBlockingConnection], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.conversation = converse(connection, settings, tls)
        self._socket = connection
        self._answer = answer
        self._settings = settings
        self._on_tick = on_tick
        self._linger = linger
        # Two waits fit into the time after which an idle connection may be reclaimed.
        reclaim = settings.reclaim_idle / 2 or TICK
        self._tick = min(TICK, settings.idle_timeout or TICK, settings.read_timeout or TICK, reclaim)

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
        if self.conversation.reset:
            reset_on_close(self._socket)
        self._socket.close()

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
        self.conversation.leave(monotonic() + self._settings.drain_grace)
        with contextlib.suppress(OSError):
            self._wait_at_most(_AT_ONCE)

    def reclaim(self) -> None:
        """Drain the connection if it has been idle for a tick at least; only for a signal handler."""
        if not self.conversation.heard:
            self.drain()

    def _set_up(self) -> None:
        self._wait_at_most(self._tick)
        if self.conversation.leaving:
            self._wait_at_most(_AT_ONCE)
        write_tick = min(TICK, self._settings.write_timeout or TICK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(write_tick))
        prepare(self._socket, self.conversation)

    def _converse(self) -> bool:
        """Go from one request to the next; True when the connection was handed over after the last."""
        conversation = self.conversation
        recv = self._socket.recv
        send = self._socket.send
        sole_request = conversation.sole_request
        answer = self._answer
        peer = conversation.peer
        while (following := self._go_on()) is READ:
            while True:
                try:
                    data = recv(READ_SIZE)
                except BlockingIOError:
                    self._look_at_deadline()
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
                    continue
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
