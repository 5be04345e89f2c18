"""The one way into the language: a text in, a `Line` out, whatever the text; and texts of several lines told apart."""

import re
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from rpcshell.line.language.calls import read_assignment, read_call, read_value_line, value_ahead
from rpcshell.line.language.commands import read_command, read_system_line
from rpcshell.line.language.nodes import Body, CallLine, CommandLine, Empty, Line, SystemLine, ValueLine, leading_word
from rpcshell.line.language.tokens import (
    CLOSERS,
    LEXEME,
    MAX_DEPTH,
    Scan,
    closed_by,
    is_closed,
)

_UNPAIRED = "[\ud800-\udfff]"
_BYTES = 0xDC00
"""Where Python puts bytes that it cannot decode (PEP 383), counted from the byte 0."""

_UNKNOWN_NAME = r"(?:\$?\w+ ?= ?)?(?!(?:true|false|null)\b)[^\W\d][\w./:-]*(?=\s|$)"
_QUOTES = frozenset("\"'")


def parse(text: str) -> Line:
    """Parse a line: nothing, a `:command`, a `!command`, a call, or a value that gets a name or is shown.

    A line may hold newlines; outside strings they are blanks.

    Never raises. What cannot be read is a problem of the line, and the rest is read all the same, so that the
    lexer, the completer, the toolbar and the shell can all work on the one result. Time and memory grow
    linearly with the text.
    """
    scan = Scan(text)
    unpaired = None if text.isascii() else re.search(_UNPAIRED, text)
    if unpaired is not None:
        byte = ord(unpaired[0]) - _BYTES
        what = f"the byte 0x{byte:02x} is no UTF-8" if 0x80 <= byte <= 0xFF else "half of a surrogate pair is not text"
        scan.problem(what, unpaired.start(), unpaired.end(), "valid Unicode")
    body = _read_body(scan)
    problems = tuple(sorted(scan.problems, key=lambda problem: problem.start))
    if not isinstance(body, Empty):
        body = replace(body, problems=problems)
    return Line(text, tuple(scan.tokens), problems, scan.open, body)


def _read_body(scan: Scan) -> Body:
    scan.skip_blank()
    if scan.at_end:
        return Empty()
    if scan.char == ":":
        return read_command(scan)
    if scan.char == "!":
        return read_system_line(scan)
    assignment = read_assignment(scan)
    if value_ahead(scan, assigned=assignment is not None):
        return read_value_line(scan, assignment)
    return read_call(scan, assignment)


class Assembler:
    """Collects lines until no bracket and no string is open.

    It gives the texts that parsing all that was collected after every line would give, but not at the quadratic
    cost of that: inside a bracket, a new line is only looked at for what it opens and closes.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._open: tuple[str, ...] = ()

    def feed(self, line: str) -> str | None:
        """Take a line, without its newline; returns the text that it completes, or None if more has to follow."""
        self._lines.append(line)
        if self._open:
            self._open = _still_open(self._open, f"\n{line}")
            if self._open:
                return None
        text = "\n".join(self._lines)
        parsed = parse(text)
        if parsed.complete:
            self._lines.clear()
            return text
        # The quotes of commands, of the shell's too, have other rules; nobody writes those with many lines.
        body = parsed.body
        self._open = parsed.open if isinstance(body, CallLine | ValueLine) and body.sink is None else ()
        return None

    def end(self) -> str | None:
        """What was collected and never completed, or None; the assembler is empty afterwards."""
        text = "\n".join(self._lines) if self._lines else None
        self._lines.clear()
        self._open = ()
        return text


def _still_open(waiting: tuple[str, ...], text: str) -> tuple[str, ...]:
    """What is open after more text, given what was before; nothing where only a parse of the whole can tell."""
    stack = list(waiting)
    if stack[-1] in _QUOTES:
        # The opening quote is an earlier line's; with one in front, the string reads like any other.
        text = stack.pop() + text
    pos = 0
    while (found := LEXEME.match(text, pos)) is not None:
        pos = found.end()
        if found.lastgroup == "string" and not is_closed(found):
            stack.append(found[0].lstrip("$")[0])
        elif found.lastgroup == "open":
            stack.append(CLOSERS[found[0]])
        elif found.lastgroup == "close" and stack:
            del stack[-closed_by(found[0], stack) :]
        if not stack or len(stack) > MAX_DEPTH:
            return ()
    return tuple(stack)


def statements(line: Line, known: Callable[[str], bool]) -> tuple[str, ...]:
    """The texts to run for what was typed or pasted, one after the other: nearly always the one text itself.

    A command ends with its row. In a call a newline is a blank, so a text that begins with one is several lines only
    where it makes no sense as a single one, and no row after it could have been meant as more of its params. What is
    wrong in one of several lines is found when it is run.

    `known` says whether a row may begin with this name of a method; it is asked only where it matters.
    """
    text = line.text
    if "\n" not in text.strip():
        return (text,)
    of_a_row = isinstance(line.body, CommandLine | SystemLine)
    if line.blocking is None and not of_a_row and not _assigns_later(line, known):
        return (text,)
    assembler = Assembler()
    parts: list[str] = []
    pairs = False
    for row in text.split("\n"):
        part = assembler.feed(row)
        if not part or not part.strip():
            continue
        read = parse(part)
        if parts and pairs and _is_pair(read):
            parts[-1] += f"\n{part}"
        elif parts and not _begins_line(read, known):
            return (text,)
        else:
            parts.append(part)
            pairs = isinstance(read.body, CallLine) and read.body.form == "pairs"
    return (text,) if assembler.end() is not None else tuple(parts)


def _is_pair(line: Line) -> bool:
    """Whether a line may be more of the params of a call that has them as pairs."""
    body = line.body
    return (
        isinstance(body, ValueLine) and body.assignment is not None and line.text.startswith("=", body.assignment.end)
    )


def _begins_line(line: Line, known: Callable[[str], bool]) -> bool:
    """Whether a row of several is a line of its own: an unknown name at the margin begins one too."""
    if not isinstance(line.body, CallLine):
        return True
    body = line.body
    return bool(body.method) and (known(body.method) or re.match(_UNKNOWN_NAME, line.text) is not None)


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


def expand_alias(line: Line, aliases: Mapping[str, str]) -> tuple[Line, int]:
    """What a line means that may begin with an alias, or one that leads to another, and how far the rest has moved."""
    meant = line
    used: set[str] = set()
    while aliases and (word := leading_word(meant)) is not None:
        start, end = word
        name = meant.text[start:end]
        if name in used or name not in aliases:
            break
        used.add(name)
        meant = parse(f"{meant.text[:start]}{aliases[name]}{meant.text[end:]}")
    return meant, len(meant.text) - len(line.text)
