"""A socket that speaks TLS, for the models that read and write sockets themselves, waiting in the kernel or not at all.

What goes through it is encrypted by `tls_session`; the deadlines of what clients must go on with are kept here.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from typing import TYPE_CHECKING, Final

from rpcserver.workers.refusals import PROGRESS, READ_SIZE, SlowFrame
from rpcserver.workers.tls_session import TlsFailure, TlsSession

if TYPE_CHECKING:
    import ssl

    from rpcserver.service.context import Peer

_NEVER: Final = float("inf")
_CHUNK: Final = PROGRESS
_FRUITLESS: Final = 64
"""How many reads without a plain byte in them are made in a row."""


class TlsSocket:
    """Takes the place of a connected socket, of which it has the methods that the worker models use.

    The handshake is made as bytes are received. Like the socket, it raises BlockingIOError where it would have to
    wait, or has waited for long enough; it is then called again, `send` with what it was given before.

    Args:
        connection: the socket; it is closed with this.
        context: the server's certificate, and what it asks of clients.
        peer: learns whom the client's certificate is for.
        limit: how long the handshake and each record may take to arrive, in seconds; 0 is as long as they like.

    Attributes:
        family: that of the socket.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, peer: Peer, limit: float) -> None:
        self.family = connection.family
        self._socket = connection
        self._session = TlsSession(context)
        self._peer = peer
        self._limit = limit
        # When the handshake, or the record that has begun, has taken too long; 0 where nothing has begun.
        self._deadline = time.monotonic() + (limit or _NEVER)
        # What was encrypted and has not been sent, and how many plain bytes these are, if it is not the handshake.
        self._unsent: bytes | memoryview = b""
        self._accepted = 0
        self._introduced = False
        self._end_said = False

    @property
    def established(self) -> bool:
        """Whether the handshake is done."""
        return self._session.established

    @property
    def failed(self) -> bool:
        """Whether nothing can be said to the client, or read from it, any more."""
        return self._session.failed

    @property
    def unfinished(self) -> bool:
        """Whether the client has begun what it must go on with: its handshake, or a record."""
        return self._session.unfinished

    @property
    def ended(self) -> bool:
        """Whether `recv` would return the end of the stream, although nothing can be read from the socket."""
        return self._session.ended

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self._socket.fileno()

    def setblocking(self, blocking: bool, /) -> None:
        """Have the kernel wait, or not."""
        self._socket.setblocking(blocking)

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set one of the options in socket(7) and tcp(7)."""
        self._socket.setsockopt(level, option, value)

    def recv(self, size: int, /) -> bytes:
        """Read from the socket, and return all plain bytes in what came, or nothing at the end of the stream.

        Args:
            size: the most to read from the socket; that many and a record more may be returned.

        Raises:
            BlockingIOError: nothing came, or nothing whole.
            TlsFailure: it is no TLS, breaks it, or takes too long for the handshake.
            SlowFrame: a record takes too long.
            TruncatedFrame: the stream ended inside a record.
            OSError: the connection is lost.
        """
        if self._end_said:
            # Nobody wants to know what it says.
            return self._socket.recv(size)
        for _ in range(_FRUITLESS):
            plain = self._read(size)
            if plain or self._session.ended:
                return plain
        raise BlockingIOError

    def shake_hands(self) -> None:
        """Read once from the socket, for a handshake that is not done; what comes with its end is lost.

        Raises:
            BlockingIOError, TlsFailure, OSError: as in `recv`.
        """
        self._read(READ_SIZE)
        if self._session.ended:
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone")

    def send(self, data: bytes | memoryview, /) -> int:
        """Encrypt and write.

        Returns:
            How much of the data was taken. What a client that has failed cannot be told is taken as well.

        Raises:
            BlockingIOError: the client does not read; none of it was taken.
            OSError: the connection is lost.
        """
        if self._session.failed:
            return len(data)
        if self._unsent:
            self._send_rest()
        if self._accepted:
            accepted, self._accepted = self._accepted, 0
            return accepted
        taken = len(data)
        if taken > _CHUNK:
            taken = _CHUNK
            data = memoryview(data)[:taken]
        encrypted = self._session.write(data)
        try:
            sent = self._socket.send(encrypted)
        except BlockingIOError:
            sent = 0
        if sent < len(encrypted):
            self._unsent = memoryview(encrypted)[sent:]
            self._accepted = taken
            raise BlockingIOError
        return taken

    def flush(self) -> bool:
        """Write what TLS itself has to say; True when nothing of it is left.

        Raises:
            OSError: the connection is lost.
        """
        if self._unsent and not self._accepted:
            with contextlib.suppress(BlockingIOError):
                self._send_rest()
        return not self._unsent or bool(self._accepted)

    def give_up(self) -> TlsFailure:
        """End a handshake that has taken too long, and return what to say about it."""
        return self._session.give_up(self._limit)

    def shutdown(self, how: int, /) -> None:
        """Say that no more comes; what is received then is neither decrypted nor looked at."""
        self._say_end()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        # There is nobody to tell where the client has not read all of it.
        if not self._unsent:
            self._say_end()
        self._socket.close()

    def _read(self, size: int) -> bytes:
        session = self._session
        if session.ended:
            return b""
        if self._unsent:
            self._send_output()
        try:
            data = self._socket.recv(size)
        except BlockingIOError:
            self._check_time()
            raise
        if not data:
            session.receive_eof()
            return b""
        try:
            plain = session.receive(data)
        except TlsFailure:
            with contextlib.suppress(OSError):
                self._send_output()
            raise
        if self._deadline or not plain:
            self._note_progress(fruitful=bool(plain))
        return plain

    def _note_progress(self, *, fruitful: bool) -> None:
        """See what has come of what the client must go on with."""
        session = self._session
        self._send_output()
        if session.established and not self._introduced:
            self._introduced = True
            self._peer.subject = session.subject
        if fruitful:
            self._deadline = 0.0
        if session.mid_record:
            # As in `blocking`: the client may hold the rest back until this is acknowledged.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._check_time()

    def _check_time(self) -> None:
        session = self._session
        now = time.monotonic()
        if not session.established:
            if now >= self._deadline:
                raise session.give_up(self._limit)
        elif not session.mid_record:
            self._deadline = 0.0
        elif not self._deadline:
            self._deadline = now + (self._limit or _NEVER)
        elif now >= self._deadline:
            raise SlowFrame(self._limit)

    def _send_output(self) -> None:
        """Write what TLS itself has to say, as far as the client takes it."""
        if output := self._session.output():
            self._unsent = bytes(self._unsent) + output
        if self._unsent and not self._accepted:
            with contextlib.suppress(BlockingIOError):
                self._send_rest()

    def _send_rest(self) -> None:
        sent = self._socket.send(self._unsent)
        self._unsent = memoryview(self._unsent)[sent:]
        if self._unsent:
            raise BlockingIOError

    def _say_end(self) -> None:
        if self._end_said:
            return
        self._end_said = True
        # Frames say where they end, so that a client which is too slow even for this loses nothing.
        if data := bytes(self._unsent) + self._session.end():
            with contextlib.suppress(OSError):
                self._socket.send(data, socket.MSG_DONTWAIT)
