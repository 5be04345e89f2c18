"""What the control socket serves: the methods to watch and to steer a server with.

What they do is the arbiter's; here they are named, described and checked. Who may call them is in
`rpcserver.control`.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import msgspec

from .context import WorkerInfo
from .dispatch import Dispatcher
from .errors import RpcError
from .log_tail import NotAFile, last_lines
from .scaling import MAX_WORKERS
from .service import Service
from .status import ServerStatus, program_version

if TYPE_CHECKING:
    from .control import Answer
    from .slots import WorkerProcess

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS)]
Lines = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
SignalName = Literal["ABRT", "CONT", "INT", "KILL", "QUIT", "SEGV", "STOP", "TERM"]


class Steered(Protocol):
    """What the methods need of the arbiter."""

    @property
    def log_descriptor(self) -> int:
        """What the server's log is written to."""

    @property
    def leaving(self) -> bool:
        """Whether the server is on its way out."""

    def status(self) -> ServerStatus:
        """Describe the server."""

    def scale(self, workers: int) -> None:
        """Keep another number of workers."""

    def reload(self) -> int:
        """Replace all workers; returns their generation."""

    def drain(self) -> None:
        """Stop without loss."""

    def quit(self) -> None:
        """Stop at once."""

    def find_worker(self, number: int) -> WorkerProcess | None:
        """Return the worker with that number that serves, or else one that starts or leaves."""

    def release(self, worker: WorkerProcess) -> None:
        """Ask a worker to leave, and start another one in its place."""


class Scaled(msgspec.Struct, frozen=True):
    """How many workers there shall be, and how many there should be before."""

    workers: int
    before: int


class Reloading(msgspec.Struct, frozen=True):
    """A reload has begun: `arbiter.status` tells when the workers are of that generation."""

    generation: int


class Stopping(msgspec.Struct, frozen=True):
    """The server is on its way out."""

    graceful: bool


class Signalled(msgspec.Struct, frozen=True):
    """A worker was sent a signal."""

    worker: int
    pid: int
    signal: str


def control_answer(steered: Steered) -> Answer:
    """Return what answers requests on the control socket.

    Args:
        steered: the arbiter.
    """
    info = WorkerInfo(worker=0, pid=os.getpid(), generation=0, model="control")
    return Dispatcher(control_service(steered), info).answer


def control_service(steered: Steered) -> Service:
    """Make the service.

    Args:
        steered: the arbiter.
    """
    service = Service("rpcserver control", program_version(), "Watches and steers a running server.")

    def living(number: int) -> WorkerProcess:
        worker = steered.find_worker(number)
        if worker is None:
            raise RpcError(f"there is no worker {number}; arbiter.status lists those that there are")
        return worker

    def refuse_when_leaving() -> None:
        if steered.leaving:
            raise RpcError("the server is on its way out, and cannot do that any more")

    @service.method(name="arbiter.status", idempotent=True)
    def status() -> ServerStatus:
        """Describe the server and its workers."""
        return steered.status()

    @service.method(name="arbiter.scale", idempotent=True)
    def scale(workers: Count) -> Scaled:
        """Keep another number of workers; when there shall be fewer, the oldest idle ones leave first."""
        refuse_when_leaving()
        before = steered.status().wanted
        steered.scale(workers)
        return Scaled(workers, before)

    @service.method(name="arbiter.reload")
    def reload() -> Reloading:
        """Replace the workers one by one by new ones, which import the app anew; no call is lost."""
        refuse_when_leaving()
        return Reloading(steered.reload())

    @service.method(name="arbiter.stop")
    def stop(graceful: bool = True) -> Stopping:
        """Stop the server: after answering what has arrived, or at once."""
        if graceful and not steered.leaving:
            steered.drain()
        elif not graceful:
            steered.quit()
        return Stopping(graceful)

    @service.method(name="arbiter.logs", idempotent=True)
    def logs(lines: Lines = 100, worker: Count | None = None) -> list[str]:
        """Return the log's last lines, all of them or those of one worker."""
        try:
            return last_lines(steered.log_descriptor, lines, worker)
        except NotAFile:
            reason = "the log is not written to a file, and cannot be read back: start the server with --log-file"
            raise RpcError(reason) from None
        except OSError as error:
            raise RpcError(f"the log cannot be read back: {error.strerror}") from error

    @service.method(name="worker.stop")
    def stop_worker(worker: Count) -> Signalled:
        """Have a worker answer what has arrived and leave; another one is started in its place at once."""
        refuse_when_leaving()
        found = living(worker)
        steered.release(found)
        return Signalled(worker, found.pid, "TERM")

    @service.method(name="worker.kill")
    def kill_worker(worker: Count, signal: SignalName = "KILL") -> Signalled:
        """Send a worker a signal; if it dies of it, another one is started in its place."""
        found = living(worker)
        found.process.send_signal(_SIGNALS[signal])
        return Signalled(worker, found.pid, signal)

    return service


_SIGNALS = {name.removeprefix("SIG"): number for name, number in signal.Signals.__members__.items()}
