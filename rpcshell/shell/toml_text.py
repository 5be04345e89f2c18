"""A file in TOML that people write: what of it can be read where a line is wrong, and where in it a key stands."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_PART: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*""")
_ERROR: Final = re.compile(r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")
_NOT_ENDED: Final = ("Unclosed", "Unterminated", "Expected ','")
"""How a complaint begins about what began in a line before."""

_NOT_CLOSED: Final = "the quote is not closed on its line"
_IN_WORDS: Final = {
    r"Illegal character '\n'": _NOT_CLOSED,
    r"Found invalid character '\n'": _NOT_CLOSED,
    "Invalid value": "no value begins here; a text has quotes around it",
}
"""What tomllib says, as people say it."""

_DEEPEST: Final = 8
"""Tables in tables that are found by the head of an inner one."""

_MOST_PROBLEMS: Final = 20
"""Lines that are left out one by one; what has more of them is left out from there on."""


class TomlProblem(NamedTuple):
    """What is wrong, in words that follow the place; the line is counted from 1, and None where the whole is meant."""

    reason: str
    line: int | None


def read_toml(text: str) -> tuple[dict[str, Any], list[TomlProblem]]:
    """What a text says, and what of it is no TOML: the line that is wrong is left out, or else the rest of its table.

    A table whose head is wrong is left out as a whole: its keys must not be taken for those of the one before.
    """
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
            if len(problems) == _MOST_PROBLEMS and stop < len(lines):
                problems.append(TomlProblem("the rest is left out, as so much before it is not TOML", stop + 1))
                stop = len(lines)
            left_out.update(range(first, stop))
            lines[first:stop] = [""] * (stop - first)


def _located(error: Exception, lines: list[str]) -> tuple[TomlProblem, int | None]:
    """A complaint in words, and the index of the line that is to be left out for it."""
    if (found := _ERROR.fullmatch(str(error))) is None:
        return TomlProblem(f"it is not TOML: {error}", None), None
    at = int(found["line"]) - 1 if found["line"] else len(lines) - 1
    column = f" at column {found['column']}" if found["column"] else " at the end of the file"
    reason = _IN_WORDS.get(found["reason"], f"{found['reason'][:1].lower()}{found['reason'][1:]}")
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


class KeyPlaces:
    """Where in a text its keys and tables stand; lines are counted from 1."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        self._tables: list[tuple[str, ...]] = []
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.split("\n"), 1):
            if header := _HEADER.fullmatch(line):
                table = tuple(_path(header[1]))
                for depth in range(1, min(len(table), _DEEPEST) + 1):
                    self._lines.setdefault(table[:depth], number)
            elif "=" in line:
                self._lines.setdefault((*table, *_path(line.partition("=")[0])), number)
            self._tables.append(table)

    def line(self, keys: Sequence[str]) -> int | None:
        """The line on which a key is given, which may be that of a table; None where that cannot be told."""
        return self._lines.get(tuple(keys))

    def table(self, line: int) -> tuple[str, ...]:
        """The keys of the table that a line is in."""
        return self._tables[line - 1]


def _path(text: str) -> list[str]:
    parts, position = [], 0
    while found := _PART.match(text, position):
        parts.append(next(part for part in found.groups() if part is not None))
        position = found.end() + 1
    return parts
