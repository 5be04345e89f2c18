"""What a server tells who started it, and what it and those who watch and steer it tell each other.

Each side may be older or newer than the other: unknown fields are ignored, and a field that an older server leaves out
has a value that means "not told". So a new field needs such a default, and no field ever changes its meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rpcwire.worker_models import worker_model


class ServerReady(msgspec.Struct, frozen=True, tag_field="event", tag="ready"):
    """To the process that started the server: every worker is ready. Addresses and the control socket are targets."""

    pid: int = 0
    addresses: tuple[str, ...] = ()
    workers: int = 0
    model: str = ""
    app: str | None = None
    seconds: float = 0.0
    """How long that took."""
    control: str | None = None


class StartFailed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """To the same: the server does not start. The traceback has the frames of the user's own code only."""

    message: str = ""
    traceback: str | None = None


class RunningCall(msgspec.Struct, frozen=True):
    """A call that a worker is in, and for how long. The method's name is cut after 64 bytes."""

    method: str
    seconds: float


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker."""

    worker: int
    """Its number, from 1; while it is replaced, two workers have the same."""
    pid: int
    generation: int = 0
    """How many times the server had been reloaded when the worker started."""
    state: str = "ready"
    """starting, ready, draining or aborting."""
    call: RunningCall | None = None
    """The longest of the running calls, where the worker can tell."""
    calls_running: int = 0
    connections: int = 0
    """How many are open."""
    accepts: int = 0
    calls: int = 0
    """How many it has answered, errors included."""
    errors: int = 0
    busy_seconds: float = 0.0
    """Time in calls, added up."""
    busy: float = 0.0
    """The share of the last seconds that it spent in calls; over 1 where several run at once."""
    bytes_in: int = 0
    bytes_out: int = 0
    memory: int = 0
    """Resident bytes (RSS); what workers share counts for each of them."""
    pss: int | None = None
    """Bytes of its own and its part of those that it shares (proportional set size); None where that is not told."""
    uss: int | None = None
    """Bytes that are its own alone (unique set size); None where that is not told."""
    age: float = 0.0
    """Seconds since it was started."""
    silent: float | None = None
    """Seconds since its loop last went round, of which there is one a second; None where it need not, as in a call of
    model sync, and where the server does not tell."""
    stalled: bool = False
    """Whether it is ready and serves nobody: its process is stopped, or its loop is blocked."""

    @property
    def activity(self) -> str:
        """What it is about in a word: its state, or of one that is ready, stalled or busy."""
        if self.state != "ready":
            return self.state
        return "stalled" if self.stalled else "ready" if self.call is None else "busy"


class StemStatus(msgspec.Struct, frozen=True):
    """A process that has imported the app, and forks workers (`--preload`)."""

    pid: int
    generation: int = 0
    """Of the workers that it forks."""
    state: str = "ready"
    """loading, ready, retired (it stays as long as its workers), or aborting."""
    memory: int = 0
    """Bytes, as of a worker."""
    pss: int | None = None
    uss: int | None = None
    age: float = 0.0
    """Seconds since it was started."""


class ListenerStatus(msgspec.Struct, frozen=True):
    """One address, as targets are written, and its queue of connections to accept; None where the kernel is silent."""

    address: str
    waiting: int | None = None
    limit: int | None = None


class TotalStatus(msgspec.Struct, frozen=True):
    """Counts since the server started, those of workers that have left included."""

    accepts: int = 0
    calls: int = 0
    """Answered calls, errors included."""
    errors: int = 0
    busy_seconds: float = 0.0
    """Time that workers were in calls that were answered, added up."""
    bytes_in: int = 0
    bytes_out: int = 0
    died: int = 0
    """Workers that died by a signal or with an error."""
    lost: int = 0
    """Calls that they were in."""


class RegistrationStatus(msgspec.Struct, frozen=True):
    """Whether the server is registered for the clients of a fleet."""

    registry: str
    """The address of the serverset."""
    address: str
    """Where the registry says that the server is, as targets are written."""
    state: str = "connecting"
    """connecting, registered, absent (the server is not ready, or leaves) or away (the registry does not answer)."""
    seconds: float = 0.0
    """Since when."""
    problem: str | None = None
    """Why it is not registered though it should be."""

    @property
    def summary(self) -> str:
        """It in a few words; what the registry has said is in them."""
        problem = f" ({self.problem})" if self.problem else ""
        match self.state:
            case "registered":
                return f"registered at {self.registry}"
            case "away":
                return f"the registry {self.registry} is away{problem}"
            case "connecting":
                return f"the registry {self.registry} is not reached yet{problem}"
            case _:
                return f"not registered at {self.registry}{problem}"


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The server: the result of `arbiter.status`."""

    pid: int
    """The arbiter's process."""
    version: str = ""
    """Of the program."""
    model: str
    app: str | None = None
    """What is served; None for the demo."""
    phase: str = "running"
    """booting, running, settling (balancers hear that it stops, and it serves as before), draining or quitting."""
    generation: int = 0
    """How many times the server was reloaded."""
    reloading: bool = False
    reload_problem: str | None = None
    """Why the last reload was given up."""
    uptime: float = 0.0
    """Seconds."""
    listeners: list[ListenerStatus] = []
    wanted: int = 0
    """How many workers there shall be."""
    workers: list[WorkerStatus]
    """Those that there are, by number."""
    stems: list[StemStatus] = []
    """Empty without `--preload`."""
    totals: TotalStatus
    registration: RegistrationStatus | None = None
    """None where nobody has asked for one."""

    @property
    def concurrent(self) -> bool:
        """Whether a worker accepts connections while it serves others."""
        return worker_model(self.model).concurrent

    @property
    def loading(self) -> StemStatus | None:
        """What loads the app for a reload, whose workers are not started yet."""
        return next(
            (stem for stem in self.stems if stem.state == "loading" and stem.generation > self.generation), None
        )

    @property
    def waiting(self) -> int:
        """How many connections wait to be accepted, on all addresses that tell."""
        return sum(listener.waiting or 0 for listener in self.listeners)

    def find(self, number: int) -> WorkerStatus | None:
        """The worker with a number: of two that have it, the one that serves."""
        found = [worker for worker in self.workers if worker.worker == number]
        return min(found, key=lambda worker: worker.state != "ready", default=None)


