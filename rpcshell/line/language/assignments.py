"""Lines about values: the `name =` in front of a call or a value, and values that are shown by themselves."""

import re

from rpcshell.line.language.calls import read_tail
from rpcshell.line.language.nodes import Assignment, ValueLine
from rpcshell.line.language.scan import Scan
from rpcshell.line.language.strings import STRING
from rpcshell.line.language.tokens import TokenKind
from rpcshell.line.language.values import KEYWORDS, NUMBER, read_value
from rpcshell.line.language.variables import NAME

_ASSIGNMENT = re.compile(rf"\$?(?P<name>{NAME})[ \t]*=")
_WORD = re.compile(r"""[^\s{}\[\]<>"',=|]+""")
_ENDS = re.compile(r"\s*(?:$|\||>|(?<=\s)\#)")


def read_assignment(scan: Scan) -> Assignment | None:
    """Read `name =` at the head of `scan`, if it is there."""
    found = _ASSIGNMENT.match(scan.text, scan.pos)
    if found is None:
        return None
    start, end = found.span("name")
    if found["name"] == "_":
        scan.problem("$_ is always the last result", start, end, "another name")
    scan.take(TokenKind.VARIABLE, end)
    scan.skip_blank()
    scan.take(TokenKind.OPERATOR, found.end())
    scan.skip_blank()
    return Assignment(found["name"], start, end)


def value_ahead(scan: Scan, *, assigned: bool) -> bool:
    """Whether a value is at the head of `scan`, and not a method.

    A line begins with a value only if that is a variable. What is assigned may be any value; a quoted text is one
    unless params follow it, since methods can be quoted too.
    """
    if scan.char == "$":
        return True
    if not assigned or scan.at_end:
        return False
    if scan.char in "{[<":
        return True
    if text := STRING.match(scan.text, scan.pos):
        return _ENDS.match(scan.text, text.end()) is not None
    word = _WORD.match(scan.text, scan.pos)
    return word is not None and (word[0] in KEYWORDS or NUMBER.fullmatch(word[0]) is not None)


def read_value_line(scan: Scan, assignment: Assignment | None) -> ValueLine:
    """Read the value at the head of `scan`, up to the end of the text."""
    value = read_value(scan)
    return ValueLine(value, assignment, read_tail(scan, "the value ends before this"))
