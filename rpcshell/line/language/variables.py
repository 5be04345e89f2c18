"""Variables in a line: `$name`, paths into one such as `$_.items[0].id`, and what they lead to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rpcshell.line.language.nodes import Step, VariableNode
from rpcshell.line.language.strings import decode
from rpcshell.line.language.tokens import LineError, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rpcshell.line.language.scan import Scan

NAME = r"[^\W\d]\w*"

# Strings in a path end with their row, so that a path never spans rows; one without an end is none.
_INDEX = r"""\[(?:"(?:[^"\\\n]|\\[^\n])*+"|'(?:[^'\\\n]|\\[^\n])*+'|[^\[\]{}<>,"'\s|]*+)\]?"""

PATH = rf"{NAME}(?:\.[\w-]*+|{_INDEX})*+"
"""What follows the dollar sign, finished or not."""

VARIABLE = re.compile(rf"\${PATH}")

_NAME = re.compile(NAME)
_STEP = re.compile(
    r"""\.(?P<key>[\w-]*)|\[(?:(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')|(?P<index>[^\]]*))(?P<closed>\]?)"""
)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_LISTED = 5


def read_variable(scan: Scan, start: int, end: int, *, dollar: bool = True) -> VariableNode:
    """The variable that is written from `start` to `end`; problems go to `scan`, and no token.

    Args:
        scan: The line.
        start: Where the dollar sign is, or the name where there is none.
        end: Where the path ends; the text between matches `PATH`.
        dollar: Whether there is a dollar sign.
    """
    text = scan.text
    name = _NAME.match(text, start + dollar)
    if name is None:
        return VariableNode(start, end, "", ())
    steps: list[Step] = []
    pos = name.end()
    while pos < end and (found := _STEP.match(text, pos, end)) is not None:
        pos = found.end()
        step = _step(scan, found)
        if step is not None:
            steps.append(step)
    return VariableNode(start, end, name[0], tuple(steps))


def _step(scan: Scan, found: re.Match[str]) -> Step | None:
    start, end = found.span()
    severity = Severity.UNFINISHED if end == len(scan.text) else Severity.ERROR
    if (key := found["key"]) is not None:
        if not key:
            scan.problem("a key is missing after the dot", end, end, "a key", severity)
            return None
        return Step(key, start + 1, end)
    if not found["closed"]:
        scan.problem("the index is not closed", end, end, "`]`", severity)
        return None
    if found["quoted"] is not None:
        first, last = found.span("quoted")
        return Step(decode(scan, first, last, closed=True), first, last)
    first, last = found.span("index")
    if not _NUMBER.fullmatch(found["index"]):
        scan.problem("in brackets stands an index or a quoted key", first, last, '[0] or ["key"]')
        return None
    return Step(int(found["index"]), first, last)


def walk(values: Mapping[str, Any], path: VariableNode) -> Any:
    """What a path leads to.

    Args:
        values: The variables.
        path: Begins with one of their names.

    Raises:
        LineError: There is no such variable, or no such place in it.
    """
    if path.name not in values:
        raise _unknown(values, path)
    value = values[path.name]
    so_far = f"${path.name}"
    for step in path.steps:
        value = _enter(value, step, so_far)
        so_far += f"[{step.key}]" if isinstance(step.key, int) else f".{step.key}"
    return value


def _unknown(values: Mapping[str, Any], path: VariableNode) -> LineError:
    if path.name == "_":
        return LineError("there is no last result yet", path.start, "a call before this one")
    near = _near(path.name, values) or [name for name in values if name != "_"]
    message = f"no variable is called ${path.name}; `{path.name} = METHOD …` makes it"
    return LineError(message, path.start, _one_of(f"${name}" for name in near))


def _enter(value: Any, step: Step, so_far: str) -> Any:
    key = step.key
    if isinstance(value, dict):
        name = str(key)
        if name in value:
            return value[name]
        near = _near(name, value) or list(value)
        found = f"{so_far} has no key {name}" if value else f"{so_far} is an empty object"
        raise LineError(found, step.start, _one_of(near))
    if isinstance(value, list):
        if isinstance(key, str) and not _NUMBER.fullmatch(key):
            raise LineError(f"{so_far} is an array and has no key {key}", step.start, "an index such as [0]")
        index = int(key)
        if not -len(value) <= index < len(value):
            limits = f"an index from 0 to {len(value) - 1}" if value else ""
            raise LineError(f"{so_far} has {len(value)} item{'' if len(value) == 1 else 's'}", step.start, limits)
        return value[index]
    shown = "null" if value is None else "a text" if isinstance(value, str) else f"{value}".lower()
    raise LineError(f"{so_far} is {shown} and has nothing inside", step.start, "the end of the path")


def _near(name: str, names: Iterable[str]) -> list[str]:
    # Only who mistypes waits for the import.
    import difflib

    return difflib.get_close_matches(name, list(names), 2)


def _one_of(names: Iterable[str]) -> str:
    listed = list(names)
    shown = ", ".join(listed[:_LISTED])
    if len(listed) > _LISTED:
        return f"one of {shown}, …"
    return f"one of {shown}" if len(listed) > 1 else shown
