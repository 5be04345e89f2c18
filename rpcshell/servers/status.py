"""What a server tells of itself on its control socket, as this side reads it. How it is asked is in `control`.

The structures mirror `arbiter.status` of rpcserver, which the shell does not import; what a newer server adds is
ignored, what an older one leaves out has a value that means "not told".
"""

from __future__ import annotations

import msgspec

__all__ = ["ListenerStatus", "RunningCall", "ServerStatus", "Totals", "WorkerStatus"]


class RunningCall(msgspec.Struct, frozen=True):
    """A call that a worker is in.

    Attributes:
        method: The method's name.
        seconds: For how long.
    """

    method: str
    seconds: float


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker.

    Attributes:
        worker: Its number, from 1; while it is replaced, two workers have the same.
        pid: Its process.
        generation: How many times the server had been reloaded when it started.
        state: starting, ready, draining or aborting.
        call: The call that it is in, the longest where it can tell, or None.
        calls_running: How many it is in.
        connections: How many are open.
        accepts: How many it has accepted.
        calls: How many it has answered, errors included.
        errors: How many of these were errors.
        busy_seconds: How long it was in calls, added up.
        busy: The share of the last seconds that it spent in calls; over 1 where several run at once.
        bytes_in: Size of the requests.
        bytes_out: Size of the replies.
        memory: Resident memory in bytes.
        age: Seconds since it was started.
    """

    worker: int
    pid: int
    generation: int = 0
    state: str = "ready"
    call: RunningCall | None = None
    calls_running: int = 0
    connections: int = 0
    accepts: int = 0
    calls: int = 0
    errors: int = 0
    busy_seconds: float = 0.0
    busy: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    memory: int = 0
    age: float = 0.0


class ListenerStatus(msgspec.Struct, frozen=True):
    """One address.

    Attributes:
        address: As targets are written.
        waiting: How many connections wait to be accepted, or None where the kernel does not tell.
        limit: How many can.
    """

    address: str
    waiting: int | None = None
    limit: int | None = None


class Totals(msgspec.Struct, frozen=True):
    """Counts since the server started, those of workers that have left included.

    Attributes:
        accepts: Accepted connections.
        calls: Answered calls, errors included.
        errors: How many of these were errors.
        busy_seconds: How long workers were in calls, added up.
        bytes_in: Size of the requests.
        bytes_out: Size of the replies.
        died: Workers that died by a signal or with an error.
        lost: Calls that they were in.
    """

    accepts: int = 0
    calls: int = 0
    errors: int = 0
    busy_seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    died: int = 0
    lost: int = 0


class ServerStatus(msgspec.Struct, frozen=True):
    """The server.

    Attributes:
        pid: The arbiter's process.
        version: Of the program.
        model: The worker model.
        app: What is served, or None for the demo.
        phase: booting, running, draining or quitting.
        generation: How many times the server was reloaded.
        reloading: Whether it is being reloaded now.
        reload_problem: Why the last reload was given up, or None.
        uptime: Seconds since it was started.
        listeners: Where it listens.
        wanted: How many workers there shall be.
        workers: Those that there are, by number.
        totals: Counts.
    """

    pid: int
    model: str
    workers: list[WorkerStatus]
    totals: Totals
    version: str = ""
    app: str | None = None
    phase: str = "running"
    generation: int = 0
    reloading: bool = False
    reload_problem: str | None = None
    uptime: float = 0.0
    listeners: list[ListenerStatus] = []
    wanted: int = 0

    @property
    def waiting(self) -> int:
        """How many connections wait to be accepted, on all addresses that tell."""
        return sum(listener.waiting or 0 for listener in self.listeners)

    def find(self, number: int) -> WorkerStatus | None:
        """The worker with a number: of two that have it, the one that serves.

        Args:
            number: From 1.
        """
        found = [worker for worker in self.workers if worker.worker == number]
        return min(found, key=lambda worker: worker.state != "ready", default=None)
