"""The command that makes a call on every worker of a server, or every instance of a fleet, and compares: `:each`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.client.errors import CallError, Cancelled, ConnectionLost, ShellError
from rpcshell.commands.groups import TALK
from rpcshell.shell.command import CALL, command
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.differences import MISSING
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact, in_the_shells_words
from rpcshell.view.pretty import KEY
from rpcshell.view.styles import FAINT
from rpcshell.view.table import Figure
from rpcshell.view.units import call_time, count_of, letter, plural
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.commands.comparison import Answered, Comparison
    from rpcshell.shell.shell import Shell
    from rpcshell.view.pretty import Fragment

_MOST_VARIANTS: Final = 8
_NARROW: Final = 60


@command("each", group=TALK, former=("all",), examples=(":each whoami", ":each config.get name=cache"))
@click.argument("call", metavar="CALL", type=CALL, nargs=-1, required=True)
def call_each(shell: Shell, *, call: str) -> None:
    """Make a CALL on every worker or instance, and compare.

    It runs exactly once on each, at the same time. Where the answers are not all the same, the places that differ are
    listed with the workers that have each value: a stale cache or another configuration is found so. $_ is the list of
    the answers afterwards.

    It works for a server of yours on this machine, and for any fleet, through connections of its own. A sync worker
    that another client holds is not waited for, but named; the call never runs later.
    """
    method, params = shell.read_call(call)
    # Most sessions never use :each.
    from rpcshell.commands.comparison import of_instances, of_workers

    found, interrupted = (of_workers if shell.session.fleet is None else of_instances)(shell, method, params)
    if interrupted and not found.answers:
        raise Cancelled(f"cancelled: the call was sent to no {found.noun}")
    shell.variables["_"] = [_plain(answer) for answer in found.answers]
    if shell.for_programs:
        shell.output.value("", _as_json(method, found))
    else:
        _show(shell, found)
        for missed in found.missed:
            shell.output.note(f"{missed.who} was not reached: {missed.reason}")
    _complain(found, interrupted)


def _show(shell: Shell, found: Comparison) -> None:
    """Show who answered what as a table, what all answered once, and what differs."""
    answers, results, groups = found.answers, found.results, found.groups
    same = len(groups) == 1
    if not answers or (same and not results):
        return
    letters = {place: letter(at) for at, variant in enumerate(groups) for place in variant.places}
    rows = []
    for place, answer in enumerate(answers):
        came = answer.came
        row: dict[str, Any] = {**answer.told, "time": Figure(call_time(came.elapsed))}
        if 1 < len(groups) < len(answers):
            row["answer"] = letters[place]
        if not same:
            row["result"] = came.result if came.error is None else _failure(came.error)
        rows.append(row)
    # A result is cut before anything else is left out.
    narrow = columns_of_terminal() < _NARROW
    spare = ("pid", *(("worker",) if found.noun != "worker" else ()), "time")
    shell.show_table(rows, spare=spare if narrow or found.noun != "worker" else ())
    if same:
        shell.output.value(results[0].came.out, results[0].came.result)
        whole = "all " if len(answers) > 1 and not found.missed else ""
        shell.output.note(f"{whole}{count_of(len(answers), found.noun)} answered that")
        return
    if found.places and found.places[0].path != "$":
        shell.output.pieces(_pieces(shell, found))
    shell.output.note(f"{len(groups)} different answers of {count_of(len(answers), found.noun)}")


def _pieces(shell: Shell, found: Comparison) -> Iterator[Fragment]:
    width, results = shell.width, found.results
    for place in found.shown_places:
        yield "class:different", "≠ "
        yield KEY, f"{visible(place.path)}\n"
        values = ["(not there)" if variant.value is MISSING else compact(variant.value) for variant in place.variants]
        if len(values) == len(results) > 2:
            line = f"    another on each {found.noun}: {', '.join(values)}"
            yield "", f"{line if width is None else cut(line, width)}\n"
            continue
        if width is not None:
            values = [cut(value, max(width // 2, 10)) for value in values[:_MOST_VARIANTS]]
        column = max(map(cells, values))
        for value, variant in zip(values, place.variants, strict=False):
            who = _named(found.noun, [results[at].who for at in variant.places])
            yield "", f"    {pad(value, column)}"
            yield FAINT, f"  {who if width is None else cut(who, max(width - column - 6, 10))}\n"
        if len(values) < len(place.variants):
            yield FAINT, f"    … {len(place.variants) - len(values)} more values\n"
    if len(found.places) > len(found.shown_places):
        yield FAINT, "… more places differ\n"


def _failure(error: ShellError) -> str:
    # The line begins with who was asked, so the target is left out.
    if isinstance(error, CallError):
        return f"error {error.code}: {in_the_shells_words(error)[0]}"
    return f"{error.reason}; it may have run" if isinstance(error, ConnectionLost) else str(error)


def _named(noun: str, who: Sequence[int | str]) -> str:
    return f"{plural(len(who), noun)} {', '.join(map(str, who))}"


def _plain(answer: Answered) -> dict[str, Any]:
    meta = answer.came.meta
    plain = answer.told | {"generation": meta and meta.generation, "ms": round(answer.came.elapsed * 1000, 3)}
    match answer.came.error:
        case None:
            return plain | {"result": answer.came.result}
        case CallError() as error:
            data = {} if error.data is None else {"data": error.data}
            return plain | {"error": {"code": error.code, "message": error.message} | data}
        case error:
            return plain | {"error": {"message": error.message}}


def _as_json(method: str, found: Comparison) -> dict[str, Any]:
    return {
        "method": method,
        "same": len(found.groups) == 1 and not found.missed,
        "answers": [_plain(answer) for answer in found.answers],
        "groups": [[found.answers[at].who for at in variant.places] for variant in found.groups],
        "differences": [
            {
                "path": place.path,
                "values": [
                    {f"{found.noun}s": [found.results[at].who for at in variant.places]}
                    | ({} if variant.value is MISSING else {"value": variant.value})
                    for variant in place.variants
                ],
            }
            for place in found.places
        ],
        "not_reached": [missed.told | {"reason": missed.reason} for missed in found.missed],
    }


def _complain(found: Comparison, interrupted: bool) -> None:
    """Raise what went wrong, if something did."""
    answers, missed = found.answers, found.missed
    errors = [answer.came.error for answer in answers if answer.came.error is not None]
    if interrupted:
        running = [answer.who for answer in answers if isinstance(answer.came.error, Cancelled)]
        fate = f"{_named(found.noun, running)} may still be running it" if running else "nobody is running it any more"
        raise Cancelled(f"cancelled: {fate}")
    if not missed and len(errors) == len(answers) and len(set(map(str, errors))) == 1:
        raise errors[0]
    if errors:
        raise ShellError(f"{len(errors)} of {count_of(len(answers), found.noun)} did not answer with a result")
    if missed:
        whole = count_of(len(answers) + len(missed), found.noun)
        raise ShellError(f"{len(missed)} of {whole} could not be reached: the call did not run there")
