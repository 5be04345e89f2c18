"""The drill of more clients and calls than a server can take: ordering the flood, and telling what the server did."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ShellError
from rpcshell.lab.drills.drill import Verdict
from rpcshell.lab.drills.flooding import MOST_BYTES, FloodOrder, FloodReport
from rpcshell.view.units import duration

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rpcshell.lab.drills.drill import Drill

__all__ = ["flood"]

_SAMPLE: Final = 0.5
_START: Final = 10.0
_PATIENCE: Final = 30.0
_CALM: Final = 0.3
_READ: Final = 64 * 1024


def flood(drill: Drill, connections: int, seconds: float) -> None:
    """Call from many connections at once, and follow until the server is as before.

    Args:
        drill: The running drill.
        connections: How many.
        seconds: For how long.
    """
    follower, timeline = drill.follower, drill.timeline
    call = drill.called
    order = FloodOrder(str(drill.target), connections, seconds, call.method, call.params, drill.tls)
    drill.verdict = Verdict("The flood was ended before its time.")
    with _Clients(order) as clients:
        follower.until(lambda _: clients.over or _has_begun(clients.read()), _START)
        if not _has_begun(clients.read()):
            drill.verdict = Verdict("No client of the flood could be started, or found a connection.")
            return
        timeline.add("flood", f"{connections} connections, each with calls of {call.method} on their way, are begun")
        news = _News(drill, clients)
        follower.until(lambda _: clients.over, seconds + _START, news.tick)
    since = time.monotonic()
    timeline.add("flood_over", "the flood is over")
    recovered = None
    if follower.until(lambda status: drill.healthy(status, since), _PATIENCE):
        recovered = time.monotonic() - since
        timeline.add("recovered", "calls are answered as before")
        follower.seconds(_CALM)
    drill.verdict = Verdict(_seen(drill, clients.read(), seconds), recovered)


def _has_begun(report: FloodReport) -> bool:
    return report.connected + report.refused + report.timeouts > 0


def _seen(drill: Drill, report: FloodReport, seconds: float) -> str:
    parts = [f"{report.answered} calls were answered in {duration(seconds)}"]
    if report.busy:
        parts.append(f"{report.busy} turned away as busy (-32001)")
    if report.errors:
        parts.append(f"{report.errors} answered with other errors")
    if report.refused:
        parts.append(f"{report.refused} connections refused")
    if report.timeouts:
        parts.append(f"{report.timeouts} connections not let in within 2 s")
    limit = sum(listener.limit or 0 for listener in drill.follower.status.listeners)
    if drill.follower.deepest:
        parts.append(f"up to {drill.follower.deepest} of {limit} clients in the listen queue")
    text = ", ".join(parts) + "."
    if report.bytes >= MOST_BYTES:
        text += " The flood ended early, at its limit of bytes."
    longest = drill.probe.report().longest
    if longest >= drill.probe.stall:
        return f"{text} Meanwhile a normal call waited for up to {duration(longest)}."
    return f"{text} Normal calls went on meanwhile."


class _News:
    """Tells the timeline what is new in a flood, and twice a second how it stands."""

    def __init__(self, drill: Drill, clients: _Clients) -> None:
        self._drill = drill
        self._clients = clients
        self._told = FloodReport()
        self._due = time.monotonic() + _SAMPLE

    def tick(self) -> None:
        """Look once."""
        now = self._clients.read()
        timeline = self._drill.timeline
        if now.busy and not self._told.busy:
            timeline.add("busy", "the server begins to answer -32001: busy", busy=now.busy)
        if now.refused and not self._told.refused:
            timeline.add("refused", "connections are refused", refused=now.refused)
        if now.timeouts and not self._told.timeouts:
            timeline.add("kept_out", "connections are not let in: the listen queue is full", timeouts=now.timeouts)
        if time.monotonic() >= self._due:
            self._due += _SAMPLE
            timeline.add("sample", self._sample(now), answered=now.answered, busy=now.busy, refused=now.refused)
        self._told = now

    def _sample(self, now: FloodReport) -> str:
        waiting = self._drill.follower.status.waiting
        counts = {"answered": now.answered, "busy": now.busy, "refused": now.refused, "not let in": now.timeouts}
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "answered")
        return f"{now.open} connections are open, {waiting} wait in the queue; {told}"


class _Clients:
    """The process that floods; a context manager that ends it."""

    def __init__(self, order: FloodOrder) -> None:
        # -P: the folder the shell was started in must not shadow what is imported.
        command = [sys.executable, "-P", "-m", "rpcshell.lab.drills.flooding"]
        self._way, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._way.sendall(msgspec.json.encode(order) + b"\n")
        except OSError as error:
            self._way.close()
            raise ShellError(f"the clients of the flood cannot be started: {error.strerror}") from error
        self._way.setblocking(False)
        self._unread = b""
        self._last = FloodReport()
        self.over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.read()
        self._way.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def read(self) -> FloodReport:
        """The last that it has said."""
        while not self.over:
            try:
                data = self._way.recv(_READ)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.over = True
                break
            *lines, self._unread = (self._unread + data).split(b"\n")
            if lines:
                self._last = msgspec.json.decode(lines[-1], type=FloodReport)
                self.over = self._last.over
        return self._last
