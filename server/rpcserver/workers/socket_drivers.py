"""A conversation on a socket that the worker reads and writes itself, and never waits for; and how any is begun.

One that waits in the kernel is in `blocking_connection`, the one on an event loop in `aio_connection`. Who accepts
connections, how many are served at once, and who watches those that do not wait, is the models' business.
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
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.limits import LINGER_SECONDS, READ_SIZE
from rpcserver.workers.next_step import CLOSE, LINGER, READ, WRITE, Next

if TYPE_CHECKING:
    from rpcserver.workers.terms import Terms

logger = logging.getLogger(__name__)

_MOST: Final = 256
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
# Plain integers, as they are needed at each piece of a frame.
_UNIX: Final = int(socket.AF_UNIX)
_TCP: Final = int(socket.IPPROTO_TCP)
_QUICKACK: Final = int(socket.TCP_QUICKACK)
_AT_ONCE: Final = int(socket.MSG_DONTWAIT)


def converse(connection: socket.socket, terms: Terms) -> Conversation:
    """Begin a conversation on an accepted socket."""
    begin = terms.settings, terms.tls_of(connection), terms.budget, terms.framing_of(connection)
    if terms.settings.proxy_protocol is None:
        return Conversation(*begin)
    # Few servers stand behind a proxy, and what reads its headers takes a while to import.
    from rpcserver.workers.proxied import ProxiedConversation

    return ProxiedConversation(*begin)


def prepare(connection: socket.socket, conversation: Conversation) -> None:
    """Set a socket's options, and note who is at its other end; raises OSError where the client has gone already."""
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    conversation.peer.address = peer_address(connection)


def admit(connection: socket.socket, terms: Terms) -> Conversation | None:
    """Begin a conversation on an accepted socket, and prepare that; close it where its client has gone already."""
    try:
        conversation = converse(connection, terms)
        prepare(connection, conversation)
    except OSError as error:
        logger.debug("a connection was lost before it was served: %s", error.strerror)
        connection.close()
        return None
    return conversation


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
    """A conversation on a connected stream socket that is never waited for here; it is closed with this."""

    __slots__ = ("_socket", "conversation")

    def __init__(self, connection: socket.socket, conversation: Conversation) -> None:
        self.conversation = conversation
        self._socket = connection

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Read once, and have the conversation receive that."""
        try:
            self.conversation.receive(self._socket.recv(READ_SIZE, _AT_ONCE))
        except BlockingIOError:
            pass
        except OSError as error:
            self.conversation.lose(error)
        except Exception:
            # Whoever reads here reads for many clients, and what one of them sends ends no other's connection.
            address = self.conversation.peer.address
            logger.critical("%s: this connection is closed after an error", address, exc_info=True)
            self.conversation.lost = True

    def read_request(self) -> bytes | None:
        """Read once, between `READ` and what follows it.

        Returns the request where exactly one came, which has not been received then; all else has.
        """
        try:
            data = self._socket.recv(READ_SIZE, _AT_ONCE)
        except OSError:
            self.receive()
            return None
        conversation = self.conversation
        body = conversation.sole_request(data)
        if body is None:
            conversation.receive(data)
        else:
            conversation.heard = True
        return body

    def write_reply(self, reply: bytes) -> bool:
        """Write a framed reply where nothing else is held; False where it was not all taken, and the rest is held."""
        try:
            sent = self._socket.send(reply, _AT_ONCE)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.conversation.lose(error)
            return False
        if sent < len(reply):
            self.conversation.hold(memoryview(reply)[sent:])
            return False
        return True

    def advance(self) -> Next:
        """Write what is held, as far as the client takes it, and say what is to be done or waited for now."""
        conversation = self.conversation
        while True:
            following = conversation.next()
            try:
                if following is WRITE:
                    if data := conversation.outgoing():
                        conversation.sent(self._socket.send(data, _AT_ONCE))
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
        self.conversation.release()
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
