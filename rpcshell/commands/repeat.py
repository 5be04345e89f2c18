"""Commands that make a call again and again: `:watch` shows what changes, `:bench` what a server can take."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.client.errors import CallError, Cancelled, ConnectionFailed, ConnectionLost, NotConnected, ShellError
from rpcshell.commands.groups import BREAK_IT, TALK
from rpcshell.lab.bench.options import BenchOptions, bench_options
from rpcshell.line.masking import mask_line
from rpcshell.shell.command import CALL, Seconds, command
from rpcshell.view.differences import first_rows, identity, mark_changes
from rpcshell.view.escape import visible
from rpcshell.view.render import render_error, render_footer, render_result
from rpcshell.view.styles import FAINT
from rpcshell.view.units import count_of, duration
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.shell.call import Call
    from rpcshell.shell.output import Canvas
    from rpcshell.shell.shell import Shell
    from rpcshell.view.pretty import Fragment

_SHORTEST: Final = 0.05
"""Seconds; what is called more often is a load test."""


@command("watch", group=TALK, examples=(":watch 1 now", ":watch 0.5 order.list limit=3", ":watch -n 10 1 whoami"))
@click.option("-n", "--count", metavar="N", type=click.IntRange(min=1), help="Stop after N calls.")
@click.argument("seconds", type=Seconds(min=_SHORTEST))
@click.argument("call", metavar="CALL", type=CALL, nargs=-1, required=True)
def watch(shell: Shell, *, seconds: float, call: str, count: int | None) -> None:
    """Make a CALL every SECONDS, and show what changes.

    On a terminal the result is drawn in place, and what differs from the one before is marked. Elsewhere each result
    that is not the same as the one before becomes a line. Ctrl-C stops.

    On a terminal a server that has gone is waited for; elsewhere the first error ends the command. What a server asks a
    person meanwhile is declined.
    """
    method, params = shell.read_call(call)
    if shell.session.target is None:
        raise NotConnected
    with _declining(shell):
        _watch(shell, call, _Calls(shell, method, params, seconds, count))


@contextmanager
def _declining(shell: Shell) -> Iterator[None]:
    """Have what the server asks a person declined, and say so in the end: a form would wait unseen."""
    if (unasked := shell.session.unasked) is None:
        yield
        return
    with unasked.declining() as declined:
        yield
    for method, times in declined.items():
        shell.output.note(f"the server asked something {count_of(times, 'time')} ({visible(method)}): declined")


def _watch(shell: Shell, call: str, calls: _Calls) -> None:
    if (live := shell.output.live()) is None:
        _print(shell, calls)
        return
    began = time.monotonic()
    title = f"every {calls.seconds:g} s · {visible(' '.join(mask_line(call, shell.known).split()))}"
    with live as place:
        whole = _draw(shell, calls, place, title)
    if isinstance(calls.last, ShellError):
        shell.output.error(calls.last)
    elif calls.last is not None and whole:
        shell.output.result(calls.last)
    shell.output.note(f"{count_of(calls.number, 'call')} in {duration(time.monotonic() - began)}")


class _Calls:
    """The calls, one after the other; ends with the last one, or when Ctrl-C is pressed."""

    def __init__(self, shell: Shell, method: str, params: Any, seconds: float, count: int | None) -> None:
        self.number = 0
        self.last: Call | ShellError | None = None
        """What the last one brought."""
        self.seconds = seconds
        """From the beginning of one to that of the next."""
        self._make = partial(shell.session.call, method, params)
        self._count = count

    def __iter__(self) -> Iterator[Call | ShellError]:
        due = time.monotonic()
        try:
            while self._count is None or self.number < self._count:
                if self.number:
                    due = max(due + self.seconds, time.monotonic())
                    time.sleep(max(due - time.monotonic(), 0))
                try:
                    self.last = self._make()
                except (CallError, ConnectionFailed, ConnectionLost) as error:
                    self.last = error
                self.number += 1
                yield self.last
        except (KeyboardInterrupt, Cancelled):
            return


def _print(shell: Shell, calls: _Calls) -> None:
    """Show each result that is not the same as the one before."""
    former: Call | None = None
    # Ctrl-C may come while something is being shown.
    with suppress(KeyboardInterrupt):
        for outcome in calls:
            if isinstance(outcome, ShellError):
                raise outcome
            if former is None or identity(outcome.result) != identity(former.result):
                shell.output.result(outcome)
            former = outcome


def _draw(shell: Shell, calls: _Calls, place: Canvas, title: str) -> bool:
    """Draw each result over the one before; whether the last one was there as a whole."""
    former: list[Fragment] = []
    width = 0
    whole = True
    # Ctrl-C may come while something is being drawn.
    with suppress(KeyboardInterrupt):
        for outcome in calls:
            rows, columns = place.size
            rendered, footer = _rendered(shell, outcome, columns)
            # One row stands above, one below, and one stays empty.
            shown = first_rows(rendered, max(rows - 3, 1))
            whole = next(rendered, None) is None
            head = cut(f"{title} · {time.strftime('%H:%M:%S')} · call {calls.number} · Ctrl-C stops", columns)
            marked = mark_changes(former if columns == width else [], shown)
            place.draw([(FAINT, f"{head}\n"), *marked, (FAINT, cut(footer, columns))])
            former, width = shown, columns
    return whole


def _rendered(shell: Shell, outcome: Call | ShellError, columns: int) -> tuple[Iterator[Fragment], str]:
    if isinstance(outcome, ShellError):
        return render_error(outcome, columns, shell.settings), ""
    footer = render_footer(outcome.elapsed, outcome.meta, shell.settings, instance=outcome.instance)
    return render_result(outcome.out, outcome.result, columns, shell.settings, text=outcome.is_text), footer


@command(
    "bench",
    group=BREAK_IT,
    examples=(
        ":bench ping",
        ":bench -c 16 -d 10 add a=1 b=2",
        ":bench --rate 500 order.list limit=3",
        ":bench --models all -c 8 ping",
        ":bench --compare --html bench.html ping",
    ),
)
@bench_options
@click.argument("call", metavar="CALL", type=CALL, nargs=-1, required=True)
def bench(shell: Shell, *, call: str, **options: Any) -> None:
    """Put load on the server, and report what it could take.

    Each connection makes the CALL again as soon as it is answered (a closed loop). With --rate calls begin when
    they are due, whether others were answered or not, and are timed from then on: a standstill cannot hide.

    Processes of their own make the load. Ctrl-C stops it with what there is by then. Options may follow the CALL.
    """
    from rpcshell.lab.bench.conduct import conduct

    conduct(shell, call, BenchOptions(**options))
