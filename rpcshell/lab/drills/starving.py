"""Drills that take workers from others without a single call: idle connections, and requests that come slowly.

Each connection of such a crowd has a thread and goes by itself; all end together.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.connection import Connection
from rpcshell.client.dialects.native import Native
from rpcshell.client.dialling import dial
from rpcshell.client.errors import ConnectionFailed, ProtocolError, ShellError
from rpcshell.client.exchange import Dropped, Requester
from rpcshell.lab.drills.drill import CALM, Verdict
from rpcshell.lab.load.callers import small_stacks
from rpcshell.view.units import count_of, duration, plural
from rpcwire import GOODBYE, MAX_REPLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.client.tls import TlsStream
    from rpcshell.lab.drills.drill import Drill

_SAMPLE: Final = 1.0
_AGAINST_IDLE: Final = "more workers (:scale), --model thread or a shorter --reclaim-idle would help"
_AGAINST_SLOW: Final = "more workers (:scale), --model thread or a shorter --read-timeout would help"

_READ: Final = 64 * 1024
_RHYTHM: Final = 0.05
"""Seconds between two pieces of a slow request, at least."""

_LARGEST: Final = 8 * 1024 * 1024
_MOST: Final = 500
"""Connections, where nobody has said how many."""


def hold(drill: Drill, connections: int, seconds: float) -> None:
    """Hold idle connections."""
    until = time.monotonic() + seconds
    members = [_Idle(number, drill, until) for number in range(1, connections + 1)]
    whole = count_of(connections, "idle connection")
    drill.verdict = Verdict(f"{whole} {plural(connections, 'was', 'were')} held, and let go before the time.")
    _starve(drill, members, until)
    timeline = drill.timeline
    held = len({moment.details["connection"] for moment in timeline.find("held")})
    kept_out = [member for member in members if member.worker is None]
    parts = [f"{held} of {whole} {plural(held, 'was', 'were')} let in by {_holders(members)}"]
    if kept_out:
        parts.append(f"{len(kept_out)} never {plural(len(kept_out), 'was', 'were')}")
    if reclaimed := timeline.count("reclaimed"):
        parts.append(f"{reclaimed} had to go for others that waited")
    text = f"{', '.join(parts)}. {_effect(drill, _AGAINST_IDLE)}"
    drill.verdict = Verdict(text, _recovery(drill))


def slow(drill: Drill, connections: int | None, rate: float, seconds: float) -> None:
    """Send requests slowly, `rate` bytes a second on each connection; on one for each worker, if not given."""
    connections = connections or min(len(drill.before.workers), _MOST)
    until = time.monotonic() + seconds
    members = [_Slow(number, drill, until, rate=rate) for number in range(1, connections + 1)]
    senders = count_of(connections, "slow sender")
    drill.verdict = Verdict(f"{senders} {plural(connections, 'was', 'were')} let go before the time.")
    _starve(drill, members, until)
    if dropped := drill.timeline.find("dropped"):
        after = min(moment.details.get("after_ms", 0.0) for moment in dropped) / 1000
        were = plural(len(dropped), "was", "were")
        text = f"{len(dropped)} of {senders} {were} dropped, the first after {duration(after)}"
    else:
        text = f"None of {senders} was dropped within {duration(seconds)}: the read deadline is later"
    text += f". {_effect(drill, _AGAINST_SLOW)}"
    drill.verdict = Verdict(text, _recovery(drill))


def _starve(drill: Drill, members: Sequence[_Member], until: float) -> None:
    """Let a crowd do its work, and tell every second how it stands."""
    due = time.monotonic() + _SAMPLE / 2

    def tick() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + _SAMPLE
            drill.timeline.add("sample", _sample(drill, members), held=_count(members, "held"))

    with _crowd(members):
        left = until - time.monotonic()
        drill.follower.until(lambda _: _count(members, "gone", "over") == len(members), left, tick)
        drill.follower.refresh()
        drill.timeline.add("released", "the connections are closed")


def _count(members: Sequence[_Member], *states: str) -> int:
    return sum(member.state in states for member in members)


def _sample(drill: Drill, members: Sequence[_Member]) -> str:
    counts = {
        "open": _count(members, "held"),
        "waiting to be let in": _count(members, "waiting", "connecting"),
        "gone": _count(members, "gone"),
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no connection is open"
    waited, took = drill.probe.now(time.monotonic())
    call = "no normal call was made"
    if waited > drill.probe.stall:
        call = f"a normal call has waited for {duration(waited)}"
    elif took is not None:
        call = f"a normal call takes {duration(took)}"
    return f"{told}; {call}"


def _effect(drill: Drill, cure: str) -> str:
    report = drill.probe.report()
    if report.longest < drill.probe.stall:
        return "Normal calls went on meanwhile."
    advice = "" if drill.follower.status.concurrent else f": {cure}"
    return f"A normal call waited for up to {duration(report.longest)}{advice}."


def _recovery(drill: Drill) -> float | None:
    """Look until calls are answered as before; seconds it took, or None where it was never otherwise, or still is."""
    took = drill.healthy_after(time.monotonic())
    if took is None:
        return None
    drill.follower.seconds(CALM)
    return took if drill.timeline.count("calls_wait") else None


def _holders(members: Sequence[_Member]) -> str:
    workers = sorted({member.worker for member in members if member.worker is not None})
    if not workers:
        return "no worker"
    return f"worker {workers[0]}" if len(workers) == 1 else f"{len(workers)} workers"


class _Member(ABC):
    """One connection of a crowd, numbered from 1, which ends by itself at a time on `time.monotonic`'s clock."""

    def __init__(self, number: int, drill: Drill, until: float) -> None:
        self.number = number
        self.worker: int | None = None
        """The number of the worker that has answered it."""
        self.state = "connecting"
        """Or waiting, held, gone or over."""
        self.began = 0.0
        """When it began to connect."""
        self._target = drill.target
        self._tls = drill.tls
        self._called = drill.called
        self._timeline = drill.timeline
        self._until = until
        self._over = False
        self._lock = threading.Lock()
        self._stream: socket.socket | TlsStream | None = None

    def run(self) -> None:
        self.began = time.monotonic()
        try:
            stream = dial(self._target, max(self._until - time.monotonic(), 0.001), self._tls)
        except ConnectionFailed as error:
            self.state = "over"
            self._leave("refused", f"found no connection: {error.reason}")
            return
        with self._lock:
            self._stream = stream
        try:
            if not self._over:
                self.state = "waiting"
                self.live(stream)
        except OSError as error:
            self._leave("dropped", f"was cut: {error.strerror or error}")
        finally:
            with self._lock:
                self._stream = None
                stream.close()
            if self.state != "gone":
                self.state = "over"

    def end(self) -> None:
        with self._lock:
            self._over = True
            if self._stream is None:
                return
            # Closing would not wake a thread that waits; shutting down does, whoever holds the socket.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._stream.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def live(self, stream: socket.socket | TlsStream) -> None:
        """Do what it is for, until the time is over."""

    def _leave(self, event: str, text: str, **details: Any) -> None:
        """Tell why the connection is gone, unless it was to be ended."""
        if not self._over:
            self.state = "gone"
            self._tell(event, text, **details)

    def _tell(self, event: str, text: str, **details: Any) -> None:
        self._timeline.add(event, f"connection {self.number} {text}", connection=self.number, **details)


