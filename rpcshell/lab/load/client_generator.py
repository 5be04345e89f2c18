"""Load on a server of any dialect, or on a fleet: a thread for each connection, and a client, whatever it goes over.

Threads that call a fleet share a client, which shares out their calls.

That costs more a call than `generator`, which is for the native protocol alone: of a fast server it shows what clients
of Python get from it.
"""

from __future__ import annotations

import os
import select
import threading
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError
from rpcshell.client.opening import client_of
from rpcshell.client.target import FleetTarget
from rpcshell.client.trace import CallTrace
from rpcshell.lab.load.messages import NEVER, SECOND, STOPPING, Tally
from rpcshell.lab.load.pool import LOST, NO_CONNECTION, NOT_ANSWERED, NOT_UNDERSTOOD, TIMED_OUT
from rpcshell.view.histogram import bucket_of
from rpcwire import decode_value

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.lab.load.messages import ShellStreams, Task, Tick

_REST: Final = 0.05
"""Seconds between two attempts at a connection that could not be made."""


class ClientGenerator:
    """Makes the calls of a task; like `Generator`."""

    def __init__(self, task: Task, shell: ShellStreams) -> None:
        self._task = task
        self._shell = shell
        self._method, self._params = decode_value(task.body, "text")
        self._tally = Tally()
        self._lock = threading.Lock()
        self._numbers = count()
        self._over = threading.Event()
        """The run was stopped."""
        self._began = 0
        self._end = NEVER
        """From then on no calls are begun."""
        self._begun = 0
        """How many calls were."""
        self._ended, self._end_ring = os.pipe()
        target = task.destination
        self._fleet = isinstance(target, FleetTarget)
        self._clients = [
            client_of(
                target,
                timeout=task.timeout,
                connect_timeout=task.connect_timeout,
                plain=task.plain,
                tls=task.tls,
                dialect=task.envelope,
            )
            for _ in range(1 if self._fleet else task.connections)
        ]

    def connect(self) -> None:
        """Make every connection; raises `ConnectionFailed` where one cannot be made."""
        try:
            for client in self._clients:
                client.connect()
        except ShellError as error:
            for client in self._clients:
                client.close()
            if isinstance(error, ConnectionFailed):
                raise
            raise ConnectionFailed(self._clients[0].target, error.message, hint=error.hint) from error

    def run(self) -> None:
        """Make the calls, and report."""
        self._tally.restart()
        self._began = monotonic_ns()
        if self._task.seconds is not None:
            self._end = self._began + int(self._task.seconds * SECOND)
        clients = self._clients * (self._task.connections if self._fleet else 1)
        threads = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        unanswered = self._report_until_done(len(threads))
        with self._lock:
            self._tally.problem(NOT_ANSWERED, unanswered)
            due = self._task.due_before(min(monotonic_ns(), self._end) - self._began)
            self._tally.unsent = max(0, min(due, self._task.calls or due) - self._begun)
        last = self._tick(last=True)
        for client in self._clients:
            client.close()
        self._shell.report(last)

    def _report_until_done(self, running: int) -> int:
        """Report until all threads are done, or so long after the run was stopped; how many still wait for a reply."""
        poll = select.poll()
        poll.register(self._shell.descriptor, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        period = int(self._task.period * SECOND)
        due, given_up = self._began + period, NEVER
        while running and (now := monotonic_ns()) < given_up:
            if now >= due:
                self._shell.report(self._tick())
                due += period
            for descriptor, _ in poll.poll(max(min(due, given_up) - now, 0) / 1e6):
                if descriptor == self._ended:
                    running -= len(os.read(self._ended, 4096))
                elif self._shell.told_to_stop():
                    self._end = min(self._end, monotonic_ns())
                    self._over.set()
                    given_up = monotonic_ns() + STOPPING
        return running

    def _tick(self, *, last: bool = False) -> Tick:
        with self._lock:
            self._tally.connected = sum(client.connections for client in self._clients)
            still_open = 0 if last else sum(client.connected for client in self._clients)
            return self._tally.tick(self._began, monotonic_ns(), open=still_open, last=last)

    def _work(self, client: Client) -> None:
        try:
            while (due := self._next_due()) is not None:
                self._call(client, due)
        finally:
            os.write(self._end_ring, b".")

    def _next_due(self) -> int | None:
        """When the next call is due, after waiting for that; None where there is none."""
        due = monotonic_ns()
        if due >= self._end:
            return None
        with self._lock:
            number = next(self._numbers)
        if self._task.calls is not None and number >= self._task.calls:
            return None
        if self._task.rate:
            due = self._began + self._task.due(number)
            self._over.wait(max(due - monotonic_ns(), 0) / SECOND)
            if due >= self._end:
                return None
        with self._lock:
            self._begun += 1
        return due

    def _call(self, client: Client, due: int) -> None:
        problem, reply = "", None
        trace = CallTrace() if self._fleet else None
        try:
            reply = client.exchange(self._method, self._params, idempotent=self._task.idempotent, trace=trace)
        except ConnectionFailed:
            problem = NO_CONNECTION
            self._over.wait(_REST)
        except ConnectionLost:
            problem = LOST
        except CallTimeout:
            problem = TIMED_OUT
        except ShellError:
            problem = NOT_UNDERSTOOD
        now = monotonic_ns()
        with self._lock:
            if trace is not None:
                self._share_out(trace, None if reply is None else bucket_of(now - due))
            if reply is None:
                self._tally.problem(problem)
                return
            if (fault := reply.fault) is not None:
                self._tally.fault(fault)
            self._tally.reply(due, now)

    def _share_out(self, trace: CallTrace, answered: int | None) -> None:
        """Count a call where its attempts went; `answered` is the bucket of its latency, or None."""
        for attempt in trace.failed_attempts:
            self._tally.at(attempt.instance).failed += 1
        if trace.instance is None:
            return
        share = self._tally.at(trace.instance)
        if answered is None:
            share.lost += 1
        else:
            share.calls += 1
            share.latency[answered] = share.latency.get(answered, 0) + 1
