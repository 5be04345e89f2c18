"""The command that makes a call on every worker of a server, or every instance of a fleet, and compares: `:each`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from rpcshell.client.errors import CallError, Cancelled, ConnectionLost, ShellError
from rpcshell.commands.groups import TALK
from rpcshell.shell.command import CALL, command
from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.view.differences import MISSING, differences, group
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact, in_the_shells_words
from rpcshell.view.render import FOOTER
from rpcshell.view.table import Figure
from rpcshell.view.units import call_time, count_of, letter, plural
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.client.broadcast import InstanceAnswer
    from rpcshell.servers.fanout import Answer
    from rpcshell.shell.shell import Shell
    from rpcshell.view.pretty import Fragment

_MOST_PLACES: Final = 20
"""Places that differ which are shown."""

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
    found, interrupted = (_of_workers if shell.session.fleet is None else _of_instances)(shell, method, params)
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


def _of_workers(shell: Shell, method: str, params: object) -> tuple[_Comparison, bool]:
    """What the workers of a server of one's own answered, and whether Ctrl-C was pressed before all had."""
    from rpcshell.servers.fanout import FanOut

    session = shell.session
    target = shell.supervisor.native_target(":each")
    with shell.supervisor.control() as control:
        # It may hold the worker that the call is to reach.
        session.hang_up()
        fan = FanOut(target, control, session.tls, session.limit)
        interrupted = _interrupted(shell, lambda: fan.run(method, params))
    answers = [
        _Answer({"worker": one.worker, "pid": one.pid}, one.worker, one) for _, one in sorted(fan.answers.items())
    ]
    missed = [
        _Missed({"worker": one.worker, "pid": one.pid}, f"worker {one.worker} (pid {one.pid})", one.reason)
        for _, one in sorted(fan.missed.items())
    ]
    return _Comparison("worker", answers, missed), interrupted


def _of_instances(shell: Shell, method: str, params: object) -> tuple[_Comparison, bool]:
    """The same of the instances of a fleet."""
    from rpcshell.client.broadcast import Broadcast

    session = shell.session
    instances = () if session.fleet is None else session.fleet.instances
    session.hang_up()
    cast = Broadcast((one.target for one in instances), tls=session.tls, plain=session.plain, limit=session.limit)
    interrupted = _interrupted(shell, lambda: cast.run(method, params))
    answers, missed = [], []
    for one in cast.answers:
        name = str(one.instance)
        told: dict[str, Any] = {"instance": name}
        if not one.reached:
            missed.append(_Missed(told, name, getattr(one.error, "reason", str(one.error))))
            continue
        if one.meta is not None:
            told |= {"worker": one.meta.worker, "pid": one.meta.pid}
        answers.append(_Answer(told, name, one))
    return _Comparison("instance", answers, missed), interrupted


def _interrupted(shell: Shell, run: Callable[[], None]) -> bool:
    try:
        with told_while(elapsed_text("waiting"), shell.output.progress):
            run()
    except KeyboardInterrupt:
        return True
    return False


class _Answer(NamedTuple):
    """What came of the call on one worker, or one instance; who that was in a row of a table, and in a list."""

    told: dict[str, Any]
    who: int | str
    came: Answer | InstanceAnswer


class _Missed(NamedTuple):
    """Who the call was not sent to, and why not."""

    told: dict[str, Any]
    who: str
    reason: str


class _Comparison:
    """What the workers, or the instances, answered, and where that differs; the noun says which they are."""

    def __init__(self, noun: str, answers: list[_Answer], missed: list[_Missed]) -> None:
        self.noun = noun
        self.answers = answers
        self.missed = missed
        self.results = [answer for answer in answers if answer.came.error is None]
        """The answers that are no errors."""
        self.groups = group([_answered(answer) for answer in answers])
        """The answers that are the same, each with its places in `answers`."""
        self.places = differences([answer.came.result for answer in self.results], _MOST_PLACES + 1)
        """Where results differ, each with the values there and their places in `results`."""


def _show(shell: Shell, found: _Comparison) -> None:
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
    narrow = shutil.get_terminal_size().columns < _NARROW
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


def _pieces(shell: Shell, found: _Comparison) -> Iterator[Fragment]:
    width, results, places = shell.width, found.results, found.places
    for place in places[:_MOST_PLACES]:
        yield "class:different", "≠ "
        yield "class:pygments.name.tag", f"{visible(place.path)}\n"
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
            yield FOOTER, f"  {who if width is None else cut(who, max(width - column - 6, 10))}\n"
        if len(values) < len(place.variants):
            yield FOOTER, f"    … {len(place.variants) - len(values)} more values\n"
    if len(places) > _MOST_PLACES:
        yield FOOTER, "… more places differ\n"


def _failure(error: ShellError) -> str:
    # The line begins with who was asked, so the target is left out.
    if isinstance(error, CallError):
        return f"error {error.code}: {in_the_shells_words(error)[0]}"
    return f"{error.reason}; it may have run" if isinstance(error, ConnectionLost) else str(error)


def _named(noun: str, who: Sequence[int | str]) -> str:
    return f"{plural(len(who), noun)} {', '.join(map(str, who))}"


def _answered(answer: _Answer) -> Any:
    """What is equal for answers that count as the same."""
    match answer.came.error:
        case None:
            return [answer.came.result]
        case CallError() as error:
            return [error.code, error.message, error.data]
        case error:
            return error.message


def _plain(answer: _Answer) -> dict[str, Any]:
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


def _as_json(method: str, found: _Comparison) -> dict[str, Any]:
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


def _complain(found: _Comparison, interrupted: bool) -> None:
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
