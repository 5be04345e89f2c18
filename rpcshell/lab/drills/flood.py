"""The drill of more clients and calls than a server can take, made by a load process, and what the server did."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.client.target import TlsFiles
from rpcshell.lab.drills.drill import CALM, Verdict
from rpcshell.lab.load.messages import Begin, Task, Tick
from rpcshell.lab.load.pool import NO_CONNECTION, NOT_MADE_IN_TIME
from rpcshell.lab.load.process import LoadProcesses
from rpcshell.view.units import count_of, duration, number
from rpcwire import ErrorCode, encode_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.lab.drills.drill import Drill

_DEPTH: Final = 8
"""Calls that each connection has on their way."""

_MOST_BYTES: Final = 256 * 1024 * 1024
"""Of requests, all together."""

_CONNECT_SECONDS: Final = 2.0
_CALL_SECONDS: Final = 60.0
"""Longer than any flood, whose calls wait as long as the server has them wait."""

_TICK: Final = 0.05
_SAMPLE: Final = 0.5
_START: Final = 10.0

_ERROR: Final = "error "
_BUSY: Final = f"{_ERROR}{int(ErrorCode.BUSY)}"


def flood(drill: Drill, connections: int, seconds: float) -> None:
    """Call from many connections at once, and follow until the server is as before."""
    follower, timeline = drill.follower, drill.timeline
    drill.verdict = Verdict("The flood was ended before its time.")
    with _clients(drill, connections) as clients:
        follower.until(lambda _: clients.have_begun, _START, clients.read)
        if not clients.have_begun:
            drill.verdict = Verdict("No client of the flood could be started, or found a connection.")
            return
        text = f"{count_of(connections, 'connection')}, each with calls of {drill.called.method} on their way: begun"
        timeline.add("flood", text)
        follower.until(lambda _: clients.over, seconds, clients.tell)
    since = time.monotonic()
    timeline.add("flood_over", "the flood is over")
    recovered = drill.healthy_after(since)
    if recovered is not None:
        timeline.add("recovered", "calls are answered as before")
        follower.seconds(CALM)
    drill.verdict = Verdict(_seen(drill, clients, seconds), recovered)


def _seen(drill: Drill, clients: _Clients, seconds: float) -> str:
    parts = [f"{count_of(clients.answered, 'call')} answered in {duration(seconds)}"]
    if clients.busy:
        parts.append(f"{number(clients.busy)} turned away as busy (-32001)")
    if clients.errors:
        parts.append(f"{number(clients.errors)} answered with other errors")
    if clients.refused:
        parts.append(f"{count_of(clients.refused, 'connection')} refused")
    if clients.kept_out:
        parts.append(f"{count_of(clients.kept_out, 'connection')} not let in within {_CONNECT_SECONDS:g} s")
    limit = sum(listener.limit or 0 for listener in drill.follower.status.listeners)
    if drill.follower.deepest:
        parts.append(f"up to {drill.follower.deepest} of {limit} clients in the listen queue")
    text = ", ".join(parts) + "."
    if clients.over:
        text += " The flood ended early, at its limit of bytes."
    longest = drill.probe.report().longest
    if longest >= drill.probe.stall:
        return f"{text} Meanwhile a normal call waited for up to {duration(longest)}."
    return f"{text} Normal calls went on meanwhile."


@contextmanager
def _clients(drill: Drill, connections: int) -> Iterator[_Clients]:
    call = drill.called
    body = encode_request(call.method, call.params, close=True)
    task = Task(
        target=str(drill.target),
        body=body,
        first=encode_request(call.method, call.params, meta=True, close=True),
        connections=connections,
        pipeline=_DEPTH,
        seconds=_CALL_SECONDS,
        calls=max(_MOST_BYTES // len(body), 1),
        timeout=_CALL_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        tls=drill.tls or TlsFiles(),
        insistent=True,
        period=_TICK,
    )
    with LoadProcesses([task]) as processes:
        clients = _Clients(drill, processes)
        yield clients
        clients.read()


class _Clients:
    """What the load process that floods has counted, and tells the timeline."""

    def __init__(self, drill: Drill, processes: LoadProcesses) -> None:
        self.over = False
        """Whether it has ended by itself, since it has sent all that it may."""
        self.open = 0
        self._connected = 0
        self._replies = 0
        self._problems: Counter[str] = Counter()
        self._drill = drill
        self._processes = processes
        self._told: set[str] = set()
        self._sample_due = time.monotonic() + _SAMPLE

    def read(self) -> None:
        """Take what it has said since."""
        for process, report in [] if self.over else self._processes.wait(0):
            if not isinstance(report, Tick):
                process.tell(Begin())
                continue
            self.open, self._connected = report.open, report.connected
            self._replies += report.calls
            self._problems.update(report.problems)
            self.over = report.last

    @property
    def have_begun(self) -> bool:
        """Whether a connection was made, or could not be."""
        return self._connected + self.refused + self.kept_out > 0

    @property
    def answered(self) -> int:
        return self._replies - self.busy - self.errors

    @property
    def busy(self) -> int:
        """Calls, or connections, that were turned away."""
        return self._problems[_BUSY]

    @property
    def errors(self) -> int:
        return sum(count for kind, count in self._problems.items() if kind.startswith(_ERROR) and kind != _BUSY)

    @property
    def refused(self) -> int:
        return self._problems[NO_CONNECTION]

    @property
    def kept_out(self) -> int:
        """Connections that were not made in time."""
        return self._problems[NOT_MADE_IN_TIME]

    def tell(self) -> None:
        """Read, and tell what is new, and twice a second how it stands."""
        self.read()
        self._tell_once("busy", "the server begins to answer -32001: busy", busy=self.busy)
        self._tell_once("refused", "connections are refused", refused=self.refused)
        text = "connections are not let in: the listen queue is full"
        self._tell_once("kept_out", text, timeouts=self.kept_out)
        if time.monotonic() >= self._sample_due:
            self._sample_due += _SAMPLE
            counts = {"answered": self.answered, "busy": self.busy, "refused": self.refused}
            self._drill.timeline.add("sample", self._sample(counts), **counts)

    def _tell_once(self, event: str, text: str, **count: int) -> None:
        if event not in self._told and any(count.values()):
            self._told.add(event)
            self._drill.timeline.add(event, text, **count)

    def _sample(self, counts: dict[str, int]) -> str:
        waiting = self._drill.follower.status.waiting
        counts = counts | {"not let in": self.kept_out}
        told = ", ".join(f"{number(count)} {name}" for name, count in counts.items() if count or name == "answered")
        return f"{count_of(self.open, 'connection')} open, {waiting} in the queue; {told}"
