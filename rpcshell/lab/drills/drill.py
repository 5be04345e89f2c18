"""A drill from its first look at the server to its summary; what harm is done is the caller's."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from rpcshell.client.errors import Cancelled, ConnectionFailed, ConnectionLost, ShellError, UsageError
from rpcshell.client.target import UnixTarget
from rpcshell.lab.drills.probe import Probe, ProbedCall
from rpcshell.lab.drills.timeline import ServerFollower, Timeline
from rpcshell.servers.watch import LocalServerWatch
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.escape import visible
from rpcshell.view.styles import BAD, GOOD
from rpcshell.view.units import count_of, duration, number

if TYPE_CHECKING:
    from types import TracebackType

    from rpcshell.lab.drills.probe import ProbeReport
    from rpcshell.servers.control import Control
    from rpcshell.shell.shell import Shell
    from rpcwire.control import ServerStatus

_WARM_UP: Final = 0.5
_LAST_CALLS: Final = 2.0
_AT_ONCE: Final = 0.001
_FEW: Final = 2
_INDENT: Final = 14
_MANY: Final = 8

_PATIENCE: Final = 30.0
"""Seconds that calls have to be answered as before, once the harm is over."""

CALM: Final = 0.15
"""Seconds for which calls are watched once everything seems well again."""


class Verdict(msgspec.Struct, frozen=True):
    """What a drill came to, in one sentence that is safe on a terminal."""

    text: str
    recovered: float | None = None
    """Seconds until the server was as before; None where it was never worse, or is not yet."""


class Drill:
    """A running drill; a context manager that shows its timeline and, at the end, its summary.

    Ctrl-C ends it early: what there is until then is told. Where nobody is at a prompt, it is raised again.
    Meanwhile `call` is called, as it is typed, or something harmless. What harm is about to be done to which worker
    follows "this would"; somebody is asked first unless they gave consent, or the shell itself started the server.

    Raises:
        UsageError: There is no such worker, or the server is not this user's on this machine, or nobody can be asked.
        Cancelled: Somebody was asked, and said no.
    """

    def __init__(
        self,
        shell: Shell,
        name: str,
        call: str | None,
        *,
        worker: int | None = None,
        harm: str | None = None,
        consent: bool = False,
    ) -> None:
        target = shell.supervisor.native_target("a drill")
        self._shell = shell
        self._name = name
        self._programs = shell.for_programs
        self.called = called = _probed_call(shell, call)
        self.control: Control = shell.supervisor.control()
        watch = LocalServerWatch(lambda: self.control)
        try:
            # An idle connection of the shell's own would take a worker of the sync model away.
            shell.session.hang_up()
            self.timeline = Timeline(None if self._programs else self._show)
            status = watch.status()
            if worker is not None:
                _require_worker(status, worker)
            if harm is not None:
                shell.supervisor.require_consent(
                    harm, given=consent, ask=shell.output.text if shell.interactive else None
                )
            callers = min(max(len(status.workers) // 2, _FEW), _MANY)
            # Those that keep their connection for a while may keep others from its worker.
            keep = status.concurrent or len(status.workers) > callers
            self.probe = Probe(target, called, self.timeline, tls=shell.session.tls, callers=callers, keep=keep)
            self.follower = ServerFollower(watch, self.timeline, self.probe.look, callers=callers)
        except BaseException:
            self.control.close()
            raise
        self.target = target
        self.tls = shell.session.tls
        self.verdict = Verdict("Nothing was seen.")
        """What it came to; the drill sets it."""

    def __enter__(self) -> Self:
        try:
            self.probe.start(_WARM_UP)
            self.probe.count_from_now()
            self.follower.start()
            self.before = self.follower.status
            """The server before any harm was done."""
        except BaseException:
            self.probe.stop(0)
            self.control.close()
            raise
        self.timeline.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        stopped = isinstance(error, KeyboardInterrupt)
        try:
            self._end(error)
        finally:
            self.control.close()
        if isinstance(error, ConnectionFailed | ConnectionLost) and error.target == UnixTarget(self.control.path):
            raise ConnectionFailed(self.target, "the server has gone in the middle of the drill") from error
        if stopped and not self._shell.interactive:
            raise Cancelled("cancelled: the drill was ended before its time") from None
        return stopped

    def lost(self) -> int:
        """Calls that were lost on the server since the start, those of other clients too."""
        return max(self.follower.status.totals.lost - self.before.totals.lost, 0)

    def healthy_after(self, since: float, seconds: float = _PATIENCE) -> float | None:
        """Look for so many seconds until the server is healthy; how long after a time that was, or None.

        All workers serve then, nobody waits, and a call that began since was answered as quickly as before.
        """

        def healthy(status: ServerStatus) -> bool:
            serving = sum(worker.state == "ready" for worker in status.workers)
            return serving >= status.wanted and not status.waiting and self.probe.fares_well(since)

        return time.monotonic() - since if self.follower.until(healthy, seconds) else None

    def recovery(self, since: float, seconds: float) -> float | None:
        """As `healthy_after`, by when the server says that its workers were ready, and not by when that was seen."""
        self.follower.refresh()
        if self.healthy_after(since, seconds) is None:
            return None
        # The events were asked for before the status that shows a worker to be ready.
        self.follower.refresh()
        ready = [event.at for event in self.follower.events if event.kind in {"ready", "thawed"} and event.at >= since]
        return max([*ready, since]) - since

    def _show(self, line: str, style: str = "", indent: int = _INDENT) -> None:
        """Show a line; on a terminal it is broken between words."""
        if self._shell.interactive:
            columns = max(columns_of_terminal(), 2 * _INDENT)
            line = textwrap.fill(line, columns - 1, subsequent_indent=" " * indent, break_on_hyphens=False)
        self._shell.output.pieces([(style, f"{line}\n")], paged=False)

    def _end(self, error: BaseException | None) -> None:
        stopped = isinstance(error, KeyboardInterrupt)
        try:
            if stopped:
                self.timeline.add("stopped", "stopped by Ctrl-C")
            if error is None or stopped:
                self.probe.stop(_LAST_CALLS)
                self.follower.refresh()
                self.probe.look(time.monotonic())
        except KeyboardInterrupt:
            # Pressed again: the last calls are not waited for.
            pass
        except ShellError as lost:
            self.timeline.add("gone", f"the server does not answer any more: {lost.message}")
        finally:
            self.probe.stop(0)
            self.timeline.flush()
            self._summarize(self.probe.report(), failed=error is not None and not stopped)

    def _summarize(self, report: ProbeReport, *, failed: bool) -> None:
        verdict = self.verdict
        if self._programs:
            self._shell.output.value("", [*self.timeline.rows(), self._summary_row(report)])
        elif not failed:
            lost = self.lost()
            lines = [(calls_line(report), BAD if report.lost else "")]
            if lost > report.lost:
                lost_there = f"by the server's own count {count_of(lost, 'call was', 'calls were')} lost"
                lines.append((lost_there, BAD))
            if (seconds := verdict.recovered) is not None:
                after = "at once" if seconds < _AT_ONCE else f"after {duration(seconds)}"
                lines.append((f"recovered {after}", GOOD))
            self._shell.output.text("")
            for line, style in (*lines, (verdict.text, "")):
                self._show(line, style, 0)

    def _summary_row(self, report: ProbeReport) -> dict[str, Any]:
        row: dict[str, Any] = {
            "ms": round(self.timeline.milliseconds(time.monotonic()), 3),
            "event": "summary",
            "drill": self._name,
            "recovered_ms": _milliseconds(self.verdict.recovered),
            "lost_on_server": self.lost(),
        }
        calls: dict[str, Any] = msgspec.to_builtins(report)
        for name in ("before", "typical", "longest"):
            calls[f"{name}_ms"] = _milliseconds(calls.pop(name))
        return row | calls | {"text": self.verdict.text}


def _require_worker(status: ServerStatus, number: int) -> None:
    if status.find(number) is None:
        numbers = ", ".join(str(one) for one in sorted({worker.worker for worker in status.workers}))
        raise UsageError(f"there is no worker {number}", hint=f"the workers are {numbers}; :workers says more")


def _probed_call(shell: Shell, text: str | None) -> ProbedCall:
    """What is called meanwhile: what was asked for, `ping` where it does no harm, or else what every server has."""
    if text is not None:
        method, params = shell.read_call(text)
        shell.refuse_absent(text, method, params)
        return ProbedCall(method, params)
    ping = shell.session.method("ping")
    if ping is not None and ping.idempotent and not any(param.required for param in ping.params):
        return ProbedCall("ping")
    return ProbedCall("rpc.discover")


def calls_line(report: ProbeReport) -> str:
    """What became of the calls that were made meanwhile."""
    counts = {
        "lost": report.lost,
        "not sent": report.unsent,
        "refused": report.refused,
        "busy": report.busy,
        "errors": report.errors,
        "without a reply in time": report.timeouts,
        "still waiting": report.waiting,
    }
    told = ", ".join(f"{number(count)} {name}" for name, count in counts.items() if count or name == "lost")
    line = f"{count_of(report.calls, 'call')} of {visible(report.method)} meanwhile: {told}"
    if report.typical is not None:
        line += f" · half within {duration(report.typical)}, the longest {duration(report.longest)}"
    if report.before is not None:
        line += f" (before: {duration(report.before)})"
    return line


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
