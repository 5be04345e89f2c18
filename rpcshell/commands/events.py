"""Commands about what a server says unasked: `:events` shows it, `:wait` waits for it."""

from __future__ import annotations

import fnmatch
import queue
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from rpcshell.client.errors import Cancelled, NotConnected, ShellError, UsageError
from rpcshell.commands.following import FOLLOW, SHOWN_A_SECOND, refuse_diverted
from rpcshell.commands.groups import LOOK, SCRIPT
from rpcshell.shell.command import EVENT, Seconds, command
from rpcshell.shell.journal import LAST
from rpcshell.shell.unasked import Subscription
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.units import count_of
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.shell.shell import Shell
    from rpcshell.shell.unasked import HeardEvent, Unasked
    from rpcshell.view.pretty import Fragment

_SHOWN: Final = 20
_FAINT: Final = "class:log.faint"
_LONGEST: Final = 2000
"""Characters of params that are looked at to show them on one line."""

_STEP: Final = re.compile(r"\[\d{1,9}\]|[^.\[\]]+")
_ABSENT: Final = object()


class _NotHeard(ShellError):
    """The event that was waited for did not come in time."""

    exit_code = 3


@command(
    "events",
    group=LOOK,
    examples=(":events", ":events BLOCK_* -n 50", ":events -f", ":events off", ":events | jq -c '.[]'"),
)
@click.argument("pattern", metavar="[PATTERN|off]", type=EVENT, required=False)
@FOLLOW
@click.option("-n", "--lines", metavar="N", type=click.IntRange(0), help="Show the last N, not 20.")
def events(shell: Shell, *, pattern: str | None, follow: bool, lines: int | None) -> None:
    """Show what the server has said unasked.

    A PATTERN is the name of those that are wanted, and may have * and ? in it. The last 1,000 events of a connection
    are kept. With -f they are shown as they come while you go on typing, until :events off; in a script until Ctrl-C
    or the end of the connection.
    """
    if pattern == "off":
        if not shell.follows:
            raise UsageError("no events are being followed", hint=":events -f follows them")
        shell.close()
        shell.output.note("events are followed no more")
        return
    if follow:
        refuse_diverted(shell)
    unasked = _unasked(shell)
    named = _named(pattern)
    count = _SHOWN if lines is None else lines
    found = [event for event in unasked.events.recent() if named(event)][-count:] if count else []
    if found or shell.output.diverted or not shell.interactive:
        _show(shell, found, follow=follow)
    elif not follow:
        shell.output.note(_none(unasked, pattern))
    if follow:
        _follow(shell, unasked, named)


@command(
    "wait",
    group=SCRIPT,
    examples=(":wait JOB_STATUS_CHANGE id=job0 status=concluded", ":wait $/progress --timeout 30 value.kind=end"),
)
@click.argument("event", type=EVENT)
@click.argument("conditions", metavar="[KEY=VALUE]", nargs=-1)
@click.option("-t", "--timeout", metavar="SECONDS", type=Seconds(min=0), help="Give up after so many seconds.")
def wait(shell: Shell, *, event: str, conditions: tuple[str, ...], timeout: float | None) -> None:
    """Wait for an EVENT, which is in $_ then.

    Where values are given, its params have to have them: a KEY is a name in the params, or a path such as data.id or
    jobs[0].id. What has come since the last call began counts too, unless it was waited for already, so that an event
    cannot come too early. EVENT may have * and ? in it.

    Without --timeout it waits as long as a call may take (:set timeout). A script goes on when it comes, and ends with
    exit code 3 where it does not.
    """
    timeout = shell.session.limit if timeout is None else timeout
    named = _named(event)
    wanted = [_condition(text) for text in conditions]
    unasked = _unasked(shell)

    def meets(heard: HeardEvent) -> bool:
        return named(heard) and all(_at(heard.params, path) == value for path, value in wanted)

    try:
        found = unasked.wait(meets, timeout)
    except KeyboardInterrupt:
        raise Cancelled("cancelled: nothing was waited for any longer") from None
    if found is None and not unasked.connected:
        raise _NotHeard(f"the connection has ended, and {visible(event)} did not come")
    if found is None:
        which = f"{visible(event)}{' with ' + visible(' '.join(conditions)) if conditions else ''}"
        raise _NotHeard(f"no {which} within {timeout:g} s", hint=":events lists what came")
    shell.variables[LAST] = found.data
    shell.output.value(visible(found.name), found.data)


