"""A file in TOML that people write: what of it can be read where a line is wrong, and where in it a key stands."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

__all__ = ["TomlProblem", "key_line", "read_toml", "table_at"]

_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_PART: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*""")
_ERROR: Final = re.compile(r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")
_NOT_ENDED: Final = ("Unclosed", "Unterminated", "Expected ','")
"""How a complaint begins about what began in a line before."""


class TomlProblem(NamedTuple):
    """What is wrong, in words that follow the place; the line is counted from 1, and None where the whole is meant."""

    reason: str
    line: int | None


def read_toml(text: str) -> tuple[dict[str, Any], list[TomlProblem]]:
    """What a text says, and what of it is no TOML: the line that is wrong is left out, or else the rest of its table.

    A table whose head is wrong is left out as a whole: its keys must not be taken for those of the one before.
    """
    import tomllib

    lines = text.split("\n")
    problems: list[TomlProblem] = []
    left_out: set[int] = set()
    while True:
        try:
            return tomllib.loads("\n".join(lines)), problems
        except RecursionError:
            return {}, [*problems, TomlProblem("it is nested too deeply", None)]
        except ValueError as error:
            # Beside those of tomllib, that a number has too many digits for Python.
            problem, first = _located(error, lines)
            if first is None:
                return {}, [*problems, problem]
            last = _end_of_table(lines, first)
            # What goes wrong in the same table again comes of what was left out, or nobody can tell.
            again = any(begin in left_out for begin in range(_begin_of_table(lines, first), last))
            if not again:
                problems.append(problem)
            head = _HEADER.fullmatch(lines[first]) is not None or lines[first].lstrip().startswith("[")
            stop = last if head or again else max(first + 1, min(problem.line or 0, last))
            if all(not line for line in lines[first:stop]):
                return {}, [*problems, problem] if again else problems
            left_out.update(range(first, stop))
            lines[first:stop] = [""] * (stop - first)


def _located(error: Exception, lines: list[str]) -> tuple[TomlProblem, int | None]:
    """A complaint in words, and the index of the line that is to be left out for it."""
    found = _ERROR.fullmatch(str(error))
    if found is None:
        return TomlProblem(f"it is not TOML: {error}", None), None
    at = int(found["line"]) - 1 if found["line"] else len(lines) - 1
    column = f" at column {found['column']}" if found["column"] else " at the end of the file"
    reason = f"{found['reason'][:1].lower()}{found['reason'][1:]}"
    if not found["line"] or found["reason"].startswith(_NOT_ENDED):
        # It began with the key before, and was only missed here.
        last = at - (found["column"] == "1")
        began = next((index for index in range(min(last, len(lines) - 1), -1, -1) if "=" in lines[index]), at)
        if began != at:
            return TomlProblem(f"this is not TOML, as line {at + 1} shows: {reason}", began + 1), began
    return TomlProblem(f"this is not TOML{column}: {reason}", at + 1), at


def _begin_of_table(lines: list[str], index: int) -> int:
    return next((at for at in range(index, -1, -1) if _HEADER.fullmatch(lines[at])), 0)


def _end_of_table(lines: list[str], index: int) -> int:
    return next((at for at in range(index + 1, len(lines)) if _HEADER.fullmatch(lines[at])), len(lines))


def key_line(text: str, keys: list[str]) -> int | None:
    """The number of the line on which a key is given, which may be that of a table; None where that cannot be told."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _path(header[1])
            if table[: len(keys)] == keys:
                return number
        elif "=" in line and [*table, *_path(line.partition("=")[0])] == keys:
            return number
    return None


def table_at(text: str, number: int) -> list[str]:
    """The keys of the table that a line is in."""
    lines = text.split("\n")
    header = _HEADER.fullmatch(lines[_begin_of_table(lines, number - 1)])
    return [] if header is None else _path(header[1])


def _path(text: str) -> list[str]:
    """The parts of a key with dots."""
    parts, position = [], 0
    while found := _PART.match(text, position):
        parts.append(next(part for part in found.groups() if part is not None))
        position = found.end() + 1
    return parts
