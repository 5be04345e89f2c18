"""Telling one line with newlines in it from several lines, as a paste may bring them."""

from collections.abc import Callable

from rpcshell.line.language.assembler import Assembler
from rpcshell.line.language.nodes import CallLine, CommandLine, Line
from rpcshell.line.language.parser import parse


def statements(line: Line, known: Callable[[str], bool]) -> tuple[str, ...]:
    """The texts to run for what was typed or pasted, one after the other: nearly always the one text itself.

    A command ends with its row. In a call a newline is a blank, so a text that begins with one is several lines only
    where it makes no sense as a single one, and no row after it could have been meant as more of its params.

    Args:
        line: What was typed or pasted, parsed.
        known: Whether a row may begin with this name of a method; asked only where it matters.
    """
    text = line.text
    if "\n" not in text.strip():
        return (text,)
    several = isinstance(line.body, CommandLine)
    if line.blocking is None and not several and not _assigns_later(line, known):
        return (text,)
    assembler = Assembler()
    fed = [assembler.feed(row) for row in text.split("\n")]
    parts = tuple(part for part in fed if part and part.strip())
    lines = [parse(part) for part in parts]
    if assembler.end() is not None or any(part.blocking for part in lines):
        return (text,)
    if not several and any(isinstance(part.body, CallLine) and not known(part.body.method) for part in lines[1:]):
        return (text,)
    return parts


def _assigns_later(line: Line, known: Callable[[str], bool]) -> bool:
    """Whether what reads as pairs, `x=add a=1` in a row of its own, can only be meant as an assignment."""
    if not isinstance(line.body, CallLine) or line.body.form != "pairs":
        return False
    for row in line.text.split("\n")[1:]:
        if row[:1].isspace():
            continue
        call = parse(row).body
        if isinstance(call, CallLine) and call.assignment and call.params is not None and known(call.method):
            return True
    return False
