"""What the toolbar says about the line being typed: how the method is called, or what is wrong first, and where."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from rpcshell.catalog import Catalog, Method
from rpcshell.check import Finding, check
from rpcshell.language import ArrayNode, CallLine, CommandLine, Line, ObjectNode, Problem, Severity
from rpcshell.suggest.specs import CommandSpec


@dataclass(frozen=True, slots=True)
class Hint:
    """A line of help.

    Attributes:
        text: May hold text from a server: escape it before a terminal gets it.
        problem: It says what is wrong.
        column: Where, in characters from 0; None if nothing is wrong or it has no place.
        focus: The part of the text, start and end, that is about the place of the cursor: one parameter of a signature.
    """

    text: str
    problem: bool = False
    column: int | None = None
    focus: tuple[int, int] | None = None


NOTHING = Hint("")

_CLOSING = frozenset("]}>\"'")


def hint(line: Line, cursor: int, catalog: Catalog, commands: Sequence[CommandSpec]) -> Hint:
    """The most useful thing to say about a line with the cursor at a place in it.

    What merely is not finished where the user types is no problem: then it is the signature that helps.
    """
    typing = cursor >= len(line.text.rstrip())
    problem = next((found for found in line.problems if _counts(found, line, cursor, typing=typing)), None)
    match line.body:
        case CommandLine() as command:
            return _command(command, cursor, problem, commands)
        case CallLine() as call:
            return _call(line, call, cursor, problem, catalog, typing=typing)
    return NOTHING if problem is None else _syntax(problem)


def _counts(problem: Problem, line: Line, cursor: int, *, typing: bool) -> bool:
    if problem.severity is Severity.UNFINISHED:
        return line.complete and not typing
    return problem.blocks and not _may_grow(line, problem.start, problem.end, cursor)


def _may_grow(line: Line, start: int, end: int, cursor: int) -> bool:
    """Whether the cursor is in a stretch that the next key may put right, as `tru`, or a string without its end."""
    if start < cursor < end:
        return True
    string_open = not line.complete and end == len(line.text)
    return start < cursor == end and (string_open or line.text[end - 1] not in _CLOSING)


def _syntax(problem: Problem) -> Hint:
    message = problem.message
    if problem.expected and problem.expected not in message:
        message = f"{message}: expected {problem.expected}"
    return Hint(message, problem=True, column=problem.start)


def _command(command: CommandLine, cursor: int, problem: Problem | None, commands: Sequence[CommandSpec]) -> Hint:
    spec = next((spec for spec in commands if spec.name == command.name), None)
    if spec is None:
        if not command.name or cursor <= command.name_end:
            return NOTHING if problem is None else _syntax(problem)
        near = difflib.get_close_matches(command.name, [spec.name for spec in commands], 1)
        also = f"; did you mean :{near[0]}?" if near else "; :help lists the commands"
        return Hint(f"unknown command :{command.name}{also}", problem=True, column=command.name_start - 1)
    if problem is not None:
        return _syntax(problem)
    return Hint(f"{spec.usage}  {spec.summary}".rstrip())


def _call(line: Line, call: CallLine, cursor: int, problem: Problem | None, catalog: Catalog, *, typing: bool) -> Hint:
    if problem is not None:
        return _syntax(problem)
    method = catalog.methods.get(call.method)
    if method is None:
        finished = len(line.text) > call.end and cursor > call.end
        return _unknown_method(call, catalog) if catalog.methods and finished else NOTHING
    finding = _first_finding(line, call, cursor, method, typing=typing)
    if finding is not None:
        return Hint(finding.message, problem=True, column=finding.start)
    warning = next(iter(line.problems), None)
    if warning is not None and warning.severity is Severity.WARNING:
        return _syntax(warning)
    text = f"{method.signature}  deprecated" if method.deprecated else method.signature
    index = _parameter_at(call, cursor, method)
    return Hint(text, focus=method.signature_span(index) if index is not None else None)


def _parameter_at(call: CallLine, cursor: int, method: Method) -> int | None:
    """The index of the parameter whose key or value the cursor is at."""
    params = call.params
    if isinstance(params, ObjectNode):
        at = next((member for member in params.members if member.start <= cursor <= member.value.end), None)
        names = [param.name for param in method.params]
        return names.index(at.key) if at is not None and at.key in names else None
    if isinstance(params, ArrayNode) and not method.whole:
        index = next((index for index, item in enumerate(params.items) if item.start <= cursor <= item.end), None)
        return index if index is not None and index < len(method.params) else None
    return None


def _unknown_method(call: CallLine, catalog: Catalog) -> Hint:
    near = catalog.index.near(call.method)
    also = f"; did you mean {', '.join(near)}?" if near else ""
    return Hint(f"unknown method {call.method}{also}", problem=True, column=call.start)


def _first_finding(line: Line, call: CallLine, cursor: int, method: Method, *, typing: bool) -> Finding | None:
    params = call.params
    if params is None:
        absent = [param.name for param in method.params if param.required]
        if typing or method.whole or not absent:
            return None
        return Finding(f"missing {', '.join(absent)}", call.end, call.end)
    schema = method.params_schema if isinstance(params, ObjectNode) else method.positional_schema
    if call.form == "pairs" and typing and isinstance(params, ObjectNode):
        # More pairs may follow, so what is missing is not missing yet.
        params = replace(params, closed=False)
    findings = check(params, schema, method.resolve, editing=cursor)
    return next((found for found in findings if not _may_grow(line, found.start, found.end, cursor)), None)
