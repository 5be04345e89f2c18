"""One connection of the pool model: what has been read and not run, what shall be written, and how it ends.

Nothing here waits and nothing here is locked: a connection belongs to one thread at a time. Which one that is, and
when, is the business of `parking` and `pool`.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcserver.service.context import Peer
from rpcserver.system.addresses import peer_address
from rpcserver.workers.refusals import LINGER_BYTES, PROGRESS, READ_SIZE, describe, give_up, refuse_stream
from rpcwire import GOODBYE, FrameDecoder, FrameError, TruncatedFrame

if TYPE_CHECKING:
    from rpcserver.system.settings import Settings
    from rpcserver.workers.tls_socket import TlsSocket

RESET_ON_CLOSE = __import__("struct").pack("ii", 1, 0)
logger = logging.getLogger(__name__)

NEVER: Final = float("inf")


class State(enum.Enum):
    """Whose a connection is: the poller's while it waits for its client, else the pool's."""

    READING = "reading"
    WRITING = "writing"
    LINGERING = "lingering"
    TAKEN = "taken"


class PooledConnection:
    """A connection on a non-blocking socket.

    Args:
        connection: a connected stream socket.
        settings: limits and deadlines.

    Attributes:
        peer: who is at the other end.
        state: whose the connection is.
        deadline: until when its state may last, in monotonic seconds.
        leaving: whether it shall end as soon as what has arrived is answered.
        last_said: whether the reply that says `close`, or a goodbye, has been held or written.
        ended: whether the client has ended its side.
        lost: whether nothing can be read or written any more.
        held: how many bytes of replies wait to be written.
    """

    def __init__(self, connection: socket.socket, settings: Settings) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.peer = Peer(peer_address(connection))
        self.state = State.TAKEN
        self.deadline = NEVER
        self.leaving = False
        self.last_said = False
        self.ended = False
        self.lost = False
        self.held = 0
        self._socket: socket.socket | TlsSocket = connection
        self._settings = settings
        self._decoder = FrameDecoder(settings.max_frame)
        self._frames: deque[bytes | bytearray] = deque()
        self._failure: FrameError | None = None
        self._frame_deadline = 0.0
        self._grace_deadline = 0.0
        self._replies: list[bytes] = []
        self._unsent = memoryview(b"")
        self._taken = 0
        self._write_deadline = 0.0
        self._discarded = 0
        # The request that runs, by its start. Whoever pops it has the right to answer: one step under the GIL.
        self._running: dict[float, bytes | bytearray] = {}

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self._socket.fileno()

    @property
    def has_requests(self) -> bool:
        """Whether whole requests wait to be run."""
        return bool(self._frames)

    def receive(self) -> None:
        """Read once, and cut what came into requests."""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        decoder = self._decoder
        if not data:
            self.ended = True
            try:
                decoder.feed_eof()
            except TruncatedFrame as error:
                logger.info("%s: %s", self.peer.address, error)
            return
        body = decoder.sole_frame(data)
        if body is not None:
            self._frames.append(body)
            return
        decoder.feed(data)
        try:
            while (body_ := decoder.next_frame()) is not None:
                self._frames.append(body_)
        except FrameError as error:
            self._failure = error
        else:
            if decoder.mid_frame and self._socket.family != socket.AF_UNIX:
                # As in `blocking`: a client may hold the rest back until this is acknowledged.
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if self._frames:
            self._frame_deadline = 0.0

    def next_request(self) -> tuple[bytes | bytearray, bool] | None:
        """Take the next request, and whether its reply is the connection's last."""
        if not self._frames:
            return None
        body = self._frames.popleft()
        return body, self.leaving and not self._frames and self._failure is None

    def begin(self, body: bytes | bytearray) -> float:
        """Note the request that is run from now on; returns what `finish` wants to know."""
        began = time.monotonic()
        self._running[began] = body
        return began

    def finish(self, began: float) -> bool:
        """Note that the request has been run; False when it was given up, and the connection is another thread's."""
        return self._running.pop(began, None) is not None

    def give_up(self, now: float) -> bool:
        """Take the connection from a thread that has been running its request for too long.

        Args:
            now: the time in monotonic seconds.

        Returns:
            Whether it was taken; it then has its last reply to write.
        """
        for began in list(self._running):
            if now - began < self._settings.timeout:
                continue
            body = self._running.pop(began, None)
            if body is not None:
                self._frames.clear()
                self._failure = None
                self.hold(give_up(body, self._settings.timeout), last=True)
                return True
        return False

    def hold(self, reply: bytes, *, last: bool = False) -> None:
        """Keep a reply until `flush`.

        Args:
            reply: the reply as a frame.
            last: whether nothing is answered after it.
        """
        self._replies.append(reply)
        self.held += len(reply)
        if last:
            self.last_said = True

    def flush(self) -> bool:
        """Write what is held, as far as the client takes it; True when nothing is left."""
        if self._replies:
            if self._unsent:
                self._replies.insert(0, bytes(self._unsent))
            self._unsent = memoryview(b"".join(self._replies))
            self._replies.clear()
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError as error:
                self._lose(error)
                return False
            self._unsent = self._unsent[sent:]
            self._taken += sent
        self.held = 0
        self._write_deadline = 0.0
        return True

    @property
    def is_silent(self) -> bool:
        """Whether the client has sent nothing that must be seen to before the connection may end."""
        return not (self._frames or self._failure or self.mid_frame or self.ended or self.lost)

    def conclude(self) -> None:
        """Hold the last word, if there is a reason for one and it has not been said: the stream is out of step."""
        if self._failure is not None and not self.last_said:
            logger.info("%s: %s", self.peer.address, describe(self._failure))
            self.hold(refuse_stream(self._failure), last=True)

    def fail(self, failure: FrameError) -> None:
        """Note that no further request can be found in the stream."""
        self._failure = failure

    def say_goodbye(self) -> None:
        """End a connection between two requests; a client that does not know the frame sees a plain end."""
        self.last_said = True
        if self.peer.heeds_close:
            self.hold(GOODBYE)

    def leave(self, grace_deadline: float) -> None:
        """Shall end as soon as what has arrived is answered.

        Args:
            grace_deadline: until when a client that knows nothing of `close` has time for one more request.
        """
        self.leaving = True
        self._grace_deadline = grace_deadline

    def reading_deadline(self, now: float) -> float:
        """Until when the client may take for its next bytes, now that the connection waits for them."""
        settings = self._settings
        if self.mid_frame:
            if not self._frame_deadline:
                self._frame_deadline = now + (settings.read_timeout or NEVER)
            return self._frame_deadline
        if self.leaving:
            return now if self.peer.heeds_close else self._grace_deadline
        return now + (settings.idle_timeout or NEVER)

    def writing_deadline(self, now: float) -> float:
        """Until when the client may take for the next bytes of its replies, now that the connection waits for it."""
        if not self._write_deadline or self._taken >= PROGRESS:
            self._taken = 0
            self._write_deadline = now + (self._settings.write_timeout or NEVER)
        return self._write_deadline

    @property
    def mid_frame(self) -> bool:
        """Whether part of a request has arrived."""
        return self._decoder.mid_frame

    def end_writing(self) -> None:
        """Say that no more comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lose(error)

    def discard(self) -> bool:
        """Throw away what arrives after the last word; True at the client's end, or when it sends too much."""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._discarded += len(data)
        return not data or self._discarded >= LINGER_BYTES

    def reset(self) -> None:
        """Make `close` throw away what the kernel still holds for a client that does not read."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _lose(self, error: OSError) -> None:
        logger.debug("%s: connection lost: %s", self.peer.address, error.strerror)
        self.lost = True
        self._frames.clear()
