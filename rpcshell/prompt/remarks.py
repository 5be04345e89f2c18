"""What the toolbar says of the text being typed, of several lines too, and which stretches of it are underlined.

What there is to say of one line is the business of `rpcshell.line.hint`. The first key loads this.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from rpcshell.line.hint import Hint, hint, problems
from rpcshell.line.language import Problem, statements
from rpcshell.prompt.context import LONGEST_LIVE, LineContext
from rpcshell.prompt.reading import expanded, surroundings
from rpcshell.view.escape import visible
from rpcshell.view.pretty import Fragment

_TOO_LONG: Final = "too long to be looked into while typing; Enter runs it"
_MOST_PROBLEMS: Final = 20


class Remark(NamedTuple):
    """What to say, in pieces of which the middle one is about the cursor, and the stretches that are wrong."""

    fragments: list[Fragment]
    spans: Sequence[tuple[int, int]]


def remark(context: LineContext, text: str, cursor: int) -> Remark:
    """What to say about a text with the cursor at a place in it."""
    if len(text) > LONGEST_LIVE:
        return Remark([("", _TOO_LONG)], ())
    methods, aliases = context.catalog.methods, context.aliases
    parts = statements(context.read(text), lambda name: not methods or name in methods or name in aliases)
    if len(parts) > 1:
        wrong = list(islice(_wrong_in_several(context, text, parts, cursor), _MOST_PROBLEMS))
        if wrong:
            return _wrong(text, wrong[0].message, wrong)
        return Remark([("", f"{len(parts)} lines; Enter runs one after the other")], ())
    line, moved = expanded(context, text)
    around = surroundings(context)
    found = hint(line, cursor + moved, around)
    if not found.problem:
        return Remark(_signature(found), ())
    wrong = [_moved(one, -moved) for one in islice(problems(line, cursor + moved, around), _MOST_PROBLEMS)]
    return _wrong(text, found.text, wrong)


def _wrong_in_several(context: LineContext, text: str, parts: Sequence[str], cursor: int) -> Iterator[Problem]:
    """What is wrong in lines that are run one after the other."""
    around = surroundings(context)
    end = 0
    for part in parts:
        start = text.index(part, end)
        end = start + len(part)
        line, moved = expanded(context, part)
        here = cursor - start + moved if start <= cursor <= end else None
        for found in problems(line, here, around):
            yield _moved(found, start - moved)
        around = around.after(line)


def _moved(problem: Problem, by: int) -> Problem:
    return replace(problem, start=problem.start + by, end=problem.end + by)


def _wrong(text: str, said: str, problems: Sequence[Problem]) -> Remark:
    """What is said of the first of the problems, with its place as people count, and where all of them are."""
    place, start = "", problems[0].start
    if start >= 0:
        before = text[:start]
        row, column = before.count("\n") + 1, start - before.rfind("\n")
        place = f"line {row}, column {column}: " if "\n" in text else f"column {column}: "
    return Remark(
        [("class:bottom-toolbar.problem", place + visible(said))],
        [(problem.start, problem.end) for problem in problems],
    )


def _signature(found: Hint) -> list[Fragment]:
    """A hint with the part of it that is about the cursor in a style of its own."""
    if found.focus is None:
        return [("", visible(found.text))]
    start, end = found.focus
    return [
        ("", visible(found.text[:start])),
        ("class:bottom-toolbar.focus", visible(found.text[start:end])),
        ("", visible(found.text[end:])),
    ]
