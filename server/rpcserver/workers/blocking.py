"""Serving one connection on a blocking socket, for every model that gives a connection a thread of its own.

Who accepts connections, and how many are served at once, is the models' business.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from rpcserver.service.context import Peer
from rpcserver.system.sockets import peer_address
from rpcserver.workers.acceptor import TICK
from rpcserver.workers.refusals import (
    LINGER_BYTES,
    LINGER_SECONDS,
    PROGRESS,
    READ_SIZE,
    WRITE_SIZE,
    SlowFrame,
    describe,
    refuse_stream,
)
from rpcwire import GOODBYE, FrameDecoder, FrameError, TruncatedFrame

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import Settings
    from rpcserver.workers.base import Answer
    from rpcserver.workers.lingering import Readable
    from rpcserver.workers.tls_socket import TlsSocket

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 1e-6
_TIMEVAL: Final = struct.Struct("ll")
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes close(2) throw away what the client does not read."""


class Abandoned(BaseException):
    """Raised by what answers: another thread has taken the connection over, and this one leaves it alone."""


class _WriteTimeout(Exception):
    """The client does not read its replies."""


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
        linger: takes the socket over after the last word, so that `serve` need not wait for the client's end.
        tls: the server's certificate, where TLS is spoken on TCP addresses.

    Attributes:
        peer: who is at the other end.
    """

    def __init__(
        self,
        connection: socket.socket,
        answer: Answer,
        settings: Settings,
        on_tick: Callable[[], None] | None = None,
        linger: Callable[[Readable], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.peer = Peer("unknown")
        self._connection = connection
        self._socket: socket.socket | TlsSocket = connection
        self._tls: TlsSocket | None = None
        if tls is not None and connection.family != socket.AF_UNIX:
            from rpcserver.workers.tls_socket import TlsSocket

            self._socket = self._tls = TlsSocket(connection, tls, self.peer, settings.read_timeout)
        self._answer = answer
        self._settings = settings
        self._on_tick = on_tick
        self._linger = linger
        self._handed_over = False
        self._decoder = FrameDecoder(settings.max_frame)
        # Two waits fit into the time after which an idle connection may be reclaimed.
        reclaim = settings.reclaim_idle / 2 or TICK
        self._tick = min(TICK, settings.idle_timeout or TICK, settings.read_timeout or TICK, reclaim)
        self._replies: list[bytes] = []
        self._silent_ticks = 0
        self._frame_deadline = 0.0
        self._leaving = False
        self._grace_deadline = 0.0

    def serve(self) -> None:
        """Answer requests until either side ends the connection; whatever the client does, this returns."""
        try:
            self._set_up()
            self._converse()
        except Abandoned:
            return
        except TruncatedFrame as error:
            logger.info("%s: %s", self.peer.address, error)
        except FrameError as error:
            logger.info("%s: %s", self.peer.address, describe(error))
            self._say_last(refuse_stream(error))
        except _WriteTimeout:
            self._give_up_writing()
        except OSError as error:
            logger.debug("%s: connection lost: %s", self.peer.address, error.strerror)
        # Not in a `finally`: what else is raised ends the process, or has left the connection to another thread.
        self._close()

    def refuse(self, reply: bytes) -> None:
        """Close the connection, instead of serving it, with a reply that says why."""
        try:
            if self._tls is not None:
                self._shake_hands(self._tls)
            self._say_last(reply)
        except (FrameError, OSError) as error:
            logger.debug("%s: could not be told: %s", self.peer.address, error)
        self._close()

    def drain(self) -> None:
        """Ask for an end without loss: what has arrived is answered, and the last reply says `close`.

        A recv(2) that a signal interrupts goes on with the timeout set here. So this is safe in a signal handler of
        the thread that serves, where a signal just before recv(2) is noticed at the next tick; and another thread
        that sends the serving one a signal afterwards ends its wait for certain.
        """
        if self._leaving:
            return
        self._grace_deadline = time.monotonic() + self._settings.drain_grace
        self._leaving = True
        with contextlib.suppress(OSError):
            self._wait_at_most(_AT_ONCE)

    def reclaim(self) -> None:
        """Drain the connection if it has been idle for a tick at least; only for a signal handler."""
        if self._silent_ticks:
            self.drain()

    def _set_up(self) -> None:
        connection = self._connection
        self._wait_at_most(self._tick)
        if self._leaving:
            self._wait_at_most(_AT_ONCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self._write_tick()))
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.peer.address = peer_address(connection)

    def _shake_hands(self, tls: TlsSocket) -> None:
        """Make the handshake, if it has not been made, for a client that is told no more than one thing."""
        if not tls.established:
            self._set_up()
        while not tls.established:
            with contextlib.suppress(BlockingIOError):
                tls.shake_hands()

    def _converse(self) -> None:
        recv = self._socket.recv
        decoder = self._decoder
        sole_frame = decoder.sole_frame
        answer = self._answer
        peer = self.peer
        while True:
            try:
                data = recv(READ_SIZE)
            except BlockingIOError:
                if self._is_over():
                    return
                continue
            if not data:
                decoder.feed_eof()
                return
            self._silent_ticks = 0
            body = sole_frame(data)
            if body is None:
                decoder.feed(data)
                if self._answer_frames():
                    return
            else:
                last = self._leaving
                self._send(answer(body, peer, last))
                if last:
                    self._close_gently()
                    return
            if self._leaving and self._is_over():
                return

    def _answer_frames(self) -> bool:
        """Answer every whole frame that is held, with one write; True when the connection was ended by it."""
        next_frame = self._decoder.next_frame
        failure: FrameError | None = None
        last = False
        replies = self._replies
        size = 0
        body = next_frame()
        if body is not None:
            self._frame_deadline = 0.0
        while body is not None:
            try:
                following = next_frame()
            except FrameError as error:
                failure, following = error, None
            last = self._leaving and following is None and failure is None
            reply = self._answer(body, self.peer, last)
            replies.append(reply)
            size += len(reply)
            if size > WRITE_SIZE:
                self._send_replies()
                size = 0
            body = following
        if replies:
            self._send_replies()
        if failure is not None:
            raise failure
        if last:
            self._close_gently()
            return True
        if self._decoder.mid_frame:
            self._expect_rest()
        return False

    def _expect_rest(self) -> None:
        """A read has ended inside a frame: have it acknowledged at once, and see to the deadline."""
        if self._socket.family != socket.AF_UNIX:
            # A client that writes the prefix and the body apart, with Nagle's algorithm on, holds the body back
            # until the prefix is acknowledged, and a delayed acknowledgement takes 40 ms: tcp(7).
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        now = time.monotonic()
        if not self._frame_deadline:
            self._frame_deadline = now + (self._settings.read_timeout or float("inf"))
        elif now >= self._frame_deadline:
            raise SlowFrame(self._settings.read_timeout)

    def _is_over(self) -> bool:
        """See to deadlines while nothing comes; True when the connection has been ended."""
        if self._on_tick is not None:
            self._on_tick()
        now = time.monotonic()
        if self._decoder.mid_frame:
            if now >= self._frame_deadline:
                raise SlowFrame(self._settings.read_timeout)
            if self._leaving:
                self._wait_at_most(min(self._tick, self._frame_deadline - now))
            return False
        if self._tls is not None and self._tls.unfinished:
            # Until when that may take, the socket knows.
            if self._leaving:
                self._wait_at_most(self._tick)
            return False
        if self._leaving:
            left = self._grace_deadline - now
            if not self.peer.heeds_close and left > 0:
                self._wait_at_most(min(self._tick, left))
                return False
        else:
            self._silent_ticks += 1
            limit = self._settings.idle_timeout
            if not limit or self._silent_ticks * self._tick < limit:
                return False
            logger.info("%s: closed after %g s of silence", self.peer.address, limit)
        if self.peer.heeds_close:
            self._send(GOODBYE)
        self._close_gently()
        return True

    def _say_last(self, reply: bytes) -> None:
        """Send what is held and a last reply that says `close`, and close; the client may be gone already."""
        self._replies.append(reply)
        try:
            self._send_replies()
            self._close_gently()
        except _WriteTimeout:
            self._give_up_writing()
        except OSError as lost:
            logger.debug("%s: could not be told: %s", self.peer.address, lost)

    def _give_up_writing(self) -> None:
        logger.info("%s: closed, because the client does not read its replies", self.peer.address)
        # Nobody reads what the kernel still holds.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _send_replies(self) -> None:
        data = b"".join(self._replies)
        self._replies.clear()
        self._send(data)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send_slowly(memoryview(data)[sent:])

    def _send_slowly(self, rest: memoryview) -> None:
        """Send what the client does not take at once, as long as it keeps taking some."""
        patience = self._settings.write_timeout or float("inf")
        deadline = time.monotonic() + patience
        taken = 0
        while rest:
            try:
                sent = self._socket.send(rest)
            except BlockingIOError:
                sent = 0
                if self._on_tick is not None:
                    self._on_tick()
            rest = rest[sent:]
            taken += sent
            now = time.monotonic()
            if taken >= PROGRESS:
                taken = 0
                deadline = now + patience
            elif rest and now >= deadline:
                raise _WriteTimeout

    def _close_gently(self) -> None:
        """Say that no more comes, and read to the client's end for a while: closing over unread data resets the
        connection, and a reset may destroy replies that the client has not read yet (RFC 1122, 4.2.2.13).
        """
        self._socket.shutdown(socket.SHUT_WR)
        if self._linger is not None:
            self._handed_over = True
            self._linger(self._socket)
            return
        deadline = time.monotonic() + LINGER_SECONDS
        discarded = 0
        while discarded < LINGER_BYTES and (left := deadline - time.monotonic()) > 0:
            # Once more for each wait: `drain` may have shortened it from elsewhere.
            self._wait_at_most(left)
            try:
                data = self._socket.recv(READ_SIZE)
            except BlockingIOError:
                continue
            if not data:
                return
            discarded += len(data)

    def _close(self) -> None:
        if not self._handed_over:
            self._socket.close()

    def _wait_at_most(self, seconds: float) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def _write_tick(self) -> float:
        return min(TICK, self._settings.write_timeout or TICK)


def _timeval(seconds: float) -> bytes:
    # A timeval of zero means no timeout at all: socket(7).
    microseconds = max(1, round(seconds * 1_000_000))
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))
