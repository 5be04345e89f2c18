"""Gathering the evidence on one call: what was noted while it lasted, and what its server says now."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ShellError
from rpcshell.line.masking import mask_text
from rpcshell.shell.why.evidence import Evidence
from rpcshell.shell.why.snapshots import LOOK, take_snapshot
from rpcshell.shell.why.timing import timing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.servers import Control
    from rpcshell.shell.session import Session
    from rpcshell.shell.supervisor import Supervisor
    from rpcshell.shell.why.observer import Observed, Observer
    from rpcwire.control import ServerEvent

__all__ = ["Inquiry", "inquire", "lines_of_time"]

_LINES: Final = 300
"""Lines of the log that are looked through."""

_AFTER: Final = 0.5
"""Seconds after a call in which what happened may still be about it."""

_MILLISECOND: Final = 0.001
"""What the log's times are exact to."""

_TIME: Final = re.compile(r'(?:\{"time":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)')
"""How a record of the log begins, as text and as JSON; other lines continue one."""


class Inquiry(msgspec.Struct, frozen=True):
    """What was found out.

    Attributes:
        evidence: All of it that a diagnosis needs.
        log: The server's log while the call lasted, or of its worker the last lines before it.
        in_time: Whether these are of the call's time.
        unseen: Why the server cannot be looked at, or None.
    """

    evidence: Evidence
    log: tuple[str, ...] = ()
    in_time: bool = True
    unseen: str | None = None


def inquire(call: Observed, observer: Observer, session: Session, supervisor: Supervisor) -> Inquiry:
    """Gather what is known of a call.

    Args:
        call: Which.
        observer: What noted it.
        session: Whose call it was.
        supervisor: Finds the server.
    """
    record, exchange = call.record, call.exchange
    service = None if record.meta is None else record.meta.service_us / 1e6
    evidence = Evidence(
        method=record.method,
        target=record.target,
        outcome=record.outcome,
        failure=call.failure,
        error="" if record.error is None else mask_text(record.error, record.params).rstrip("."),
        hint=(call.error and call.error.hint) or "",
        code=record.code,
        timing=timing_of(exchange, service),
        meta=record.meta,
        served_by=exchange.served_by,
        then=call.snapshot,
        reply_size=exchange.received_size,
    )
    if record.target != str(session.target or ""):
        return Inquiry(evidence, unseen=f"calls go to {session.target or 'no server'} by now")
    evidence = msgspec.structs.replace(evidence, arbiter=observer.arbiter(), server_ended=_ended(session))
    if evidence.server_ended and session.server is not None:
        return Inquiry(evidence, _tail(session.server.log))
    try:
        path = supervisor.path()
    except ShellError as error:
        return Inquiry(evidence, unseen=error.message)
    now = take_snapshot(path, None, evidence.arbiter)
    evidence = msgspec.structs.replace(evidence, now=now)
    if now.status is None:
        return Inquiry(evidence, unseen=f"the server does not answer on its control socket within {LOOK:g} s")
    return _with_events_and_log(call, evidence, supervisor)


def _with_events_and_log(call: Observed, evidence: Evidence, supervisor: Supervisor) -> Inquiry:
    timing = evidence.timing
    since, until = timing.ended_at - timing.total, timing.ended_at + _AFTER
    lines: list[str] = []
    try:
        with supervisor.control(timeout=LOOK) as control:
            found = control.events().events
            evidence = msgspec.structs.replace(evidence, events=tuple(_events_of_time(found, since, until)))
            lines = _log(control, None)
            began = call.record.began
            during = lines_of_time(lines, began - _MILLISECOND, began + timing.total + _AFTER)
            if during:
                # A handler may have logged what it was called with.
                return Inquiry(evidence, tuple(mask_text(line, call.record.params) for line in during))
            worker = evidence.worker
            if evidence.outcome not in {"failed", "cancelled"} or worker is None:
                return Inquiry(evidence)
            lines = _log(control, worker.worker)
    except ShellError:
        # An older server tells of no events; one that hangs tells nothing more.
        pass
    last = next((place for place in reversed(range(len(lines))) if _TIME.match(lines[place])), 0)
    return Inquiry(evidence, tuple(lines[last:]), in_time=False)


def _events_of_time(events: Sequence[ServerEvent], since: float, until: float) -> Iterator[ServerEvent]:
    """The events of a time, and before them that a worker was frozen which was so still."""
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


def lines_of_time(lines: Sequence[str], since: float, until: float) -> list[str]:
    """The records of a log that were written in a time, with the lines that continue them.

    Args:
        lines: Of the log.
        since: In seconds since the epoch.
        until: In seconds since the epoch.
    """
    return list(_of_time(lines, since, until))


def _of_time(lines: Sequence[str], since: float, until: float) -> Iterator[str]:
    within = False
    for line in lines:
        if (found := _TIME.match(line)) is not None:
            within = since <= datetime.fromisoformat(found[1]).timestamp() <= until
        if within:
            yield line


def _ended(session: Session) -> str:
    server = session.server
    if server is None or str(session.target) not in server.addresses or server.poll() is None:
        return ""
    return server.how_it_ended()


def _tail(log: object) -> tuple[str, ...]:
    from pathlib import Path

    try:
        with Path(str(log)).open(encoding="utf-8", errors="replace") as file:
            return tuple(line.rstrip("\n") for line in file.readlines()[-3:])
    except OSError:
        return ()