EventKind = Literal[
    "forked",
    "ready",
    "start_failed",
    "draining",
    "aborting",
    "left",
    "died",
    "delayed",
    "retiring",
    "reclaim",
    "frozen",
    "thawed",
    "stalled",
    "recovered",
    "signalled",
    "scaling",
    "reloading",
    "reloaded",
    "reload_failed",
    "registered",
    "unregistered",
    "stem_ready",
    "stem_died",
]
"""What a server of this version tells of. `delayed` says that a worker lived too briefly to be replaced at once,
`retiring` that it wants to be replaced, `reclaim` that it is asked to let a connection go, `stalled` that its
loop stands still, `recovered` that it goes round again, `stem_ready` that workers come of a new process that has
preloaded the app, and `stem_died` that this has ended unasked and another one is made."""


class ServerEvent(msgspec.Struct, frozen=True):
    """One thing that happened to the server or a worker of it."""

    number: int
    """From 1, without gaps."""
    at: float
    """Seconds of CLOCK_MONOTONIC, which every process of the machine shares."""
    kind: str
    """An `EventKind`; newer servers may know more of them."""
    worker: int | None = None
    """The worker's number; None where the event is about the server."""
    pid: int | None = None
    generation: int | None = None
    """The worker's, or the one that a reload is about."""
    signal: str | None = None
    """What the worker died of or was sent, without SIG."""
    lost: int = 0
    """How many calls the worker was in when it died."""
    text: str = ""


class Events(msgspec.Struct, frozen=True):
    """The events after one that is known: the result of `arbiter.events`."""

    now: float = 0.0
    """Seconds of CLOCK_MONOTONIC."""
    last: int = 0
    """The number of the last event that there was."""
    missed: int = 0
    """How many were asked for that the server does not keep any more."""
    events: list[ServerEvent] = []


class LogPosition(msgspec.Struct, frozen=True):
    """A place between two lines of the log: the file, which changes when the log is opened anew, and the offset."""

    file: str
    offset: Annotated[int, msgspec.Meta(ge=0)]


class LogPart(msgspec.Struct, frozen=True):
    """Whole lines of the log, and the place after them to go on from: the result of `arbiter.log_since`."""

    lines: list[str]
    next: LogPosition
    more: bool = False
    """Whether there are more already."""
    skipped: int = 0
    """How many bytes before them are left out, because the reader is too far behind."""
    anew: bool = False
    """Whether the log began anew since; what came to its former file last may be missing."""


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
    """A worker was sent a signal, named without SIG."""

    worker: int
    pid: int
    signal: str


class Frozen(msgspec.Struct, frozen=True):
    """A worker is stopped, and goes on by itself after so many seconds."""

    worker: int
    pid: int
    seconds: float


class Thawed(msgspec.Struct, frozen=True):
    """The processes with a worker's number that go on now; none where none was frozen."""

    worker: int
    pids: list[int]
