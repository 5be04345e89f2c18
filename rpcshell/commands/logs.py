"""The command that shows a server's log, or what a child says out of turn, and follows it: `:logs`."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.client.errors import ShellError, UsageError
from rpcshell.commands.following import FOLLOW, SHOWN_A_SECOND, refuse_diverted
from rpcshell.commands.groups import LOOK
from rpcshell.servers.log import LEVELS, LogFilter, LogFollower, LogSink, Throttle, read_records
from rpcshell.servers.watch import LocalServerWatch
from rpcshell.shell.command import WORKER, command, worker_number
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.shell.unasked import Subscription, iso_time
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.units import count_of
from rpcshell.view.wrap import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rpcshell.servers.log import LogRecord
    from rpcshell.shell.shell import Shell
    from rpcshell.shell.unasked import LoggedLine, StrayLog
    from rpcshell.view.pretty import Fragment

_SHOWN: Final = 20
_MOST: Final = 10_000
"""Lines that a server gives at once."""

_FAINT: Final = "class:log.faint"


@command(
    "logs",
    group=LOOK,
    examples=(":logs", ":logs 3 -n 50", ":logs -f --level warning", ":logs --grep timeout", ":logs off"),
)
@click.argument("worker", metavar="[WORKER|off]", type=WORKER, required=False)
@FOLLOW
@click.option("-n", "--lines", metavar="LINES", type=click.IntRange(0, _MOST), help="Show the last LINES, not 20.")
@click.option("-l", "--level", type=click.Choice(LEVELS), help="Only what is as grave as that, or graver.")
@click.option("-g", "--grep", metavar="TEXT", help="Only what has TEXT in it; case makes no difference.")
def logs(
    shell: Shell, *, worker: str | None, follow: bool, lines: int | None, level: str | None, grep: str | None
) -> None:
    """Show the server's log, or what one WORKER has logged.

    With -f it is followed while you go on typing, until :logs off; in a script until Ctrl-C or the end of the server.
    Where more comes than anybody reads, the rest is counted. It works for a server of yours on this machine whose log
    is a file, and for what a child prints to standard error, or any server says that is no message.
    """
    if worker == "off":
        if not shell.follows:
            raise UsageError("no log is being followed", hint=":logs -f follows the server's")
        shell.close()
        shell.output.note("the log is followed no more")
        return
    if follow:
        refuse_diverted(shell)
    number = None if worker is None else worker_number(worker)
    if (unasked := shell.session.unasked) is not None and not _has_log(shell):
        if number is not None or level is not None:
            raise UsageError("what a server prints has no workers and no levels", hint="--grep TEXT is possible")
        _strays(shell, unasked.strays, grep, _SHOWN if lines is None else lines, follow=follow)
        return
    wanted = LogFilter(worker=number, level=level, text=grep)
    with ExitStack() as open_watch:
        watch = open_watch.enter_context(LocalServerWatch(shell.supervisor.control))
        records = _last(watch, wanted, _SHOWN if lines is None else lines)
        pid = _check(watch, number) if follow or not records else 0
        if records:
            _show(shell, records)
        elif not follow:
            shell.output.note("the last MB of the log has no such line")
        if follow:
            _follow(shell, watch, wanted, pid)
            # Whoever follows closes it.
            open_watch.pop_all()


def _has_log(shell: Shell) -> bool:
    """Whether the server is one of one's own, with a log."""
    try:
        shell.supervisor.path()
    except ShellError:
        return False
    return True


def _strays(shell: Shell, log: StrayLog, text: str | None, count: int, *, follow: bool) -> None:
    """Show what a server has said that is no message."""
    output = shell.output
    wanted = "" if text is None else text.lower()
    found = [line for line in log.recent() if wanted in line.text.lower()][-count:] if count else []
    styled = shell.interactive and not output.diverted and shell.settings.format != "raw"
    if found and styled:
        output.pieces(chain.from_iterable(map(_stray_pieces, found)))
    elif shell.for_programs and shell.settings.format == "json" and not follow:
        output.value("", [line.data for line in found])
    elif found:
        output.text("\n".join(f"{iso_time(line.time)} {visible(line.who)}: {visible(line.text)}" for line in found))
    elif not follow:
        output.note(
            "the server has said nothing beside its messages" if text is None else f"no line holds {visible(text)}"
        )
    if not follow:
        return
    if not shell.interactive:
        raise UsageError("what a server prints is followed at the prompt only", hint="leave out -f")

    def show(line: LoggedLine, left_out: int) -> bool:
        if wanted not in line.text.lower():
            return True
        note = [(_FAINT, f"… {count_of(left_out, 'line')} left out\n")] if left_out else []
        return output.above([*note, *_stray_pieces(line)])

    shell.follow(Subscription(log.listeners, show, SHOWN_A_SECOND))
    output.note(f"following what {visible(log.who)} says out of turn; :logs off ends that")


