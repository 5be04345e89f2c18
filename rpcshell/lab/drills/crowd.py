"""Crowds of connections that take what others need: idle ones that hold workers, and ones that send slowly.

Each connection has a thread and goes by itself; all end together. What their doing means is told by `starving`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self

from rpcshell.client.connection import Connection
from rpcshell.client.dialects.native import Native
from rpcshell.client.dialling import dial
from rpcshell.client.errors import ConnectionFailed, ShellError
from rpcshell.client.exchange import Dropped, Requester
from rpcshell.view.units import duration
from rpcwire import GOODBYE, MAX_REPLY, ClientConnection, Goodbye, RemoteError, encode_request, frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rpcshell.client.target import Target
    from rpcshell.client.tls import TlsFiles, TlsStream
    from rpcshell.lab.drills.probe import ProbedCall
    from rpcshell.lab.drills.timeline import Timeline

__all__ = ["MOST_CONNECTIONS", "Crowd", "Idle", "Member", "Slow"]

MOST_CONNECTIONS: Final = 500

_STACK: Final = 256 * 1024
_READ: Final = 64 * 1024
_RHYTHM: Final = 0.05
"""Seconds between two pieces of a slow request, at least."""

_LARGEST: Final = 8 * 1024 * 1024


class Member(ABC):
    """One connection of a crowd.

    Args:
        number: Which, from 1.
        target: Where it leads.
        tls: Files of TLS.
        call: What it calls.
        timeline: Where it tells what becomes of it.
        until: When it ends by itself, on `time.monotonic`'s clock.

    Attributes:
        worker: The number of the worker that has answered it, or None.
        state: What it is about: connecting, waiting, held, gone or over.
        began: When it began to connect.
    """

    def __init__(
        self, number: int, target: Target, tls: TlsFiles | None, call: ProbedCall, timeline: Timeline, until: float
    ) -> None:
        self.number = number
        self.worker: int | None = None
        self.state = "connecting"
        self.began = 0.0
        self._target = target
        self._tls = tls
        self._called = call
        self._timeline = timeline
        self._until = until
        self._over = False
        self._lock = threading.Lock()
        self._stream: socket.socket | TlsStream | None = None

    def run(self) -> None:
        """Connect, and go on until the end."""
        self.began = time.monotonic()
        try:
            stream = dial(self._target, max(self._until - time.monotonic(), 0.001), self._tls)
        except ConnectionFailed as error:
            if not self._over:
                self._tell("refused", f"found no connection: {error.reason}")
            self.state = "gone"
            return
        with self._lock:
            self._stream = stream
        try:
            if not self._over:
                self.state = "waiting"
                self.live(stream)
        except OSError as error:
            if not self._over:
                self._tell("dropped", f"was cut: {error.strerror or error}")
                self.state = "gone"
        finally:
            with self._lock:
                self._stream = None
                stream.close()
            if self.state != "gone":
                self.state = "over"

    def end(self) -> None:
        """Have the connection ended; its thread sees that soon."""
        with self._lock:
            self._over = True
            if self._stream is None:
                return
            # Closing would not wake a thread that waits; shutting down does, whoever holds the socket.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._stream.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def live(self, stream: socket.socket | TlsStream) -> None:
        """Do what it is for, until the end."""

    def _tell(self, event: str, text: str, **details: Any) -> None:
        self._timeline.add(event, f"connection {self.number} {text}", connection=self.number, **details)


class Idle(Member):
    """Makes one call, so that it is known which worker has it, and then says nothing more."""

    def live(self, stream: socket.socket | TlsStream) -> None:
        """Call, and hold the connection."""
        connection = Connection(stream, Requester(self._target, Native(MAX_REPLY)))
        try:
            reply = connection.exchange(
                self._called.method, self._called.params, meta=True, plain=False, deadline=self._until
            )
        except TimeoutError:
            return
        except Dropped as dropped:
            if not self._over:
                self._tell("dropped", f"was dropped before it was served: {dropped.reason}")
                self.state = "gone"
            return
        except ShellError as error:
            self._tell("dropped", f"was not served: {error.message}")
            self.state = "gone"
            return
        waited = time.monotonic() - self.began
        meta = reply.meta
        if meta is not None:
            self.worker = meta.worker
        if reply.fault is not None and not connection.reusable:
            fault = reply.fault
            self._tell("turned_away", f"is turned away: {fault.code} {fault.message}", code=fault.code)
            self.state = "gone"
            return
        self.state = "held"
        who = "" if meta is None else f" by worker {meta.worker} (pid {meta.pid})"
        pid = None if meta is None else meta.pid
        after = f" after it waited for {duration(waited)}" if waited >= _RHYTHM else ""
        self._tell("held", f"is held{who}{after}", worker=self.worker, pid=pid, waited_ms=round(waited * 1000, 3))
        began = time.monotonic()
        last = self._wait(stream) if connection.reusable else GOODBYE
        if last is None or self._over:
            return
        self.state = "gone"
        idle = duration(time.monotonic() - began)
        if last.startswith(GOODBYE):
            self._tell("reclaimed", f"is let go{who}, after it was idle for {idle}", worker=self.worker, pid=pid)
        else:
            self._tell("dropped", f"has lost its worker without a word, after it was idle for {idle}", pid=pid)

    def _wait(self, stream: socket.socket | TlsStream) -> bytes | None:
        """What the server says at last, nothing where it just ends the connection, or None where it stays."""
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        while (left := self._until - time.monotonic()) > 0:
            poll.poll(left * 1000)
            try:
                return stream.recv(_READ)
            except BlockingIOError:
                continue
            except OSError:
                return b""
        return None


class Slow(Member):
    """Sends a request so slowly that it never ends.

    Args:
        rate: Bytes a second.
    """

    def __init__(
        self,
        number: int,
        target: Target,
        tls: TlsFiles | None,
        call: ProbedCall,
        timeline: Timeline,
        until: float,
        *,
        rate: float,
    ) -> None:
        super().__init__(number, target, tls, call, timeline, until)
        self._rate = rate

    def live(self, stream: socket.socket | TlsStream) -> None:
        """Send piece by piece, and listen for what the server makes of it."""
        if isinstance(stream, socket.socket):
            stream.setblocking(False)
        wire = ClientConnection(MAX_REPLY)
        began = time.monotonic()
        data = memoryview(self._request(self._until - began))
        pause = max(_RHYTHM, 1 / self._rate)
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        sent = 0
        self.state = "held"
        while (now := time.monotonic()) < self._until and sent < len(data):
            due = max(int((now - began) * self._rate), 1)
            if due > sent:
                with contextlib.suppress(BlockingIOError):
                    sent += stream.send(data[sent:due])
            if poll.poll(pause * 1000) and self._heard(stream, wire, time.monotonic() - began, sent):
                return

    def _heard(self, stream: socket.socket | TlsStream, wire: ClientConnection, after: float, sent: int) -> bool:
        """Read; whether the server has ended the connection."""
        try:
            received = stream.recv(_READ)
        except BlockingIOError:
            return False
        if self._over:
            return True
        text = "without a word"
        code = None
        if received:
            try:
                # It was no request yet, so the reply is one to the stream as a whole.
                wire.request(self._called.method, None)
                wire.receive(received)
                event = wire.next_event()
            except RemoteError as error:
                text = f"with something that is no reply: {error}"
            else:
                if event is None:
                    return False
                if not isinstance(event, Goodbye) and event.fault is not None:
                    code = event.fault.code
                    text = f"{code}: {event.fault.message}"
        self.state = "gone"
        what = f"is dropped after {duration(after)} and {sent} bytes, {text}"
        self._tell("dropped", what, code=code, after_ms=round(after * 1000, 3), bytes=sent)
        return True

    def _request(self, seconds: float) -> bytes:
        """A request that takes longer than that to send."""
        size = min(int(self._rate * seconds) + 1024, _LARGEST)
        return frame(encode_request(self._called.method, {"padding": " " * size}))


class Crowd:
    """Some connections, all begun at once; a context manager that ends them.

    Args:
        members: The connections.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        former = threading.stack_size(_STACK)
        self._threads = [
            threading.Thread(target=member.run, name=f"crowd-{member.number}", daemon=True) for member in members
        ]
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:
            self.end()
            raise
        finally:
            threading.stack_size(former)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def count(self, state: str) -> int:
        """How many connections are about something.

        Args:
            state: What.
        """
        return sum(member.state == state for member in self.members)

    @property
    def over(self) -> bool:
        """Whether no connection is there any more."""
        return all(member.state in {"gone", "over"} for member in self.members)

    def end(self) -> None:
        """End all connections."""
        for member in self.members:
            member.end()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)
