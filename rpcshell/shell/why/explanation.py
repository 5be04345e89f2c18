"""A diagnosis and what it rests on, as one screen of styled text. What the diagnosis is, is decided elsewhere."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from rpcshell.client.diagnosis import seen
from rpcshell.client.verdict import SILENCES, Unrecognised
from rpcshell.shell.why.rules import diagnose
from rpcshell.view.escape import visible
from rpcshell.view.styles import ERROR, FAINT, HINT
from rpcshell.view.units import adding_up, count_of, duration
from rpcshell.view.width import cells, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rpcshell.shell.why.evidence import Evidence
    from rpcshell.shell.why.snapshot import Snapshot
    from rpcshell.view.pretty import Fragment
    from rpcwire.control import ServerStatus, WorkerStatus

_TOGETHER: Final = re.compile(r"(?<=\d) (?=(?:µs|ms|s|min|kB|MB|GB)\b)|(?<=\bpid) (?=\d)")
"""Between a figure and its unit no row ends."""

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_MARGIN: Final = 9
_NARROWEST: Final = 30
_MOST_EVENTS: Final = 6
_MOST_LINES: Final = 5
_MOST_WORKERS: Final = 4
_LONGEST_BAR: Final = 40
_BAR: Final = "█"


def render_explanation(evidence: Evidence, width: int) -> Iterator[Fragment]:
    """Why a call went as it did, on a screen of so many columns, ending in a newline."""
    diagnosis = diagnose(evidence)
    came = _outcome(evidence)
    head = f"call {evidence.call.number} · "
    yield FAINT, head
    room = max(width - cells(head) - cells(came) - 3, _NARROWEST // 2)
    yield "", cut(visible(" ".join(evidence.call.masked_line.split())), room)
    yield FAINT, f" · {came}\n"
    # Whoever is at the end of the call's life wants this first; the rest is what it rests on.
    yield from _row("why", diagnosis.cause, width, ERROR)
    yield from _row("do", diagnosis.advice, width, HINT)
    yield from _times(evidence, width)
    for label, text in _facts(evidence):
        yield from _row(label, text, width)
    yield from _cut("events", _events(evidence), width)
    label, style = ("log", "") if evidence.log_in_time else ("log, old", FAINT)
    yield from _cut(label, _shown(evidence.log), width, style)


def _row(label: str, text: str, width: int, style: str = "") -> Iterator[Fragment]:
    room = max(width - _MARGIN - 1, _NARROWEST)
    together = _TOGETHER.sub(_NO_BREAK, visible(text))
    lines = textwrap.wrap(together, room, break_on_hyphens=False) or [""]
    for place, part in enumerate(lines):
        yield FAINT, f"{'' if place else label:<{_MARGIN}}"
        yield style, f"{part.replace(_NO_BREAK, ' ')}\n"


def _outcome(evidence: Evidence) -> str:
    took, _ = adding_up(evidence.timing.total, ())
    match evidence.call.outcome:
        case "ok":
            return f"answered in {took}"
        case "error":
            return f"error {evidence.call.code} in {took}"
        case "cancelled":
            return f"cancelled after {took}"
        case _:
            return f"no reply in {took}"


def _times(evidence: Evidence, width: int) -> Iterator[Fragment]:
    timing = evidence.timing
    # A handler that sends parts of its result still works while these come.
    service = None if timing.service is None else min(timing.service, timing.wait)
    parts = {
        "before": timing.before,
        "connect": timing.connect,
        "send": timing.send,
        "queue" if service is not None else "waiting": timing.wait - (service or 0.0),
        "service": service or 0.0,
        "transfer": timing.transfer + timing.after,
    }
    room = min(max(width - _MARGIN - 22, 8), _LONGEST_BAR)
    label = "time"
    _, shown = adding_up(timing.total, list(parts.values()))
    for (name, amount), text in zip(parts.items(), shown, strict=True):
        if text:
            bar = _BAR * round(room * amount / timing.total) if timing.total else ""
            yield FAINT, f"{label:<{_MARGIN}}"
            yield "", f"{name:<8} {text:>9}  {bar}".rstrip() + "\n"
            label = ""


def _facts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    timing, trace = evidence.timing, evidence.call.trace
    if timing.attempts:
        new = "a new connection" if timing.dialled else "the connection that was there"
        # Over a fleet, where else it was sent follows.
        again = timing.attempts > 1 and not trace.failed_attempts
        times = f", {timing.attempts} times" if again else ""
        sent = "" if timing.sent else ", not whole"
        where = evidence.call.instance or evidence.call.target
        yield "request", f"{trace.request_size} bytes to {where}{times} on {new}{sent}"
    else:
        yield "request", "not sent"
    yield from _instances(evidence)
    if trace.reads:
        label = "reply" if evidence.call.outcome in {"ok", "error"} else "came"
        yield label, f"{trace.received_size} bytes in {count_of(trace.reads, 'read')}"
    elif timing.attempts:
        yield "reply", "not a byte"
    if isinstance(evidence.call.error, Unrecognised):
        yield from _tried(evidence.call.error)
    if evidence.unseen is not None:
        yield "server", evidence.unseen
    yield from _server_then(evidence)
    now = evidence.now
    if now is not None and now.status is not None:
        yield "now", f"{_server(now.status)}{_worker_now(evidence, now)}"


def _instances(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Which instances of a fleet the call was tried at, and why it went on from each."""
    trace = evidence.call.trace
    for place, attempt in enumerate(trace.failed_attempts):
        ran = "; it may have run" if attempt.may_have_run else ""
        yield "" if place else "tried", f"{attempt.instance}: {attempt.reason}{ran}"
    if trace.failed_attempts and evidence.call.outcome in {"ok", "error"}:
        yield "", f"{evidence.call.instance}: answered"