class _Idle(_Member):
    """Makes one call, so that it is known which worker has it, and then says nothing more."""

    def live(self, stream: socket.socket | TlsStream) -> None:
        connection = Connection(stream, Requester(self._target, Native(MAX_REPLY)))
        try:
            reply = connection.exchange(
                self._called.method, self._called.params, meta=True, plain=False, deadline=self._until
            )
        except TimeoutError:
            return
        except Dropped as dropped:
            self._leave("dropped", f"was dropped before it was served: {dropped.reason}")
            return
        except ShellError as error:
            self._leave("dropped", f"was not served: {error.message}")
            return
        waited = time.monotonic() - self.began
        who, pid = "", None
        if (meta := reply.meta) is not None:
            self.worker, pid = meta.worker, meta.pid
            who = f" by worker {self.worker} (pid {pid})"
        if (fault := reply.fault) is not None and not connection.reusable:
            self._leave("turned_away", f"is turned away: {fault.code} {fault.message}", code=fault.code)
            return
        self.state = "held"
        after = f" after it waited for {duration(waited)}" if waited >= _RHYTHM else ""
        self._tell("held", f"is held{who}{after}", worker=self.worker, pid=pid, waited_ms=round(waited * 1000, 3))
        began = time.monotonic()
        last = self._wait(stream) if connection.reusable else GOODBYE
        idle = duration(time.monotonic() - began)
        if last is None:
            return
        if last.startswith(GOODBYE):
            self._leave("reclaimed", f"is let go{who}, after it was idle for {idle}", worker=self.worker, pid=pid)
        else:
            self._leave("dropped", f"has lost its worker without a word, after it was idle for {idle}", pid=pid)

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


class _Slow(_Member):
    """Sends a request at so many bytes a second that it never ends."""

    def __init__(self, number: int, drill: Drill, until: float, *, rate: float) -> None:
        super().__init__(number, drill, until)
        self._rate = rate

    def live(self, stream: socket.socket | TlsStream) -> None:
        if isinstance(stream, socket.socket):
            stream.setblocking(False)
        requester = Requester(self._target, Native(MAX_REPLY))
        began = time.monotonic()
        # It takes longer than there is time to send.
        size = min(int(self._rate * (self._until - began)) + 1024, _LARGEST)
        request = requester.request(self._called.method, {"padding": " " * size}, meta=False, plain=True)
        data = memoryview(request)
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
            if poll.poll(pause * 1000) and self._heard(stream, requester, time.monotonic() - began, sent):
                return

    def _heard(self, stream: socket.socket | TlsStream, requester: Requester, after: float, sent: int) -> bool:
        """Read; whether the server has ended the connection."""
        try:
            received = stream.recv(_READ)
        except BlockingIOError:
            return False
        text, code = "without a word", None
        if received and not self._over:
            try:
                # It was no request yet, so the reply is one to the stream as a whole.
                requester.receive(received)
                reply = requester.next_reply()
            except ProtocolError as error:
                text = f"with something that is no reply: {error.message}"
            except Dropped:
                pass
            else:
                if reply is None:
                    return False
                if reply.fault is not None:
                    code = reply.fault.code
                    text = f"{code}: {reply.fault.message}"
        what = f"is dropped after {duration(after)} and {sent} bytes, {text}"
        self._leave("dropped", what, code=code, after_ms=round(after * 1000, 3), bytes=sent)
        return True


@contextmanager
def _crowd(members: Sequence[_Member]) -> Iterator[None]:
    """All connections begin at once, and end together."""
    threads = [threading.Thread(target=member.run, name=f"crowd-{member.number}", daemon=True) for member in members]
    try:
        with small_stacks():
            for thread in threads:
                thread.start()
        yield
    finally:
        for member in members:
            member.end()
        for thread in threads:
            if thread.is_alive():
                thread.join(1.0)
