"""The command that makes a call on every worker of a server, and shows where they differ: `:all`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from rpcshell.client.errors import CallError, Cancelled, ConnectionLost, ShellError
from rpcshell.shell.command import CALL, command
from rpcshell.view.differences import MISSING, differences, group
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.table import Figure
from rpcshell.view.units import call_time, count_of, plural
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.servers.fanout import Answer, FanOut
    from rpcshell.shell.shell import Shell
    from rpcshell.view.differences import Difference, Variant
    from rpcshell.view.pretty import Fragment

_MOST_PLACES: Final = 20
"""Places that differ which are shown."""

_MOST_VARIANTS: Final = 8
_MANY: Final = 26
_NARROW: Final = 60
_DIM: Final = "class:footer"


@command("all", group="Calls", examples=(":all whoami", ":all config.get name=cache", ":all cache.clear | less"))
@click.argument("call", metavar="CALL", type=CALL, nargs=-1, required=True)
def call_all(shell: Shell, *, call: str) -> None:
    """Make a CALL on every worker and compare the answers.

    It runs exactly once on each, at the same time. Where the answers are not all the same, the places that differ are
    listed with the workers that have each value: a stale cache or another configuration is found so. $_ is the list of
    the answers afterwards.

    It works for a server of yours on this machine, through connections of its own. A sync worker that another client
    holds is not waited for, but named; the call never runs later.
    """
    method, params = shell.read_call(call)
    session = shell.session
    target = shell.supervisor.native_target(":all")
    with shell.supervisor.control() as control:
        from rpcshell.servers.fanout import FanOut

        # It may hold the worker that the call is to reach.
        session.hang_up()
        fan = FanOut(target, control, session.tls, session.limit)
        interrupted = False
        try:
            fan.run(method, params)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and not fan.answers:
        raise Cancelled("cancelled: the call was sent to no worker")
    found = _Comparison(fan)
    shell.variables["_"] = [_plain(answer) for answer in found.answers]
    if shell.for_programs:
        shell.output.value("", _as_json(method, found))
    else:
        _show(shell, found)
        for missed in found.missed:
            shell.output.note(f"worker {missed.worker} (pid {missed.pid}) was not reached: {missed.reason}")
    _complain(found, interrupted)


class _Comparison:
    """What the workers answered, in the order of their numbers, and where that differs.

    Attributes:
        answers: Of those that were reached.
        results: The answers that are no errors.
        groups: The answers that are the same, each with its places in `answers`.
        places: Where results differ, each with the values there and their places in `results`.
    """

    def __init__(self, fan: FanOut) -> None:
        self.answers = [fan.answers[number] for number in sorted(fan.answers)]
        self.missed = [fan.missed[number] for number in sorted(fan.missed)]
        self.results = [answer for answer in self.answers if answer.error is None]
        self.groups = group([_answered(answer) for answer in self.answers])
        self.places = differences([answer.result for answer in self.results], _MOST_PLACES + 1)


def _show(shell: Shell, found: _Comparison) -> None:
    """Show who answered what as a table, what all answered once, and what differs."""
    answers, results, groups = found.answers, found.results, found.groups
    same = len(groups) == 1
    if not answers or (same and not results):
        return
    letters = {place: _letter(at) for at, variant in enumerate(groups) for place in variant.places}
    rows = []
    for place, answer in enumerate(answers):
        row: dict[str, Any] = {"worker": answer.worker, "pid": answer.pid, "time": _time(answer.elapsed)}
        if 1 < len(groups) < len(answers):
            row["answer"] = letters[place]
        if not same:
            row["result"] = answer.result if answer.error is None else _failure(answer.error)
        rows.append(row)
    # A result is cut before anything else is left out.
    shell.show_table(rows, spare=("pid", "time") if shutil.get_terminal_size().columns < _NARROW else ())
    if same:
        shell.output.value(results[0].out, results[0].result)
        whole = "all " if len(answers) > 1 and not found.missed else ""
        shell.output.note(f"{whole}{count_of(len(answers), 'worker')} answered that")
        return
    if found.places and found.places[0].path != "$":
        shell.output.pieces(_pieces(shell, results, found.places))
    shell.output.note(f"{len(groups)} different answers of {len(answers)} workers")


def _pieces(shell: Shell, results: Sequence[Answer], places: Sequence[Difference]) -> Iterator[Fragment]:
    """The places that differ, and which workers have which value there."""
    width = shell.width
    for place in places[:_MOST_PLACES]:
        yield "class:different", "≠ "
        yield "class:pygments.name.tag", f"{visible(place.path)}\n"
        values = [_value(variant) for variant in place.variants]
        if len(values) == len(results) > 2:
            line = f"    another on each worker: {', '.join(values)}"
            yield "", f"{line if width is None else cut(line, width)}\n"
            continue
        if width is not None:
            values = [cut(value, max(width // 2, 10)) for value in values[:_MOST_VARIANTS]]
        column = max(map(cells, values))
        for value, variant in zip(values, place.variants, strict=False):
            who = _workers([results[at].worker for at in variant.places])
            yield "", f"    {pad(value, column)}"
            yield _DIM, f"  {who if width is None else cut(who, max(width - column - 6, 10))}\n"
        if len(values) < len(place.variants):
            yield _DIM, f"    … {len(place.variants) - len(values)} more values\n"
    if len(places) > _MOST_PLACES:
        yield _DIM, "… more places differ\n"


def _failure(error: ShellError) -> str:
    # Where the connection led to, everybody knows.
    return f"{error.reason}; it may have run" if isinstance(error, ConnectionLost) else str(error)


def _value(variant: Variant) -> str:
    return "(not there)" if variant.value is MISSING else compact(variant.value)


def _workers(numbers: Sequence[int]) -> str:
    return f"{plural(len(numbers), 'worker')} {', '.join(map(str, numbers))}"


def _letter(at: int) -> str:
    return chr(ord("A") + at) if at < _MANY else str(at + 1)


def _time(seconds: float) -> str:
    return Figure(call_time(seconds))


def _answered(answer: Answer) -> Any:
    """What is equal for answers that count as the same."""
    match answer.error:
        case None:
            return [answer.result]
        case CallError() as error:
            return [error.code, error.message, error.data]
        case error:
            return error.message


def _plain(answer: Answer) -> dict[str, Any]:
    """An answer as JSON."""
    plain = {
        "worker": answer.worker,
        "pid": answer.pid,
        "generation": None if answer.meta is None else answer.meta.generation,
        "ms": round(answer.elapsed * 1000, 3),
    }
    match answer.error:
        case None:
            return plain | {"result": answer.result}
        case CallError() as error:
            data = {} if error.data is None else {"data": error.data}
            return plain | {"error": {"code": error.code, "message": error.message} | data}
        case error:
            return plain | {"error": {"message": error.message}}


def _as_json(method: str, found: _Comparison) -> dict[str, Any]:
    return {
        "method": method,
        "same": len(found.groups) == 1 and not found.missed,
        "answers": [_plain(answer) for answer in found.answers],
        "groups": [[found.answers[at].worker for at in variant.places] for variant in found.groups],
        "differences": [
            {
                "path": place.path,
                "values": [
                    {"workers": [found.results[at].worker for at in variant.places]}
                    | ({} if variant.value is MISSING else {"value": variant.value})
                    for variant in place.variants
                ],
            }
            for place in found.places
        ],
        "not_reached": [msgspec.to_builtins(missed) for missed in found.missed],
    }


def _complain(found: _Comparison, interrupted: bool) -> None:
    """Raise what went wrong, if something did."""
    answers, missed = found.answers, found.missed
    failed = [answer for answer in answers if answer.error is not None]
    if interrupted:
        running = [answer.worker for answer in failed if isinstance(answer.error, Cancelled)]
        raise Cancelled(f"cancelled: {_workers(running)} may still be running it")
    if failed and len(failed) == len(answers) and len({str(answer.error) for answer in failed}) == 1:
        error = failed[0].error
        if error is not None and not missed:
            raise error
    if failed:
        raise ShellError(f"{len(failed)} of {count_of(len(answers), 'worker')} did not answer with a result")
    if missed:
        whole = count_of(len(answers) + len(missed), "worker")
        raise ShellError(f"{len(missed)} of {whole} could not be reached: the call did not run there")
