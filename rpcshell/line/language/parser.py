"""The one way into the language: a text in, a `Line` out, whatever the text."""

import re

from msgspec.structs import replace

from rpcshell.line.language.assignments import read_assignment, read_value_line, value_ahead
from rpcshell.line.language.calls import read_call
from rpcshell.line.language.commands import read_command
from rpcshell.line.language.nodes import Body, Empty, Line
from rpcshell.line.language.scan import Scan

_UNPAIRED = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Line:
    """Parse a line: nothing, a `:command`, a call, or a value that gets a name or is shown.

    A line may hold newlines; outside strings they are blanks.

    Never raises. What cannot be read is a problem of the line, and the rest is read all the same, so that the
    lexer, the completer, the toolbar and the executor can all work on the one result. Time and memory grow
    linearly with the text.
    """
    scan = Scan(text)
    unpaired = None if text.isascii() else _UNPAIRED.search(text)
    if unpaired is not None:
        scan.problem("half of a surrogate pair is not text", unpaired.start(), unpaired.end(), "valid Unicode")
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
    assignment = read_assignment(scan)
    if value_ahead(scan, assigned=assignment is not None):
        return read_value_line(scan, assignment)
    return read_call(scan, assignment)