def _unasked(shell: Shell) -> Unasked:
    if shell.session.target is None:
        raise NotConnected
    if shell.session.unasked is None:
        raise UsageError(f"{shell.session.target} only answers: it tells no events")
    return shell.session.unasked


def _none(unasked: Unasked, pattern: str | None) -> str:
    names = unasked.events.names()
    if pattern is None or not names:
        return "no events so far"
    few = ", ".join(visible(name) for name in list(names)[:5])
    return f"no event is called {visible(pattern)}; there came {few}{', …' if len(names) > 5 else ''}"


def _named(pattern: str | None) -> Callable[[HeardEvent], bool]:
    if pattern is None:
        return lambda _: True
    if not any(character in pattern for character in "*?"):
        return lambda event: event.name == pattern
    return lambda event: fnmatch.fnmatchcase(event.name, pattern.replace("[", "[[]"))


def _condition(text: str) -> tuple[tuple[str | int, ...], Any]:
    """The path and the value of a condition: a value is JSON where it reads as JSON, else a text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{visible(text)} is no condition", hint="one is KEY=VALUE, such as status=done")
    steps = tuple(int(step[1:-1]) if step.startswith("[") else step for step in _STEP.findall(key))
    try:
        return steps, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return steps, value


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step, _ABSENT)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return _ABSENT
    return value


def _show(shell: Shell, found: Sequence[HeardEvent], *, follow: bool) -> None:
    """Show events: on rows to people, as a result to programs, and as one each where they are followed."""
    if shell.interactive and not shell.output.diverted:
        columns = shell.width
        shell.output.pieces(piece for event in found for piece in _pieces(event, columns))
    elif follow:
        for event in found:
            shell.output.value("", event.data)
    else:
        shell.output.value("", [event.data for event in found])


def _pieces(event: HeardEvent, columns: int | None) -> Iterator[Fragment]:
    clock, name, params = f"{_clock(event)} ", visible(event.name), f" {_params(event)}"
    if columns is not None:
        name = cut(name, max(columns - len(clock), 1))
        params = cut(params, max(columns - len(clock) - len(name), 0))
    yield "class:log.time", clock
    yield "class:log.who", name
    yield _FAINT, params
    yield "", "\n"


def _params(event: HeardEvent) -> str:
    if not event.has_params:
        return "(too large to keep)"
    text = "" if event.params is None else compact(event.params)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _clock(event: HeardEvent) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(event.time))}.{int(event.time % 1 * 1000):03d}"


def _follow(shell: Shell, unasked: Unasked, named: Callable[[HeardEvent], bool]) -> None:
    output = shell.output
    listeners = unasked.events.listeners
    if not shell.interactive:
        coming: queue.SimpleQueue[HeardEvent] = queue.SimpleQueue()
        listeners.append(coming.put)
        try:
            # Ctrl-C is the way to end it.
            with suppress(KeyboardInterrupt):
                while unasked.connected or not coming.empty():
                    with suppress(queue.Empty):
                        if named(event := coming.get(timeout=0.5)):
                            output.value("", event.data)
        finally:
            listeners.remove(coming.put)
        return

    def show(event: HeardEvent, left_out: int) -> bool:
        if not named(event):
            return True
        note = [(_FAINT, f"… {count_of(left_out, 'event')} left out\n")] if left_out else []
        return output.above([*note, *_pieces(event, shell.width)])

    shell.follow(Subscription(listeners, show, SHOWN_A_SECOND))
    output.note("events are followed; :events off ends that")
