"""One connected stream socket with a deadline on every step: connect, exchange a request for a reply, look if idle.

Whether to reconnect or to send again is decided in `client`; what the bytes mean is rpcwire's.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.dialling import LONGEST_WAIT, NAP, acknowledge, dial, seconds_asleep
from rpcshell.client.other_protocols import SHOWN, not_a_reply, silence, stranger
from rpcshell.client.retry import Dropped
from rpcshell.client.target import Target, TcpTarget
from rpcshell.client.unreachable import system_reason
from rpcwire import ClientConnection, Goodbye, RemoteError, Reply, TruncatedFrame

if TYPE_CHECKING:
    from rpcshell.client.tls import TlsFiles, TlsStream
    from rpcshell.client.trace import Ends, Exchange
    from rpcwire import Meta

__all__ = ["Connection"]

_READ: Final = 64 * 1024
_READ_LARGE: Final = 1024 * 1024


class Connection:
    """A connected socket with at most one request on it.

    Args:
        sock: The connected socket or TLS stream; owned from now on.
        target: Where it leads, for messages.
        max_reply: The largest reply accepted, in bytes.
    """

    __slots__ = (
        "_asleep",
        "_first",
        "_observer",
        "_poll",
        "_served_by",
        "_silent",
        "_socket",
        "_tls",
        "_wire",
        "target",
    )

    def __init__(self, sock: socket.socket | TlsStream, target: Target, max_reply: int) -> None:
        self._tls: TlsStream | None = None
        if isinstance(sock, socket.socket):
            sock.setblocking(False)
        else:
            self._tls = sock
        self._socket = sock
        self._wire = ClientConnection(max_reply)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._first = b""
        self._silent = True
        self._asleep = seconds_asleep()
        self._observer: Exchange | None = None
        self._served_by: Meta | None = None
        self.target = target

    @classmethod
    def open(cls, target: Target, *, timeout: float, max_reply: int, tls: TlsFiles | None = None) -> Connection:
        """Connect.

        Args:
            target: Where to.
            timeout: Seconds for all addresses of the target together.
            max_reply: The largest reply accepted, in bytes.
            tls: What a TLS target is verified with, and what it is shown.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        return cls(dial(target, timeout, tls), target, max_reply)

    def close(self) -> None:
        """Close the socket; what still arrives for it is lost."""
        self._socket.close()

    def usable(self) -> bool:
        """Whether an idle connection can take a request: no end, no goodbye and nothing unasked has arrived.

        After the machine has slept none can: the peer, or what is between, may have dropped it without a word.
        """
        if self._wire.closing or self._wire.mid_frame or seconds_asleep() - self._asleep > NAP:
            return False
        try:
            self._socket.recv(_READ)
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
        close: bool,
        deadline: float | None,
        observer: Exchange | None = None,
    ) -> tuple[Reply, bool]:
        """Send a request and wait for its reply.

        Args:
            method: The method's name.
            params: Its params.
            meta: Whether to ask who served it.
            close: Whether to tell the server that this side heeds `close`.
            deadline: When to stop waiting, on `time.monotonic`'s clock, or None.
            observer: Takes times and bytes; without one, nothing is noted.

        Returns:
            The reply, and whether the connection can take another request.

        Raises:
            EncodeError: JSON cannot carry the params; nothing was sent.
            FrameTooLarge: The params are over 4 GiB; nothing was sent.
            Dropped: The connection ended first.
            ProtocolError: Something came that is no reply.
            TlsFailed: The server has refused this client; nothing was run.
            TimeoutError: The deadline passed.
        """
        request = self._wire.request(method, params, meta=meta, close=close)
        self._first = b""
        self._observer = observer
        if observer is not None:
            observer.sends(request, self._served_by)
        try:
            if self._send(request, deadline):
                if observer is not None:
                    observer.sent = time.monotonic()
                reply = self._reply(deadline)
                if reply.meta is not None:
                    self._served_by = reply.meta
                return reply, not (reply.close or self._wire.mid_frame)
            return self._reply_to_part(deadline), False
        except RemoteError as error:
            raise not_a_reply(self.target, error, self._first) from None
        except BaseException:
            # Whoever wants to know what became of it finds the server's end by these, once this one is closed.
            if observer is not None:
                observer.ends = self._ends()
            raise

    def _send(self, request: bytes, deadline: float | None) -> bool:
        """Send; False when the peer ended the connection, or spoke, before it had taken everything."""
        rest = memoryview(request)
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                pass
            except OSError:
                return False
            if not rest:
                return True
            # A server that refuses a large request says so while it is still being sent.
            self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
            try:
                ready = self._wait(deadline)
            finally:
                self._poll.modify(self._socket, select.POLLIN)
            if ready & select.POLLIN and self._heard():
                return False

    def _heard(self) -> bool:
        """Whether what can be read while a request is being sent is the peer's word, and not TLS's own."""
        if self._tls is None:
            return True
        try:
            self._take(self._tls.recv(_READ))
        except BlockingIOError:
            return False
        except OSError:
            # It comes again to whoever reads next.
            return True
        return True

    def _reply(self, deadline: float | None) -> Reply:
        while (reply := self._event()) is None:
            if self._wire.mid_frame and isinstance(self.target, TcpTarget) and isinstance(self._socket, socket.socket):
                acknowledge(self._socket)
            self._receive(deadline)
        return reply

    def _reply_to_part(self, deadline: float | None) -> Reply:
        """What a peer says that did not take the whole request: it has run nothing."""
        try:
            return self._reply(deadline)
        except Dropped as dropped:
            raise Dropped(dropped.reason, not_run=True, hint=dropped.hint) from dropped

    def _event(self) -> Reply | None:
        event = self._wire.next_event()
        if isinstance(event, Goodbye):
            raise Dropped("the server is closing it", not_run=True)
        return event

    def _receive(self, deadline: float | None) -> None:
        if self._tls is None or not self._tls.pending():
            self._wait(deadline)
        try:
            data = self._socket.recv(_READ_LARGE if self._wire.mid_frame else _READ)
        except BlockingIOError:
            return
        except OSError as error:
            raise self._dropped(system_reason(error)) from error
        if data:
            self._take(data)
            return
        try:
            self._wire.receive_eof()
        except TruncatedFrame as error:
            if (known := stranger(self.target, self._first)) is not None:
                raise known from None
            raise self._dropped(f"inside the reply, {error}") from None
        raise self._dropped("the server closed it without a reply")

    def _dropped(self, reason: str) -> Dropped:
        return Dropped(reason, not_run=False, hint=silence(self.target) if self._silent else None)

    def _ends(self) -> Ends | None:
        """The addresses of both ends, or None where there is no other any more."""
        try:
            with socket.socket(fileno=os.dup(self._socket.fileno())) as same:
                return same.getsockname(), same.getpeername()
        except OSError:
            return None

    def _take(self, data: bytes) -> None:
        self._silent = False
        if self._observer is not None:
            self._observer.takes(data)
        if len(self._first) < SHOWN:
            self._first += data[:SHOWN]
        self._wire.receive(data)

    def _wait(self, deadline: float | None) -> int:
        events: list[tuple[int, int]] = []
        if self._observer is not None:
            events = self._wait_observed(self._observer, deadline)
        if not events and deadline is None:
            events = self._poll.poll()
        while not events:
            remaining = (deadline or 0.0) - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            events = self._poll.poll(math.ceil(min(remaining, LONGEST_WAIT) * 1000))
        return events[0][1]

    def _wait_observed(self, observer: Exchange, deadline: float | None) -> list[tuple[int, int]]:
        """Wait, and tell of long silences, until something happens or the deadline is nearer than the next of them."""
        while deadline is None or deadline - time.monotonic() > observer.patience:
            if events := self._poll.poll(min(observer.patience, LONGEST_WAIT) * 1000):
                return events
            observer.silent(self._ends())
        return []