def _tried(error: Unrecognised) -> Iterator[tuple[str, str]]:
    """What was said to a server to find out what it speaks, each on a connection of its own, and what it answered."""
    for place, attempt in enumerate(error.attempts):
        came = seen(attempt.first) if attempt.first else SILENCES[attempt.end]
        yield "" if place else "tried", f"{attempt.guess.name}: {came}"


def _server_then(evidence: Evidence) -> Iterator[tuple[str, str]]:
    then = evidence.then
    if then is None or then.status is None:
        if evidence.call.meta is not None:
            yield "worker", f"{evidence.call.meta.worker} (pid {evidence.call.meta.pid}) answered"
        return
    timing = evidence.timing
    after = then.at - timing.began_at
    when = f"{duration(after)} into the call" if then.at <= timing.ended_at else "right after it"
    if (worker := evidence.worker) is not None:
        yield "worker", f"{_worker(worker, then)}, {when}"
        return
    if evidence.queued:
        yield "place", f"in the listen queue, {when}: no worker had accepted the connection"
    yield "server", f"{_server(then.status)}, {when}"
    shown = then.status.workers[:_MOST_WORKERS]
    for place, each in enumerate(shown):
        yield "" if place else "workers", _worker(each, then)
    if len(shown) < len(then.status.workers):
        yield "", f"and {len(then.status.workers) - len(shown)} more; :workers shows all"


def _worker(worker: WorkerStatus, snapshot: Snapshot) -> str:
    is_sync = snapshot.status is not None and not snapshot.status.concurrent
    call = worker.call
    doing = "idle" if call is None else f"in {call.method} for {duration(call.seconds)}"
    if call is None and worker.connections:
        doing = "held by an idle connection" if is_sync else "in no call"
    if snapshot.stopped(worker.pid):
        doing = f"stopped (SIGSTOP), {doing}"
    elif worker.stalled:
        doing = f"stalled, {doing}"
    state = "" if worker.state == "ready" else f"{worker.state}, "
    held = "" if is_sync else f", {count_of(worker.connections, 'connection')}"
    return f"{worker.worker} (pid {worker.pid}) {state}{doing}{held}"


def _worker_now(evidence: Evidence, now: Snapshot) -> str:
    if now.status is None or evidence.pid is None:
        return ""
    same = next((worker for worker in now.status.workers if worker.pid == evidence.pid), None)
    return f"; worker {_worker(same, now)}" if same is not None else f"; pid {evidence.pid} is gone"


def _server(status: ServerStatus) -> str:
    queues = [(one.waiting, one.limit or 0) for one in status.listeners if one.waiting is not None]
    waiting, limit = (sum(parts) for parts in zip(*queues, strict=True)) if queues else (0, 0)
    where = "the listen queue" if len(queues) == 1 else f"{len(queues)} listen queues"
    queue = f", {waiting} of {limit} wait in {where}" if queues else ""
    return f"{count_of(len(status.workers), f'{status.model} worker')}{queue}"


def _events(evidence: Evidence) -> Iterator[str]:
    began = evidence.timing.began_at
    for event in evidence.events[:_MOST_EVENTS]:
        who = f"worker {event.worker} (pid {event.pid}) " if event.worker is not None else ""
        signal = f" by SIG{event.signal}" if event.signal else ""
        lost = f", {count_of(event.lost, 'call')} lost" if event.lost else ""
        # The text of an end names the signal too.
        more = f" {event.text}" if event.text and not event.signal else ""
        yield visible(f"{event.at - began:+.2f} s  {who}{event.kind.replace('_', ' ')}{signal}{more}{lost}")


def _cut(label: str, lines: Iterable[str], width: int, style: str = "") -> Iterator[Fragment]:
    """Labelled lines, each on one row."""
    for place, line in enumerate(lines):
        yield FAINT, f"{'' if place else label:<{_MARGIN}}"
        yield style, cut(line, max(width - _MARGIN - 1, _NARROWEST)) + "\n"


def _shown(lines: Sequence[str]) -> list[str]:
    """As many lines as there is room for: of a traceback the beginning and the end say most."""
    # The marks that Python draws under a part of a line tell nothing without it.
    short = [visible(_without_date(line)) for line in lines if line.strip(" ^~")]
    if len(short) <= _MOST_LINES:
        return short
    first = 1 if not lines[-1].startswith((" ", "\t")) else 2
    more = f"… {len(short) - _MOST_LINES + 1} more lines; :logs shows them"
    return [*short[:first], more, *short[first + 1 - _MOST_LINES :]]


def _without_date(line: str) -> str:
    return line[line.index("T") + 1 :].replace("Z ", " ", 1) if line[:2] == "20" and "T" in line[:12] else line
