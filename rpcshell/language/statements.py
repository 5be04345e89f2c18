"""Telling one line with newlines in it from several lines, as a paste may bring them."""

from collections.abc import Callable

from rpcshell.language.assembler import Assembler
from rpcshell.language.nodes import CallLine, CommandLine, Line
from rpcshell.language.parser import parse


def statements(line: Line, known: Callable[[str], bool]) -> tuple[str, ...]:
    """The texts to run for what was typed or pasted, one after the other: nearly always the one text itself.

    A command ends with its row. In a call a newline is a blank, so a text that begins with one is several lines only
    where it makes no sense as a single one, and no row after it could have been meant as more of its params.

    Args:
        line: What was typed or pasted, parsed.
        known: Whether the target has a method of this name; asked only where it matters.
    """
    text = line.text
    several = isinstance(line.body, CommandLine)
    if "\n" not in text.strip() or (line.blocking is None and not several):
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
