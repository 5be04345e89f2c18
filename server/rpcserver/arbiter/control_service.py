"""What the control socket serves: the methods to watch and to steer a server with.

What they do is the arbiter's; here they are named, described and checked. Who may call them is in
`rpcserver.arbiter.control`.
"""

from __future__ import annotations

import contextlib
import os
from signal import Signals
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from rpcserver.arbiter.crew import MAX_WORKERS
from rpcserver.arbiter.memory_gauge import MemoryGauge
from rpcserver.arbiter.status import server_status
from rpcserver.service.context import WorkerInfo
from rpcserver.service.dispatch import Dispatcher
from rpcserver.service.service import Service
from rpcserver.system.errors import RpcError
from rpcserver.system.log_tail import NotAFile, last_lines, lines_since
from rpcserver.system.version import __version__
from rpcwire.control import (
    Events,
    Frozen,
    LogPart,
    LogPosition,
    Reloading,
    Scaled,
    ServerStatus,
    Signalled,
    Stopping,
    Thawed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcserver.arbiter.arbiter import Arbiter
    from rpcserver.arbiter.control import Answer
    from rpcserver.arbiter.slots import WorkerProcess

_LONGEST_FREEZE: Final = 60.0
"""Seconds that a worker can be stopped for at once."""

_Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS)]
_Lines = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_Moment = Annotated[float, msgspec.Meta(ge=0.01, le=_LONGEST_FREEZE)]
_SignalName = Literal["ABRT", "CONT", "INT", "KILL", "QUIT", "SEGV", "STOP", "TERM"]


def control_answer(arbiter: Arbiter) -> Answer:
    """Return what answers requests on the control socket."""
    info = WorkerInfo(worker=0, pid=os.getpid(), generation=0, model="control")
    return Dispatcher(_control_service(arbiter), info).answer


def _control_service(arbiter: Arbiter) -> Service:
    service = Service("rpcserver control", __version__, "Watches and steers a running server.")
    gauge = MemoryGauge()

    def living(number: int) -> WorkerProcess:
        worker = arbiter.find_worker(number)
        if worker is None:
            raise RpcError(f"there is no worker {number}; arbiter.status lists those that there are")
        return worker

    def refuse_when_leaving() -> None:
        if arbiter.phase.leaving:
            raise RpcError("the server is on its way out, and cannot do that any more")

    @service.method(name="arbiter.status", idempotent=True)
    def status() -> ServerStatus:
        """Describe the server and its workers."""
        return server_status(arbiter, gauge)

    @service.method(name="arbiter.scale", idempotent=True)
    def scale(workers: _Count) -> Scaled:
        """Keep another number of workers; when there shall be fewer, the oldest idle ones leave first."""
        refuse_when_leaving()
        before = len(arbiter.crew.slots)
        arbiter.scale(workers)
        return Scaled(workers, before)

    @service.method(name="arbiter.reload")
    def reload() -> Reloading:
        """Replace the workers one by one by new ones, which import the app anew; no call is lost."""
        refuse_when_leaving()
        return Reloading(arbiter.reload())

    @service.method(name="arbiter.stop")
    def stop(graceful: bool = True) -> Stopping:
        """Stop the server: after answering what has arrived, or at once."""
        if graceful and not arbiter.phase.leaving:
            arbiter.drain()
        elif not graceful:
            arbiter.quit()
        return Stopping(graceful)

    @service.method(name="arbiter.logs", idempotent=True)
    def logs(lines: _Lines = 100, worker: _Count | None = None) -> list[str]:
        """Return the log's last lines, all of them or those of one worker."""
        with _log_read_back():
            return last_lines(arbiter.logs.fileno(), lines, worker)

    @service.method(name="arbiter.log_since", idempotent=True)
    def log_since(position: LogPosition | None = None, limit: _Lines = 1000) -> LogPart:
        """Return what was written to the log after a place in it, or its last lines, and the place to go on from."""
        with _log_read_back():
            return lines_since(arbiter.logs.fileno(), position, limit)

    @service.method(name="arbiter.events", idempotent=True)
    def events(after: Annotated[int, msgspec.Meta(ge=0)] = 0) -> Events:
        """Return what happened to the server and its workers lately, after the event with that number."""
        return arbiter.crew.events.since(after)

    @service.method(name="worker.stop")
    def stop_worker(worker: _Count) -> Signalled:
        """Have a worker answer what has arrived and leave; another one is started in its place at once."""
        refuse_when_leaving()
        found = living(worker)
        arbiter.release(found)
        return Signalled(worker, found.pid, "TERM")

    @service.method(name="worker.kill")
    def kill_worker(worker: _Count, signal: _SignalName = "KILL") -> Signalled:
        """Send a worker a signal; if it dies of it, another one is started in its place."""
        found = living(worker)
        arbiter.send_signal(found, Signals[f"SIG{signal}"])
        return Signalled(worker, found.pid, signal)

    @service.method(name="worker.freeze")
    def freeze_worker(worker: _Count, seconds: _Moment) -> Frozen:
        """Stop a worker, as if it hung, for so many seconds; it goes on by itself, whatever becomes of the caller."""
        refuse_when_leaving()
        found = living(worker)
        arbiter.freezer.freeze(found, seconds)
        return Frozen(worker, found.pid, seconds)

    @service.method(name="worker.thaw", idempotent=True)
    def thaw_worker(worker: _Count) -> Thawed:
        """Let a worker that was frozen go on before its time is over."""
        return Thawed(worker, arbiter.freezer.thaw(worker))

    return service


@contextlib.contextmanager
def _log_read_back() -> Iterator[None]:
    """Say why the log cannot be read."""
    try:
        yield
    except NotAFile:
        reason = "the log is not written to a file, and cannot be read back: start the server with --log-file"
        raise RpcError(reason) from None
    except OSError as error:
        raise RpcError(f"the log cannot be read back: {error.strerror}: {error.filename}") from error
