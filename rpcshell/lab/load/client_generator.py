"""Load on a server of any dialect: a client in a thread of its own for each connection, whatever it goes over.

That costs more a call than `generator`, which is for the native protocol alone: of a fast server it shows what clients
of Python get from it.
"""

from __future__ import annotations

import os
import select
import threading
from functools import partial
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from rpcshell.client.client import Client
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError
from rpcshell.client.target import Target
from rpcshell.lab.load.messages import Tally
from rpcshell.lab.load.pool import LOST, NO_CONNECTION, NOT_ANSWERED, NOT_UNDERSTOOD, TIMED_OUT
from rpcwire import decode_value

if TYPE_CHECKING:
    from rpcshell.lab.load.generator import Parent
    from rpcshell.lab.load.messages import Task

__all__ = ["ClientGenerator"]

_SECOND: Final = 1_000_000_000
_REST: Final = 0.05
"""Seconds between two attempts at a connection that could not be made."""

_STOPPING: Final = 0.5
"""Seconds that the calls under way have when the run is stopped."""


class ClientGenerator:
    """Makes the calls of a task; like `Generator`."""

    def __init__(self, task: Task, parent: Parent) -> None:
        self._task = task
        self._parent = parent
        self._method, self._params = decode_value(task.body, "text")
        self._tally = Tally()
        self._lock = threading.Lock()
        self._numbers = count()
        self._over = threading.Event()
        """No new calls are begun."""
        self._began = 0
        self._ended, self._end_ring = os.pipe()
        make = partial(Client, timeout=task.timeout, connect_timeout=task.connect_timeout, plain=True, tls=task.tls)
        self._clients = [make(Target.parse(task.target)) for _ in range(task.connections)]

    def connect(self) -> None:
        """Make every connection.

        Raises:
            ConnectionFailed: One cannot be made.
        """
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
        self._tally.connected = len(self._clients)
        self._began = monotonic_ns()
        threads = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in self._clients]
        for thread in threads:
            thread.start()
        unanswered = self._report_until_done(len(threads))
        with self._lock:
            self._tally.problem(NOT_ANSWERED, unanswered)
            last = self._tally.tick(self._began, monotonic_ns(), open=0, last=True)
        for client in self._clients:
            client.close()
        self._parent.report(last)

    def _report_until_done(self, running: int) -> int:
        """Report until all threads are done, or so long after the run was stopped; how many still wait for a reply."""
        poll = select.poll()
        poll.register(self._parent.descriptor, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        period = int(self._task.period * _SECOND)
        due, given_up = self._began + period, 1 << 62
        while running and (now := monotonic_ns()) < given_up:
            if now >= due:
                with self._lock:
                    tick = self._tally.tick(self._began, now, open=sum(one.connected for one in self._clients))
                self._parent.report(tick)
                due += period
            for descriptor, _ in poll.poll(max(min(due, given_up) - now, 0) / 1e6):
                if descriptor == self._ended:
                    running -= len(os.read(self._ended, 4096))
                elif self._parent.told_to_stop():
                    self._over.set()
                    given_up = monotonic_ns() + int(_STOPPING * _SECOND)
        return running

    def _work(self, client: Client) -> None:
        try:
            while (due := self._next_due()) is not None:
                self._call(client, due)
        finally:
            os.write(self._end_ring, b".")

    def _next_due(self) -> int | None:
        """When the next call is due, after waiting for that; None where there is none."""
        task = self._task
        with self._lock:
            number = next(self._numbers)
        due = monotonic_ns()
        if task.rate:
            due = self._began + int((task.shift + number / task.rate) * _SECOND)
            self._over.wait(max(due - monotonic_ns(), 0) / _SECOND)
        ended = task.seconds is not None and due >= self._began + int(task.seconds * _SECOND)
        done = task.calls is not None and number >= task.calls
        return None if ended or done or self._over.is_set() else due

    def _call(self, client: Client, due: int) -> None:
        problem, reply = "", None
        connections = client.connections
        try:
            reply = client.exchange(self._method, self._params)
        except ConnectionFailed:
            problem = NO_CONNECTION
            self._over.wait(_REST)
        except ConnectionLost:
            problem = LOST
        except CallTimeout:
            problem = TIMED_OUT
        except ShellError:
            problem = NOT_UNDERSTOOD
        with self._lock:
            self._tally.connected += client.connections - connections
            if reply is None:
                self._tally.problem(problem)
                return
            if (fault := reply.fault) is not None:
                self._tally.fault(fault)
            self._tally.reply(due, monotonic_ns())
