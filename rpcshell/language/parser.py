"""The one way into the language: a text in, a `Line` out, whatever the text."""

import re
from dataclasses import replace

from rpcshell.language.calls import read_call
from rpcshell.language.commands import read_command
from rpcshell.language.nodes import Body, Empty, Line
from rpcshell.language.scan import Scan

_UNPAIRED = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Line:
    """Parse a line: nothing, a `:command`, or a call. A line may hold newlines; outside strings they are blanks.

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
    return read_call(scan)
