"""All that is known of one call, gathered for a diagnosis: a record without behaviour but for a few look-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from rpcshell.shell.why.timing import Timing

if TYPE_CHECKING:
    from rpcshell.servers import ServerStatus, WorkerStatus
    from rpcshell.servers.holders import Place
    from rpcshell.shell.journal import Outcome
    from rpcwire import Meta
    from rpcwire.control import ServerEvent

__all__ = ["STOPPED", "Evidence", "Failure", "Snapshot"]

Failure = Literal["", "unsendable", "unconnected", "lost", "not_run", "timeout", "protocol"]
"""How a call came to have no reply: it could not be written as JSON, there was no connection, the connection ended (and
the server may have run it, or has not), time was up, or what came was no reply."""

STOPPED = "T"
"""The state of a process that was stopped by a signal, as proc(5) has it."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A server at one moment.

    Attributes:
        at: When, on `time.monotonic`'s clock.
        status: What the server told, or None where it did not answer.
        states: The states of its processes, by their ids, as proc(5) tells them.
        place: Where the server's end of the call's connection was, or None where that is not known.
    """

    at: float
    status: ServerStatus | None = None
    states: dict[int, str] = {}
    place: Place | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One call.

    Attributes:
        method: The method that was called.
        target: Where it was sent.
        outcome: What came of it.
        failure: How it came to have no reply.
        error: What was told of that, in one sentence.
        hint: What was told to do about it.
        code: The number of an error reply.
        timing: Where the time went.
        meta: Who answered, where that was told.
        served_by: Who answered the call before on its connection.
        then: The server during the call or right after it, where it is one that can be looked at.
        now: The server as it is now.
        events: What happened to the server while the call lasted, in order.
        server_ended: How the server that was spawned here has ended, in words that follow its name, or empty.
        arbiter: The process id of the server, where it is known.
        reply_size: Bytes of the reply.
    """

    method: str
    target: str = ""
    outcome: Outcome = "ok"
    failure: Failure = ""
    error: str = ""
    hint: str = ""
    code: int | None = None
    timing: Timing = Timing()
    meta: Meta | None = None
    served_by: Meta | None = None
    then: Snapshot | None = None
    now: Snapshot | None = None
    events: tuple[ServerEvent, ...] = ()
    server_ended: str = ""
    arbiter: int | None = None
    reply_size: int = 0

    @property
    def status(self) -> ServerStatus | None:
        """The server then, or None."""
        return None if self.then is None else self.then.status

    @property
    def queued(self) -> bool:
        """Whether the connection was seen to wait in the listen queue."""
        return self.then is not None and self.then.place is not None and self.then.place.queued

    @property
    def unasked(self) -> bool:
        """Whether it was given up while the shell still waited to be told what the server offers, before any call."""
        return self.outcome == "cancelled" and not self.timing.attempts and not self.timing.dialled

    @property
    def pid(self) -> int | None:
        """The process that had the call, as far as that can be told."""
        if self.meta is not None:
            return self.meta.pid
        if self.then is not None and self.then.place is not None:
            return self.then.place.pid
        if self.served_by is not None:
            return self.served_by.pid
        running = self._running
        return None if running is None else running.pid

    @property
    def worker(self) -> WorkerStatus | None:
        """The worker that had the call, as it was then."""
        if self.status is None or self.pid is None:
            return None
        return next((worker for worker in self.status.workers if worker.pid == self.pid), None)

    @property
    def handling(self) -> WorkerStatus | None:
        """The worker that was seen to run this very call."""
        worker = self.worker
        return worker if worker is not None and self._runs(worker) else None

    @property
    def _running(self) -> WorkerStatus | None:
        if self.status is None or self.queued:
            return None
        found = [worker for worker in self.status.workers if self._runs(worker)]
        return found[0] if len(found) == 1 else None

    def _runs(self, worker: WorkerStatus) -> bool:
        """Whether a worker's call is this one: the same method, begun after it was sent."""
        if worker.call is None or self.then is None or worker.call.method != self.method:
            return False
        return self.then.at - worker.call.seconds >= self.timing.sent_at - _CLOCKS

    def events_of(self, *kinds: str) -> list[ServerEvent]:
        """The events of some kinds, in order.

        Args:
            kinds: Which.
        """
        return [event for event in self.events if event.kind in kinds]

    def stopped(self, pid: int | None) -> bool:
        """Whether a process was seen to be stopped.

        Args:
            pid: Its id.
        """
        return self.then is not None and pid is not None and self.then.states.get(pid, "").upper() == STOPPED


_CLOCKS = 0.1
"""Seconds by which the times of two processes that look at each other may be off."""
