"""Putting the lines of a script or a pipe together into texts that can be run, one line at a time."""

from rpcshell.line.language.lexemes import (
    CLOSE,
    CLOSERS,
    DOUBLE_CLOSED,
    LEXEME,
    MAX_DEPTH,
    OPEN,
    SINGLE_CLOSED,
    STRING,
    closed_by,
)
from rpcshell.line.language.nodes import CallLine, ValueLine
from rpcshell.line.language.parser import parse

_QUOTES = frozenset("\"'")


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
        if found.lastindex == STRING and not (found[DOUBLE_CLOSED] or found[SINGLE_CLOSED]):
            stack.append(found[0].lstrip("$")[0])
        elif found.lastindex == OPEN:
            stack.append(CLOSERS[found[0]])
        elif found.lastindex == CLOSE and stack:
            del stack[-closed_by(found[0], stack) :]
        if not stack or len(stack) > MAX_DEPTH:
            return ()
    return tuple(stack)
