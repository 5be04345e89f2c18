"""What there is to say about the line being typed: how the method is called, or what is wrong with it, and where."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from rpcshell.line.advice import advice
from rpcshell.line.brief import few
from rpcshell.line.catalog import Method
from rpcshell.line.check import MOST_MISSING, check
from rpcshell.line.habits import habit
from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    CommandLine,
    Line,
    LineError,
    Node,
    ObjectNode,
    Problem,
    Severity,
    TemplateNode,
    ValueLine,
    VariableNode,
    method_text,
    parse,
    walk,
)
from rpcshell.line.near_names import near_names
from rpcshell.line.suggest import CommandSpec, Surroundings, inner_call, options_behind


class Hint(msgspec.Struct, frozen=True):
    """A line of help.

    The text may come from a server: escape it before a terminal gets it. The column is counted from 0. `focus` is the
    part of the text that is about the cursor, such as one parameter of a signature.
    """

    text: str
    problem: bool = False
    column: int | None = None
    focus: tuple[int, int] | None = None


NOTHING = Hint("")

_BEHIND_ANY_LINE = sys.maxsize
_CLOSING = frozenset("]}>\"'")
_WORD = re.compile(r"(?![-+.\deE]+$)[^\s\"'{}\[\]<>$]+")
"""A value without quotes or brackets that is no number."""


def hint(line: Line, cursor: int, around: Surroundings) -> Hint:
    """The most useful thing to say about a line with the cursor at a place in it.

    What merely is not finished where the user types is no problem: then it is the signature that helps.
    """
    found = next(problems(line, cursor, around), None)
    if found is not None:
        return Hint(_advised(line, found, around), problem=True, column=found.start)
    if (meant := _by_habit(line, around)) is not None:
        return meant
    match line.body:
        case CommandLine() as command:
            if (inner := _inner_line(line, command, around)) is not None and cursor > inner[1]:
                found_inside = hint(inner[0], cursor - inner[1], around)
                if found_inside.text:
                    return found_inside
            spec, _ = command.meant(around.command)
            return NOTHING if spec is None else Hint(f"{spec.usage}  {spec.summary}".rstrip())
        case CallLine() as call if (method := around.catalog.methods.get(call.method)) is not None:
            text, focus = method.signature_about(_parameter_index_at(call, cursor, method))
            return Hint(f"{text}  deprecated" if method.deprecated else text, focus=focus)
    return NOTHING


def problems(line: Line, cursor: int | None, around: Surroundings) -> Iterator[Problem]:
    """What is wrong with a line, the worst first, and where; lazily, so that the first is cheap.

    The arguments are those of `hint`, but for a cursor that is in another line: then nothing is added to this one.
    """
    typing = cursor is not None and cursor >= len(line.text.rstrip())
    cursor = _BEHIND_ANY_LINE if cursor is None else cursor
    syntax = [_readable(found) for found in line.problems if _counts(found, line, cursor, typing=typing)]
    match line.body:
        case CommandLine() as command:
            if command.meant(around.command)[0] is None and command.name and cursor > command.name_end:
                yield _unknown_command(command, around.commands)
                return
            yield from syntax
            if not syntax and (inner := _inner_line(line, command, around)) is not None:
                for found in problems(inner[0], cursor - inner[1], around):
                    yield Problem(found.message, found.start + inner[1], found.end + inner[1])
        case CallLine() as call:
            yield from syntax or _in_call(line, call, cursor, around, typing=typing)
            yield from _warnings(line)
        case ValueLine(value=value):
            yield from syntax or _unknown_variables(value, cursor, around)
            yield from _warnings(line)
        case _:
            yield from syntax


def _advised(line: Line, problem: Problem, around: Surroundings) -> str:
    """What to say of a problem: what would work, where that is plain of a call that cannot be read as it stands."""
    body = line.body
    if isinstance(body, CallLine) and (body.params is None or problem.start <= body.params.start):
        lines = [f"`{one}`" for one in advice(line.text, around.catalog.methods.get)[:2]]
        if lines:
            return f"did you mean {' or '.join(lines)}?"
    return problem.message


def _by_habit(line: Line, around: Surroundings) -> Hint | None:
    """What a line does, or does not, that is a habit of other programs; None where it is none."""
    found = habit(line.text)
    if found is None or found.word in around.catalog.methods:
        return None
    if not found.line:
        return Hint(f"{found.word} is no method; {found.say}")
    spec = around.command(found.line[1:].split()[0])
    return None if spec is None else Hint(f"{spec.usage}  {spec.summary}".rstrip())


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


def _readable(problem: Problem) -> Problem:
    message = problem.message
    if problem.expected and problem.expected not in message:
        message = f"{message}: expected {problem.expected}"
    return Problem(message, problem.start, problem.end)


def _inner_line(line: Line, command: CommandLine, around: Surroundings) -> tuple[Line, int] | None:
    """The line that a command takes, as in `:watch 2 user.get id=1`, and where it begins."""
    spec, command = command.meant(around.command)
    if spec is None or (start := inner_call(command, spec)) is None:
        return None
    text = line.text[start:]
    return parse(text[: options_behind(text, spec)]), start


def _unknown_command(command: CommandLine, commands: Sequence[CommandSpec]) -> Problem:
    near = near_names(command.name, [spec.name for spec in commands])
    also = f"; did you mean :{near[0]}?" if near else "; :help lists the commands"
    return Problem(f"unknown command :{command.name}{also}", command.name_start - 1, command.name_end)


def _in_call(line: Line, call: CallLine, cursor: int, around: Surroundings, *, typing: bool) -> Iterator[Problem]:
    catalog, variables = around.catalog, around.variables
    method = catalog.methods.get(call.method)
    named = cursor > call.end and not (typing and len(line.text) == call.end)
    if method is None and catalog.methods and (named or not catalog.index.may_become(call.method)):
        if habit(line.text) is None:
            yield _unknown_method(call, around)
        return
    if call.params is not None:
        yield from _unknown_variables(call.params, cursor, around)
    if method is None:
        return
    for found in _schema_problems(call, cursor, method, variables, typing=typing):
        # Of a word among the params, `check` knows what it may become.
        inside = call.params is not None and found.start > call.params.start
        judged = inside and _WORD.fullmatch(line.text, found.start, found.end)
        if judged or not _may_grow(line, found.start, found.end, cursor):
            yield found


def _warnings(line: Line) -> Iterator[Problem]:
    return (_readable(problem) for problem in line.problems if problem.severity is Severity.WARNING)


def _unknown_variables(root: Node, cursor: int, around: Surroundings) -> Iterator[Problem]:
    """Variables that are not there, and paths that lead nowhere."""
    for node in _variables_in(root):
        if node.name not in around.to_come and not node.start < cursor <= node.end:
            try:
                walk(around.variables, node)
            except LineError as error:
                yield Problem(error.message, node.start, node.end)


def _variables_in(root: Node) -> Iterator[VariableNode]:
    nodes: list[Node] = [root]
    while nodes:
        match nodes.pop():
            case VariableNode() as variable:
                yield variable
            case TemplateNode(parts=parts):
                yield from (part for part in parts if isinstance(part, VariableNode))
            case ObjectNode(members=members):
                nodes += [member.value for member in reversed(members)]
            case ArrayNode(items=items):
                nodes += reversed(items)


def _parameter_index_at(call: CallLine, cursor: int, method: Method) -> int | None:
    params = call.params
    if isinstance(params, ObjectNode):
        at = next((member for member in params.members if member.start <= cursor <= member.value.end), None)
        names = [param.name for param in method.params]
        return names.index(at.key) if at is not None and at.key in names else None
    if isinstance(params, ArrayNode) and not method.whole:
        index = next((index for index, item in enumerate(params.items) if item.start <= cursor <= item.end), None)
        return index if index is not None and index < len(method.params) else None
    return None


def _unknown_method(call: CallLine, around: Surroundings) -> Problem:
    near = around.catalog.index.near(call.method)
    also = f"; did you mean {', '.join(map(method_text, near))}?" if near else ""
    if around.command(call.method) is not None:
        also = f"; :{call.method} is a command"
    return Problem(f"unknown method {call.method}{also}", call.start, call.end)


def _schema_problems(
    call: CallLine, cursor: int, method: Method, variables: Mapping[str, Any], *, typing: bool
) -> Iterator[Problem]:
    params = call.params
    if params is None:
        absent = [param.name for param in method.params if param.required]
        if absent and not typing and not method.whole:
            yield Problem(f"missing {few(absent, MOST_MISSING)}", call.end, call.end)
        return
    if isinstance(params, VariableNode) and not method.whole:
        # It may bind by name or by position.
        return
    if method.by_name and isinstance(params, ArrayNode):
        yield Problem("its params go by name: {…}, or key=value", params.start, params.end)
        return
    if method.by_position and isinstance(params, ObjectNode) and call.form == "json":
        yield Problem("its params go by position: […], or key=value, which is put in order", params.start, params.end)
        return
    schema = method.params_schema if isinstance(params, ObjectNode) else method.positional_schema
    if call.form == "pairs" and typing and isinstance(params, ObjectNode):
        # More pairs may follow, so what is missing is not missing yet.
        params = replace(params, closed=False)
    yield from check(params, schema, method.resolve, editing=cursor, variables=variables)
