"""A connected stream socket under a `Requester`, with a deadline on every step."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.dialling import LONGEST_WAIT, NAP, acknowledge, dial, ends_of, hear_out, part, seconds_asleep
from rpcshell.client.errors import ProtocolError
from rpcshell.client.socket_owners import listening_process, listening_program
from rpcshell.client.target import TcpTarget, TlsFiles

if TYPE_CHECKING:
    from rpcshell.client.exchange import Requester
    from rpcshell.client.tls import TlsStream
    from rpcshell.client.trace import CallTrace, Ends
    from rpcwire import Reply

_READ: Final = 64 * 1024
_READ_LARGE: Final = 1024 * 1024

_REST: Final = 1.0
"""Seconds that the rest of a reply has at least that has begun to come while the connection was looked at for news."""


class Connection:
    """A connected socket or TLS stream, owned from now on, with at most one request on it.

    Attributes:
        left: Whether it was told that no more is asked.
        over: Whether it was seen to end while it was looked at for news.
    """

    __slots__ = (
        "_asleep",
        "_heard_aside",
        "_poll",
        "_requester",
        "_rest_due",
        "_socket",
        "_tls",
        "_trace",
        "left",
        "over",
    )

    def __init__(self, stream: socket.socket | TlsStream, requester: Requester) -> None:
        self._tls: TlsStream | None = None
        if isinstance(stream, socket.socket):
            stream.setblocking(False)
        else:
            self._tls = stream
        self._socket = stream
        self._requester = requester
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        self._asleep = seconds_asleep()
        self._trace: CallTrace | None = None
        self.left = self.over = self._heard_aside = False
        self._rest_due = 0.0

    @classmethod
    def open(cls, requester: Requester, *, timeout: float, tls: TlsFiles | None = None) -> Connection:
        """Connect to where a requester wants to go, within `timeout` seconds for all of its addresses.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        return cls(dial(requester.target, timeout, tls), requester)

    @property
    def reusable(self) -> bool:
        """Whether it can take another request, for all that has been read."""
        return not self.left and self._requester.reusable

    def peer_user(self) -> int | None:
        """The user id of the process that listens at the other end of a Unix socket, where the system tells it."""
        listening = listening_process(self._socket)
        return None if listening is None else listening[1]

    def program(self) -> str:
        """Who listens at the other end of a Unix socket, where the system tells: a program and its process."""
        return listening_program(self._socket)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def ends(self) -> Ends | None:
        """The addresses of both ends, or None where there is no other any more."""
        return ends_of(self._socket)

    def leave(self) -> None:
        """Say that no more is asked; the reply that is due is still waited for, and nothing else comes after it."""
        self.left = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def has_news(self) -> bool:
        """Whether there is something for whoever waits for a reply, which is taken in, or an end that nobody caused."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._requester.receive(data)
            self._heard_aside = True
            self._rest_due = time.monotonic() + _REST
        else:
            self.over = True
        return bool(data) or not self.left

    def close(self) -> None:
        """Close the socket; what still arrives for it is lost."""
        self._socket.close()

    def abandon(self) -> None:
        """Let go of it in a process that was forked, and leave the parent's as it is."""
        self.close()

    def shut_down(self) -> None:
        """End it for a thread that uses it, which then finds the end and closes it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def usable(self) -> bool:
        """Whether one that was reusable still is: no end, no goodbye and nothing unasked has arrived since.

        After the machine has slept none is: the peer, or what is between, may have dropped it without a word.
        """
        if seconds_asleep() - self._asleep > NAP:
            return False
        try:
            if self._socket.recv(_READ):
                hear_out(self._socket)
        except BlockingIOError:
            return True
        except OSError:
            return False
        # Nothing is due, so a goodbye, an end and a reply to nobody all mean: not this connection.
        return False

    def exchange(
        self,
        method: str,
        params: object,
        *,
        meta: bool,
        plain: bool,
        deadline: float | None,
        trace: CallTrace | None = None,
        partial: object = None,
    ) -> Reply:
        """Send a request and wait for its reply until `deadline`, on `time.monotonic`'s clock.

        There is one reply to a call, and so nothing for `partial`.

        Raises:
            UsageError: The params cannot be sent; nothing was.
            Dropped: The connection ended first.
            ProtocolError: Something came that is no reply.
            TlsFailed: The server has refused this client; nothing was run.
            TimeoutError: The deadline passed; its text is what has come of the reply, if anything has.
        """
        requester = self._requester
        request = requester.request(method, params, meta=meta, plain=plain, trace=trace)
        self._trace = trace
        try:
            self._send(request, deadline)
            reply = requester.next_reply() if requester.unsent else None
            while reply is None:
                self._receive(deadline)
                reply = requester.next_reply()
            return reply
        except BaseException as error:
            if isinstance(error, ProtocolError) and not self.left:
                part(self._socket)
            if trace is not None:
                trace.failed(self.ends())
            if isinstance(error, TimeoutError):
                raise TimeoutError(requester.unfinished) from None
            raise

    def _send(self, request: bytes, deadline: float | None) -> None:
        """Send until all is sent, or the peer has spoken or ended the connection."""
        rest = memoryview(request)
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                pass
            except OSError:
                return
            if not rest:
                self._requester.sent()
                return
            self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
            try:
                ready = self._wait(deadline)
            finally:
                self._poll.modify(self._socket, select.POLLIN)
            if ready & select.POLLIN and self._heard():
                return

    def _heard(self) -> bool:
        """Whether what can be read while a request is being sent is the peer's word, and not TLS's own."""
        if self._tls is None:
            return True
        try:
            self._requester.receive(self._tls.recv(_READ))
        except BlockingIOError:
            return False
        except OSError:
            # The next read meets the same error, and tells it.
            return True
        return True

    def _receive(self, deadline: float | None) -> None:
        requester = self._requester
        mid_frame = requester.mid_frame
        if self._tls is None:
            if mid_frame and isinstance(requester.target, TcpTarget) and isinstance(self._socket, socket.socket):
                acknowledge(self._socket)
            self._wait(deadline)
        elif not self._tls.pending():
            self._wait(deadline)
        if self._heard_aside:
            self._heard_aside = False
            return
        try:
            data = self._socket.recv(_READ_LARGE if mid_frame else _READ)
        except BlockingIOError:
            return
        except OSError as error:
            raise requester.ended(error) from error
        if not data:
            raise requester.ended()
        requester.receive(data)

    def _wait(self, deadline: float | None) -> int:
        events: list[tuple[int, int]] = []
        if self._trace is not None:
            events = self._wait_traced(self._trace, deadline)
        if not events and deadline is None:
            events = self._poll.poll()
        while not events:
            remaining = max(deadline or 0.0, self._rest_due) - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            events = self._poll.poll(math.ceil(min(remaining, LONGEST_WAIT) * 1000))
        return events[0][1]

    def _wait_traced(self, trace: CallTrace, deadline: float | None) -> list[tuple[int, int]]:
        """Wait, and tell of long silences, until something happens or the deadline is nearer than the next of them."""
        while deadline is None or deadline - time.monotonic() > trace.patience:
            if events := self._poll.poll(min(trace.patience, LONGEST_WAIT) * 1000):
                return events
            trace.silent(self.ends(), self)
            if self._heard_aside:
                return [(self.fileno(), select.POLLIN)]
        return []
