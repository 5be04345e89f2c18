"""A load process: `python -m rpcshell.lab.bench.load`. It makes calls as it is told on standard input, and counts.

One thread and one poll for all connections, so that what is measured is the server. Latency is counted from when a
call was due, not from when it could be sent: otherwise a server that stands still would stop the clock as well
(coordinated omission).
"""

from __future__ import annotations

import gc
import math
import resource
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.target import Target, TlsTarget
from rpcshell.lab.bench.lanes import LOST, NO_CONNECTION, NOT_ANSWERED, Lanes
from rpcshell.lab.bench.messages import Begin, Ready, Task
from rpcshell.lab.bench.orders import Orders, ShellGone, say
from rpcshell.lab.bench.poller import WRITABLE, Poller
from rpcshell.lab.bench.tally import Tally

if TYPE_CHECKING:
    from rpcshell.lab.bench.lane import Lane

_SECOND: Final = 1_000_000_000
_NEVER: Final = 1 << 62
_LOOK: Final = _SECOND // 20
_LOOKS_A_TICK: Final = 5
_STOPPING: Final = _SECOND // 2
"""Nanoseconds that the calls under way have when the run is stopped."""

_SPARE_DESCRIPTORS: Final = 64


class Generator:
    """Makes the calls of a task.

    Args:
        task: What to do.
        orders: Readable when the shell has something to say.
    """

    def __init__(self, task: Task, orders: Orders) -> None:
        self._orders = orders
        self._poller = Poller(exact=task.rate is not None)
        self._poller.register(orders.descriptor)
        self._tally = Tally()
        self._lanes = Lanes(task, self._poller, self._tally)
        self._secure = isinstance(Target.parse(task.target), TlsTarget)
        self._free: deque[Lane] = deque()
        self._depth = task.pipeline
        self._patience = int(task.timeout * _SECOND)
        self._seconds = task.seconds
        self._gap = _SECOND / task.rate if task.rate else 0.0
        self._shift = task.shift * _SECOND
        self._limit = _NEVER if task.calls is None else task.calls
        self._begun = 0
        self._began = 0
        self._next_due = _NEVER
        self._end = _NEVER
        self._stopped_at = _NEVER
        self._alive_at = 0

    def connect(self) -> None:
        """Make every connection.

        Raises:
            ConnectionFailed: One cannot be made.
            ShellGone: The shell has.
        """
        for lane in self._lanes:
            self._lanes.dial(lane)
        missing = len(self._lanes.all)
        while missing:
            for descriptor, _ in self._poller.wait(1.0):
                if descriptor == self._orders.descriptor:
                    # It waits to hear of the connections, and has nothing to say.
                    raise ShellGone
                missing -= len(self._lanes.take(monotonic_ns(), first=True))

    def run(self) -> None:
        """Make the calls, and report four times a second.

        Raises:
            ShellGone: The shell has.
        """
        lanes, tally = self._lanes, self._tally
        tally.restart()
        self._began = self._alive_at = now = monotonic_ns()
        if self._seconds is not None:
            self._end = now + int(self._seconds * _SECOND)
        if self._gap:
            self._next_due = self._due(0)
        for lane in lanes:
            self._go_on(lane, now)
        look_at, looks = now + _LOOK, 0
        while True:
            if now >= look_at:
                # After a standstill of the whole machine there is nothing to catch up with.
                look_at, looks = max(look_at + _LOOK, now), looks + 1
                self._look_after(now)
                if looks % _LOOKS_A_TICK == 0:
                    say(tally.report(self._began, now))
            if now >= self._next_due:
                self._send_due(min(now, self._end - 1))
            if now >= self._end:
                self._stop(now)
            if self._begun >= self._limit and not lanes.under_way:
                break
            until = min(look_at, self._end, self._next_due if self._free else _NEVER)
            now = self._serve((until - now) / _SECOND)
        for lane in lanes:
            lanes.close(lane)
        say(tally.report(self._began, monotonic_ns(), last=True))

    def _serve(self, seconds: float) -> int:
        """Wait for what comes, and take it; what time it is afterwards."""
        by_descriptor = self._lanes.by_descriptor
        events = self._poller.wait(seconds)
        # The first of it had come by now: to look through it is not the server's time.
        now = monotonic_ns()
        for descriptor, event in events:
            lane = by_descriptor.get(descriptor)
            if lane is None:
                self._hear(descriptor, now)
                continue
            if event & WRITABLE:
                self._lanes.flush(lane)
            self._receive(lane, now)
            now = monotonic_ns()
        return now

    def _due(self, number: int) -> int:
        """When a call is due, where there is a rate."""
        return self._began + int(self._shift + number * self._gap)

    def _hear(self, descriptor: int, now: int) -> None:
        """Heed the shell, or go on with a connection that has been made."""
        if descriptor == self._orders.descriptor:
            if self._orders.say_stop():
                self._stop(now)
                self._stopped_at = now
            return
        for lane in self._lanes.take(now):
            self._go_on(lane, now)

    def _stop(self, now: int) -> None:
        """Begin no new calls."""
        end, self._end = self._end, _NEVER
        if self._begun >= self._limit:
            return
        if self._gap:
            due = math.ceil((min(now, end) - self._due(0)) / self._gap)
            self._tally.unsent = max(0, min(due, self._limit) - self._begun)
        self._limit = self._begun
        self._next_due = _NEVER
        for lane in self._lanes:
            self._go_on(lane, now)

    def _send_due(self, now: int) -> None:
        """Send the calls that are due by now, on whatever connection is free."""
        free = self._free
        while self._next_due <= now and free:
            lane = free.popleft()
            lane.listed = False
            if lane.stream is None:
                continue
            lane.due.append(self._next_due)
            self._begun += 1
            self._next_due = self._due(self._begun) if self._begun < self._limit else _NEVER
            self._lanes.send(lane, 1)
            self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        """Have a connection that can take another call used for the next one that is due."""
        if not lane.listed and len(lane.due) < self._depth:
            lane.listed = True
            self._free.append(lane)

    def _go_on(self, lane: Lane, now: int) -> None:
        """Begin as many calls on a connection as there may be, if it is time for them."""
        begun, due = self._begun, lane.due
        if begun >= self._limit:
            if not due:
                # It may be what keeps the server from another one.
                self._lanes.close(lane)
        elif self._gap:
            self._offer(lane)
        else:
            count = min(self._depth - len(due), self._limit - begun)
            self._begun = begun + count
            now = monotonic_ns()
            for _ in range(count):
                due.append(now)
            self._lanes.send(lane, count)

    def _receive(self, lane: Lane, now: int) -> None:
        """Take what has come on a connection, and go on with the calls that are next."""
        while (stream := lane.stream) is not None:
            try:
                data = lane.recv(lane.size)
            except BlockingIOError:
                return
            except (OSError, ConnectionFailed):
                # TLS may also tell only now that the server has refused this client.
                data = b""
            tally = self._tally
            tally.bytes_in += len(data)
            if data == lane.usual and lane.due:
                tally.reply(lane.due.popleft(), now)
                lane.answered += 1
            else:
                self._lanes.look_into(lane, data, now)
            if lane.stream is stream:
                self._go_on(lane, now)
            if not self._secure:
                # What else is there makes the socket readable again; what TLS has decrypted already would not.
                return
            now = monotonic_ns()

    def _look_after(self, now: int) -> None:
        """Do what is not urgent."""
        lanes = self._lanes
        over = self._begun >= self._limit
        lanes.look_after(now, self._patience, over=over)
        if over:
            for lane in lanes:
                if lane.due and now - self._stopped_at > _STOPPING:
                    lanes.drop(lane, NOT_ANSWERED, now)
                self._go_on(lane, now)
        if lanes.alive:
            self._alive_at = now
        elif now - self._alive_at > self._patience and self._end == _NEVER and (over or self._limit < _NEVER):
            # Nothing else would end the run.
            self._tally.problem(NO_CONNECTION, self._limit - self._begun)
            self._limit = self._begun
            for lane in lanes:
                lanes.drop(lane, LOST, now)


def main() -> None:
    """Do what the shell says, for as long as it is there."""
    # Nothing here makes circles, and to look for some would show in the latencies.
    gc.disable()
    orders = Orders()
    try:
        task = orders.next()
        if not isinstance(task, Task):
            return
        _allow_descriptors(task.connections + _SPARE_DESCRIPTORS)
        generator = Generator(task, orders)
        try:
            generator.connect()
        except ConnectionFailed as error:
            say(Ready(problem=error.reason, hint=error.hint))
            return
        say(Ready())
        if isinstance(orders.next(), Begin):
            generator.run()
    except ShellGone:
        return


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


if __name__ == "__main__":
    main()
