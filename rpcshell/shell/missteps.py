"""Lines that mean nothing as they stand: what they were meant as, where that is plain, and the errors that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.client.errors import CallError, ShellError, SyntaxProblem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.line.catalog import Method
    from rpcshell.line.habits import Habit
    from rpcshell.line.language import Line, LineError, Problem
    from rpcshell.line.masking import Known
    from rpcshell.shell.call import Call
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session

__all__ = [
    "LineReading",
    "add_advice",
    "habitual_line",
    "hide_secrets",
    "refuse_foreign_call",
    "refuse_masked",
    "syntax_problem",
]

_LONGEST_SIGNATURE: Final = 200


class LineReading(NamedTuple):
    """What a line is read with: the session, its methods as far as they are told, what tells secrets, the commands."""

    session: Session
    find: Callable[[str], Method | None]
    known: Known
    commands: Callable[[], CommandRegistry]


def habitual_line(text: str, reading: LineReading, *, at_prompt: bool) -> str | None:
    """The line that a habit of other programs stands for here, such as `exit`; None where it is an ordinary line.

    At a prompt commands are typed without their colon too. For some habits a `UsageError` says what to type here.
    """
    from rpcshell.line.habits import habit

    if (found := habit(text)) is None:
        if at_prompt:
            _refuse_command_without_colon(text, reading)
        return None
    if _may_be_called(found, reading.session, at_prompt=at_prompt):
        return None
    if not found.line:
        from rpcshell.line.masking import mask_message

        raise UsageError(f"{found.word} is no method", hint=mask_message(found.say, text))
    return found.line


def _may_be_called(found: Habit, session: Session, *, at_prompt: bool) -> bool:
    """Whether a word may be a method: the target has one, or has not said what it has.

    Nobody who wants to leave has to wait for a server.
    """
    if session.target is None:
        return False
    if at_prompt:
        methods = session.catalog.methods
        return found.word in methods if methods else not found.line
    return session.method(found.word) is not None or not session.catalog.methods


def _refuse_command_without_colon(text: str, reading: LineReading) -> None:
    methods = reading.session.catalog.methods
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    listed = methods or reading.session.target is None
    if listed and word not in methods and (hint := _command_without_colon(word, text, reading)):
        raise UsageError(f"{word} is no method", hint=hint)


def refuse_foreign_call(text: str, method: str, reading: LineReading) -> None:
    """Refuse a call that is written as in other languages, `add(1, 2)`, where it is plain what it would be here."""
    if reading.find(method) is None and (hint := _did_you_mean(text, reading)):
        raise UsageError("a call has no parentheses", hint=hint)


def add_advice(call: Call, reading: LineReading) -> None:
    """Have the error of a call whose params the method does not take say what they were meant as.

    That of a method which is not there leads on to no list where the server has none. Where instances of a fleet offer
    different things, what one refuses that another has told of is no mistake.
    """
    if not isinstance(call.error, CallError) or call.error.hint is not None:
        return
    from rpcwire import ErrorCode

    session = reading.session
    if session.plain and call.error.code == ErrorCode.METHOD_NOT_FOUND:
        call.error.hint = "the server does not say what it offers"
    elif session.fleet is not None and session.fleet.differ and _may_be_offered(call, call.error, reading.find):
        call.error.hint = f"{call.instance} offers something else than others: :servers shows which"
    elif call.error.code == ErrorCode.METHOD_NOT_FOUND:
        near = _near_methods(call.method, call.error.message, session)
        call.error.hint = near or _command_without_colon(call.method, call.line, reading)
    elif isinstance(call.params, str | int | float | dict | list):
        from rpcshell.line.advice import can_be_made

        method = reading.find(call.method)
        if method is not None and not method.whole and not can_be_made(call.line, method):
            call.error.hint = _did_you_mean(call.line, reading)


def _near_methods(method: str, said: str, session: Session) -> str | None:
    """The question whether a method with a name that is like it was meant, where the server has not asked that."""
    methods = session.catalog.methods
    near = session.catalog.index.near(method)[:2] if methods and method not in methods else []
    said = said.replace(method, "")
    return f"did you mean {' or '.join(near)}?" if near and not any(name in said for name in near) else None


def _may_be_offered(call: Call, error: CallError, find: Callable[[str], Method | None]) -> bool:
    """Whether another instance than the one that refused a call may take it."""
    from rpcshell.line.advice import can_be_made
    from rpcwire import ErrorCode

    method = find(call.method)
    if error.code == ErrorCode.METHOD_NOT_FOUND:
        return method is not None or not (isinstance(error.data, dict) and error.data.get("suggestions"))
    return error.code == ErrorCode.INVALID_PARAMS and method is not None and can_be_made(call.line, method)


def syntax_problem(line: Line, problem: Problem | LineError, reading: LineReading) -> SyntaxProblem:
    """The error of a line that has no meaning; it may end up in a log, so it does not repeat secrets."""
    from rpcshell.line.masking import mask_message

    column = problem.column if isinstance(problem, Exception) else problem.start
    message = mask_message(problem.message, line.text)
    error = SyntaxProblem(message, line=line.text, column=column, expected=problem.expected)
    if isinstance(problem, Exception):
        error.hint = problem.hint or error.hint
    # A line that can be read has what it lacks said by its problem: a variable, or a key in one.
    if line.blocking is not None:
        advised = _did_you_mean(line.text, reading) or _signature(line, reading.find)
        method = getattr(line.body, "method", "")
        if advised is None and reading.find(method) is None:
            advised = _command_without_colon(method, line.text, reading)
        error.hint = advised or error.hint
    return error


def _command_without_colon(word: str, text: str, reading: LineReading) -> str | None:
    """How a line is written whose first word is a command's and no method's."""
    if not word.isalpha() or reading.commands().find(word) is None:
        return None
    from rpcshell.line.masking import mask_line

    return f":{mask_line(text.strip(), reading.known)} is the command"


def _signature(line: Line, find: Callable[[str], Method | None]) -> str | None:
    """How a method is called, where its params by name are no JSON and no pairs."""
    from rpcshell.line.brief import brief
    from rpcshell.line.language import CallLine, WordNode

    body = line.body
    if not isinstance(body, CallLine) or not isinstance(body.params, WordNode):
        return None
    method = find(body.method)
    return None if method is None or method.whole else f"call it as {brief(method.signature, _LONGEST_SIGNATURE)}"


def _did_you_mean(text: str, reading: LineReading) -> str | None:
    from rpcshell.line.advice import advice
    from rpcshell.line.masking import mask_line, mask_message

    try:
        found = advice(text, reading.find)
    except ShellError:
        # The target is asked for its methods, and cannot say.
        found = []
    lines = [f"`{mask_message(mask_line(one, reading.known), text)}`" for one in found[:2]]
    return f"did you mean {' or '.join(lines)}?" if lines else None


def refuse_masked(text: str, known: Known) -> None:
    """Refuse a line as the history keeps it, which would send asterisks for a secret."""
    from rpcshell.line.masking import MASKED, masked_places

    if places := masked_places(text, known):
        message = f"a secret was left out here when the line was kept: type it in the place of {MASKED}"
        raise SyntaxProblem(message, line=text, column=places[0], expected="the secret")


def hide_secrets(error: ShellError, params: object) -> None:
    """Take out of an error what its server repeats of the secrets that it was sent."""
    from rpcshell.line.masking import mask_text, mask_texts

    error.message = mask_text(error.message, params)
    if isinstance(error, CallError):
        error.data = mask_texts(error.data, params)
