"""All that is known of one call, gathered for a diagnosis: its record, what was seen meanwhile, and its server now."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from rpcshell.client.errors import ShellError
from rpcshell.client.target import ChildTarget, Target
from rpcshell.line.brief import brief
from rpcshell.line.masking import mask_text
from rpcshell.shell.why.snapshot import LOOK, Snapshot, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.servers.control import Control
    from rpcshell.shell.call import Call
    from rpcshell.shell.session import Session
    from rpcshell.shell.supervisor import Supervisor
    from rpcshell.shell.timing import Timing
    from rpcwire.control import ServerEvent, ServerStatus, WorkerStatus

_LINES: Final = 300
"""Lines of the log that are looked through."""

_LONGEST_ERROR: Final = 1000
"""Characters that are told of what a server said is wrong: there may be megabytes of it."""

_AFTER: Final = 0.5
"""Seconds after a call in which what happened may still be about it."""

_MILLISECOND: Final = 0.001
"""What the log's times are exact to."""

_CLOCKS: Final = 0.1
"""Seconds by which the times of two processes that look at each other may be off."""

_TIME: Final = re.compile(r'(?:\{"time":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)')
"""How a record of the log begins, as text and as JSON; other lines continue one."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a diagnosis rests on."""

    call: Call
    timing: Timing
    target: Target | None = None
    then: Snapshot | None = None
    """The server during the call or right after it, where it is one that can be looked at."""
    now: Snapshot | None = None
    """The server as it is now."""
    events: tuple[ServerEvent, ...] = ()
    """What happened to the server while the call lasted, in order."""
    server_ended: str = ""
    """How the server that was spawned here has ended, in words that follow its name, or empty."""
    arbiter: int | None = None
    """The process id of the server, where it is known."""
    log: tuple[str, ...] = ()
    """The server's log while the call lasted, or of its worker the last lines before it."""
    log_in_time: bool = True
    """Whether these are of the call's time."""
    unseen: str | None = None
    """Why the server cannot be looked at, or None."""

    @property
    def error(self) -> str:
        """What was told of what went wrong, the beginning of it, without the call's secrets and without a full stop."""
        error = self.call.error
        text = "" if error is None else mask_text(error.message, self.call.named_params)
        return brief(text, _LONGEST_ERROR).rstrip(".")

    @property
    def hint(self) -> str:
        """What was told to do about it."""
        return (self.call.error and self.call.error.hint) or ""

    @property
    def status(self) -> ServerStatus | None:
        """The server then, or None."""
        return None if self.then is None else self.then.status

    @property
    def foreign(self) -> bool:
        """Whether what answered may be any server: it speaks another protocol, and is none that can be looked at."""
        return self.unseen is not None and self.target is not None and bool(self.target.dialect)

    @property
    def child(self) -> bool:
        """Whether the server is a child of this shell."""
        return isinstance(self.target, ChildTarget)

    @property
    def queued(self) -> bool:
        """Whether the connection was seen to wait in the listen queue."""
        return self.then is not None and self.then.place is not None and self.then.place.queued

    @property
    def unasked(self) -> bool:
        """Whether it was given up unsent, while the shell still waited to be told what the server offers."""
        return self.call.outcome == "cancelled" and not self.timing.attempts and not self.timing.dialled

    @property
    def pid(self) -> int | None:
        """The process that had the call, as far as that can be told."""
        if self.call.meta is not None:
            return self.call.meta.pid
        if self.then is not None and self.then.place is not None:
            return self.then.place.pid
        if self.call.trace.served_by is not None:
            return self.call.trace.served_by.pid
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
        if worker.call is None or self.then is None or worker.call.method != self.call.method:
            return False
        return self.then.at - worker.call.seconds >= self.timing.sent_at - _CLOCKS

    def events_of(self, *kinds: str) -> list[ServerEvent]:
        """The events of some kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    def stopped(self, pid: int | None) -> bool:
        """Whether a process was seen to be stopped by a signal."""
        return self.then is not None and self.then.stopped(pid)


class Diagnosis(NamedTuple):
    """Why, in one sentence, and what to do about it, without a full stop."""

    cause: str
    advice: str


def named(worker: WorkerStatus) -> str:
    """A worker as a sentence calls it."""
    return f"worker {worker.worker} (pid {worker.pid})"


def all_of(workers: Sequence[WorkerStatus]) -> str:
    """Workers, all that there are, at least one, and the verb that goes with them."""
    if len(workers) == 1:
        return f"the only worker, {workers[0].worker}, was"
    return "both workers were" if len(workers) == 2 else f"all {len(workers)} workers were"


def gather(call: Call, session: Session, supervisor: Supervisor) -> Evidence:
    """Gather what is known of a call of a session, and ask its server, found by the supervisor, for more."""
    then = None if call.sighting is None else call.sighting.snapshot
    target = Target.parse(call.target, session.book.dialects) if call.target else None
    evidence = Evidence(call=call, target=target, timing=call.timing, then=then)
    if call.target != str(session.target or ""):
        return replace(evidence, unseen=f"calls go to {session.target or 'no server'} by now")
    instance = call.trace.instance
    evidence = replace(evidence, arbiter=supervisor.arbiter(instance), server_ended=_ended(session))
    if evidence.server_ended and session.server is not None:
        return replace(evidence, log=_tail(session.server.log))
    try:
        path = supervisor.path(instance)
    except ShellError as error:
        return replace(evidence, unseen=_why_unseen(instance or session.target, error))
    now = take_snapshot(path, None, evidence.arbiter)
    evidence = replace(evidence, now=now)
    if now.status is None:
        return replace(evidence, unseen=f"the server does not answer on its control socket within {LOOK:g} s")
    return _with_events_and_log(evidence, supervisor)


def _why_unseen(target: Target | None, error: ShellError) -> str:
    match target:
        case ChildTarget():
            return "a child of this shell: what it says beside the protocol is in :logs"
        case Target(dialect=str(dialect)) if dialect:
            return f"it speaks {dialect.partition('+')[0]}: what goes on inside it is not seen from here"
    return error.message


def _with_events_and_log(evidence: Evidence, supervisor: Supervisor) -> Evidence:
    call, timing = evidence.call, evidence.timing
    lines: list[str] = []
    try:
        with supervisor.control(call.trace.instance, timeout=LOOK, search=LOOK) as control:
            found = _events_of_time(control.events().events, timing.began_at, timing.ended_at + _AFTER)
            evidence = replace(evidence, events=tuple(found))
            lines = _log(control, None)
            if during := _lines_of_time(lines, call.began - _MILLISECOND, call.began + timing.total + _AFTER):
                # A handler may have logged what it was called with.
                return replace(evidence, log=tuple(mask_text(line, call.named_params) for line in during))
            worker = evidence.worker
            if call.outcome not in {"failed", "cancelled"} or worker is None:
                return evidence
            lines = _log(control, worker.worker)
    except ShellError:
        # An older server tells of no events; one that hangs tells nothing more.
        pass
    last = next((place for place in reversed(range(len(lines))) if _TIME.match(lines[place])), 0)
    return replace(evidence, log=tuple(lines[last:]), log_in_time=False)


def _events_of_time(events: Sequence[ServerEvent], since: float, until: float) -> Iterator[ServerEvent]:
    """The events of a time, after those that had frozen a worker before it began."""
    frozen: dict[int | None, ServerEvent] = {}
    for event in events:
        if event.at >= since:
            break
        if event.kind == "frozen":
            frozen[event.pid] = event
        elif event.kind in {"thawed", "died", "left"}:
            frozen.pop(event.pid, None)
    yield from frozen.values()
    yield from (event for event in events if since <= event.at <= until)


def _log(control: Control, worker: int | None) -> list[str]:
    try:
        return control.logs(_LINES, worker)
    except ShellError:
        # It may go to a terminal or a journal, from where it cannot be read back.
        return []


def _lines_of_time(lines: Sequence[str], since: float, until: float) -> list[str]:
    """The records of a log that were written in a time, in seconds since the epoch, with their further lines."""
    written: list[str] = []
    within = False
    for line in lines:
        if (found := _TIME.match(line)) is not None:
            within = since <= datetime.fromisoformat(found[1]).timestamp() <= until
        if within:
            written.append(line)
    return written


def _ended(session: Session) -> str:
    server = session.spawned_at(session.target)
    return "" if server is None or server.poll() is None else server.how_it_ended()


def _tail(log: object) -> tuple[str, ...]:
    try:
        with Path(str(log)).open(encoding="utf-8", errors="replace") as file:
            return tuple(line.rstrip("\n") for line in file.readlines()[-3:])
    except OSError:
        return ()
