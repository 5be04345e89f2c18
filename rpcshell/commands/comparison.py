"""What came of one call on every worker of a server, or on every instance of a fleet, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rpcshell.client.broadcast import Broadcast
from rpcshell.client.errors import CallError
from rpcshell.servers.fanout import FanOut
from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.view.differences import differences, group

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.broadcast import InstanceAnswer
    from rpcshell.servers.fanout import Answer
    from rpcshell.shell.shell import Shell

_MOST_PLACES: Final = 20
"""Places that differ which are shown."""


class Answered(NamedTuple):
    """What came of the call on one worker, or one instance; who that was in a row of a table, and in a list."""

    told: dict[str, Any]
    who: int | str
    came: Answer | InstanceAnswer


class _NotReached(NamedTuple):
    """Who the call was not sent to, and why not."""

    told: dict[str, Any]
    who: str
    reason: str


class Comparison:
    """What the workers, or the instances, answered, and where that differs; the noun says which they are."""

    def __init__(self, noun: str, answers: list[Answered], missed: list[_NotReached]) -> None:
        self.noun = noun
        self.answers = answers
        self.missed = missed
        self.results = [answer for answer in answers if answer.came.error is None]
        """The answers that are no errors."""
        self.groups = group([_comparable(answer) for answer in answers])
        """The answers that are the same, each with its places in `answers`."""
        self.places = differences([answer.came.result for answer in self.results], _MOST_PLACES + 1)
        """Where results differ, each with the values there and their places in `results`."""
        self.shown_places = self.places[:_MOST_PLACES]


def of_workers(shell: Shell, method: str, params: object) -> tuple[Comparison, bool]:
    """What the workers of a server of one's own answered, and whether Ctrl-C was pressed before all had."""
    session = shell.session
    target = shell.supervisor.native_target(":each")
    with shell.supervisor.control() as control:
        # It may hold the worker that the call is to reach.
        session.hang_up()
        fan = FanOut(target, control, session.tls, session.limit)
        interrupted = _interrupted(shell, lambda: fan.run(method, params))
    answers = [
        Answered({"worker": one.worker, "pid": one.pid}, one.worker, one) for _, one in sorted(fan.answers.items())
    ]
    missed = [
        _NotReached({"worker": one.worker, "pid": one.pid}, f"worker {one.worker} (pid {one.pid})", one.reason)
        for _, one in sorted(fan.missed.items())
    ]
    return Comparison("worker", answers, missed), interrupted


def of_instances(shell: Shell, method: str, params: object) -> tuple[Comparison, bool]:
    """The same of the instances of a fleet."""
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
            missed.append(_NotReached(told, name, getattr(one.error, "reason", str(one.error))))
            continue
        if one.meta is not None:
            told |= {"worker": one.meta.worker, "pid": one.meta.pid}
        answers.append(Answered(told, name, one))
    return Comparison("instance", answers, missed), interrupted


def _interrupted(shell: Shell, run: Callable[[], None]) -> bool:
    try:
        with told_while(elapsed_text("waiting"), shell.output.progress):
            run()
    except KeyboardInterrupt:
        return True
    return False


def _comparable(answer: Answered) -> Any:
    """What is equal for answers that count as the same."""
    match answer.came.error:
        case None:
            return [answer.came.result]
        case CallError() as error:
            return [error.code, error.message, error.data]
        case error:
            return error.message