def _stray_pieces(line: LoggedLine) -> Iterator[Fragment]:
    yield "class:log.time", f"{_clock(iso_time(line.time))} "
    yield "class:log.who", visible(line.who)
    yield "", f" {visible(line.text)}\n"


def _last(watch: LocalServerWatch, wanted: LogFilter, count: int) -> list[LogRecord]:
    """The last records that are wanted, as many as have so many lines; the watch goes on after them."""
    part = watch.new_log(max(count, 1) if wanted.wants_all else _MOST)
    found = [record for record in read_records(part.lines) if wanted.wants(record)]
    first = len(found)
    while first and count > 0:
        first -= 1
        count -= len(found[first].lines)
    return found[first:]


def _check(watch: LocalServerWatch, worker: int | None) -> int:
    """The server's process id, once it is known that it has the worker."""
    status = watch.status()
    if worker is not None and status.find(worker) is None:
        raise UsageError(f"there is no worker {worker}", hint=":workers lists them")
    return status.pid


def _follow(shell: Shell, watch: LocalServerWatch, wanted: LogFilter, pid: int) -> None:
    output = shell.output
    if not shell.interactive:
        # Ctrl-C is the way to end it.
        with suppress(KeyboardInterrupt):
            LogFollower(watch, wanted, LogSink(lambda records: _write(shell, records), output.note)).run()
        return

    def show(records: Sequence[LogRecord]) -> bool:
        return output.above(list(_rows(records)))

    shell.follow(LogFollower(watch, wanted, LogSink(show, output.note), Throttle(SHOWN_A_SECOND)))
    output.note(f"following the log of the server with pid {pid}; :logs off ends that")


def _show(shell: Shell, records: Sequence[LogRecord]) -> None:
    """Show records: with colours to people, as they are to programs, as JSON to whoever asked for that."""
    if shell.for_programs and shell.settings.format == "json":
        shell.output.value("", list(map(_as_json, records)))
    elif shell.interactive and not shell.output.diverted and shell.settings.format != "raw":
        shell.output.pieces(_rows(records))
    else:
        shell.output.text(_plain(records))


def _write(shell: Shell, records: Sequence[LogRecord]) -> bool:
    """Write records for programs; with JSON each is a line."""
    if shell.settings.format == "json":
        for record in records:
            shell.output.value("", _as_json(record))
    else:
        shell.output.text(_plain(records))
    return True


def _plain(records: Iterable[LogRecord]) -> str:
    return "\n".join(visible(line) for record in records for line in record.lines)


def _as_json(record: LogRecord) -> dict[str, Any]:
    found = {
        "time": record.time or None,
        "level": record.level or None,
        "who": record.who or None,
        "worker": record.worker,
        "pid": record.pid,
        "message": record.message,
    }
    return found | {name: value for name, value in record.fields.items() if name not in found}


def _rows(records: Sequence[LogRecord]) -> Iterator[Fragment]:
    return wrapped(chain.from_iterable(map(_pieces, records)), columns_of_terminal())


def _pieces(record: LogRecord) -> Iterator[Fragment]:
    """A record in styled text, with its time as clocks here have it."""
    first, *rest = record.message.split("\n")
    if record.level:
        yield "class:log.time", f"{_clock(record.time)} "
        style = f"class:log.{record.level}" if record.level in LEVELS else ""
        yield style, f"{visible(record.level.upper()):<7} "
        yield "class:log.who", visible(record.who)
        yield _FAINT, f" {record.pid} "
    yield "", visible(first)
    if record.fields:
        yield _FAINT, "".join(f" {visible(name)}={compact(value)}" for name, value in record.fields.items())
    yield "", "\n"
    for line in rest:
        yield _FAINT, f"{visible(line)}\n"


def _clock(logged: str) -> str:
    """The local time of day of a time that was logged, with the date where that is not today's."""
    try:
        moment = datetime.fromisoformat(logged).astimezone()
    except ValueError:
        return visible(logged)
    day = "" if moment.date() == datetime.now(UTC).astimezone().date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
