"""Which call a load process begins when.

One thread and one poll for all connections, so that what is measured is the server. Latency is counted from when a
call was due, not from when it could be sent: otherwise a server that stands still would stop the clock as well
(coordinated omission).
"""

from __future__ import annotations

from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.target import TlsTarget
from rpcshell.lab.load.messages import NEVER, SECOND, STOPPING, Tally
from rpcshell.lab.load.pool import LOST, NO_CONNECTION, NOT_ANSWERED, WRITABLE, ConnectionPool, Poller

if TYPE_CHECKING:
    from rpcshell.lab.load.connection import LoadConnection
    from rpcshell.lab.load.messages import ShellStreams, Task

_LOOK: Final = SECOND // 20


class Generator:
    """Makes the calls of a task."""

    def __init__(self, task: Task, shell: ShellStreams) -> None:
        self._task = task
        self._shell = shell
        self._poller = Poller(exact=task.rate is not None)
        self._poller.register(shell.descriptor)
        self._tally = Tally()
        self._pool = ConnectionPool(task, self._poller, self._tally)
        self._secure = isinstance(task.destination, TlsTarget)
        self._free: deque[LoadConnection] = deque()
        self._depth = task.pipeline
        self._patience = int(task.timeout * SECOND)
        self._looks_a_tick = max(1, round(task.period * SECOND / _LOOK))
        self._limit = NEVER if task.calls is None else task.calls
        self._begun = 0
        self._began = 0
        self._next_due = NEVER
        self._end = NEVER
        self._stopped_at = NEVER
        self._alive_at = 0

    def connect(self) -> None:
        """Make every connection, or only begin to, if it is insistent.

        Raises:
            ConnectionFailed: One cannot be made.
        """
        for connection in self._pool.all:
            self._pool.dial(connection)
        missing = 0 if self._task.insistent else len(self._pool.all)
        while missing:
            for descriptor, _ in self._poller.wait(1.0):
                if descriptor == self._shell.descriptor:
                    # It waits to hear of the connections, and has nothing to say unless it has ended.
                    self._shell.told_to_stop()
                else:
                    missing -= len(self._pool.take(monotonic_ns(), first=True))

    def run(self) -> None:
        """Make the calls, and report."""
        pool, tally = self._pool, self._tally
        tally.restart()
        self._began = self._alive_at = now = monotonic_ns()
        if self._task.seconds is not None:
            self._end = now + int(self._task.seconds * SECOND)
        if self._task.rate:
            self._next_due = self._began + self._task.due(0)
        for connection in pool.all:
            if connection.stream is not None:
                self._go_on(connection, now)
        look_at, looks = now + _LOOK, 0
        while True:
            if now >= look_at:
                # After a standstill of the whole machine there is nothing to catch up with.
                look_at, looks = max(look_at + _LOOK, now), looks + 1
                self._look_after(now)
                if looks % self._looks_a_tick == 0:
                    self._shell.report(tally.tick(self._began, now, open=pool.open))
            if now >= self._next_due:
                self._send_due(min(now, self._end - 1))
            if now >= self._end:
                self._stop(now)
            if self._begun >= self._limit and not pool.under_way:
                break
            until = min(look_at, self._end, self._next_due if self._free else NEVER)
            now = self._serve((until - now) / SECOND)
        for connection in pool.all:
            pool.close(connection)
        self._shell.report(tally.tick(self._began, monotonic_ns(), open=0, last=True))

    def _serve(self, seconds: float) -> int:
        """Wait for what comes, and take it; what time it is afterwards."""
        by_descriptor = self._pool.by_descriptor
        events = self._poller.wait(seconds)
        # The first of it had come by now: to look through it is not the server's time.
        now = monotonic_ns()
        for descriptor, event in events:
            connection = by_descriptor.get(descriptor)
            if connection is None:
                self._hear(descriptor, now)
                continue
            if event & WRITABLE:
                self._pool.flush(connection)
            self._receive(connection, now)
            now = monotonic_ns()
        return now

    def _hear(self, descriptor: int, now: int) -> None:
        """Heed the shell, or go on with a connection that has been made."""
        if descriptor == self._shell.descriptor:
            if self._shell.told_to_stop():
                self._stop(now)
                self._stopped_at = now
            return
        for connection in self._pool.take(now):
            self._go_on(connection, now)

    def _stop(self, now: int) -> None:
        """Begin no new calls."""
        end, self._end = self._end, NEVER
        if self._begun >= self._limit:
            return
        due = self._task.due_before(min(now, end) - self._began)
        self._tally.unsent = max(0, min(due, self._limit) - self._begun)
        self._limit = self._begun
        self._next_due = NEVER
        for connection in self._pool.all:
            self._go_on(connection, now)

    def _send_due(self, now: int) -> None:
        """Send the calls that are due by now, on whatever connection is free."""
        free = self._free
        while self._next_due <= now and free:
            connection = free.popleft()
            connection.listed = False
            if connection.stream is None:
                continue
            connection.due.append(self._next_due)
            self._begun += 1
            self._next_due = self._began + self._task.due(self._begun) if self._begun < self._limit else NEVER
            self._pool.send(connection, 1)
            self._offer(connection)

    def _offer(self, connection: LoadConnection) -> None:
        """Put a connection in the queue for the next due call, if it can take another."""
        if not connection.listed and len(connection.due) < self._depth:
            connection.listed = True
            self._free.append(connection)

    def _go_on(self, connection: LoadConnection, now: int) -> None:
        """Begin as many calls on a connection as it may have, if it is time for them."""
        begun, due = self._begun, connection.due
        if begun >= self._limit:
            if not due:
                # It may be what keeps the server from another one.
                self._pool.close(connection)
        elif self._task.rate:
            self._offer(connection)
        else:
            count = min(self._depth - len(due), self._limit - begun)
            self._begun = begun + count
            now = monotonic_ns()
            for _ in range(count):
                due.append(now)
            self._pool.send(connection, count)

    def _receive(self, connection: LoadConnection, now: int) -> None:
        """Take what has come on a connection, and go on with the calls that are next."""
        while (stream := connection.stream) is not None:
            try:
                data = connection.recv(connection.read_size)
            except BlockingIOError:
                return
            except (OSError, ConnectionFailed):
                # TLS may also tell only now that the server has refused this client.
                data = b""
            tally = self._tally
            tally.bytes_in += len(data)
            if data == connection.usual and connection.due:
                tally.reply(connection.due.popleft(), now)
                connection.answered += 1
            else:
                self._pool.look_into(connection, data, now)
            if connection.stream is stream:
                self._go_on(connection, now)
            if not self._secure:
                # What else is there makes the socket readable again; what TLS has decrypted already would not.
                return
            now = monotonic_ns()

    def _look_after(self, now: int) -> None:
        """Do what is not urgent."""
        pool = self._pool
        over = self._begun >= self._limit
        pool.look_after(now, self._patience, over=over)
        if over:
            for connection in pool.all:
                if connection.due and now - self._stopped_at > STOPPING:
                    pool.drop(connection, NOT_ANSWERED, now)
                self._go_on(connection, now)
        if pool.open:
            self._alive_at = now
        elif now - self._alive_at > self._patience and self._end == NEVER and (over or self._limit < NEVER):
            # Nothing else would end the run.
            self._tally.problem(NO_CONNECTION, self._limit - self._begun)
            self._limit = self._begun
            for connection in pool.all:
                pool.drop(connection, LOST, now)
