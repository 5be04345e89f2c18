r"""Strings with variables in them: `$"order ${o.id}"`. The dollar sign in front is what asks for it.

Without it a string is JSON, which means the same wherever it comes from. Inside, `\$` is a dollar sign.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rpcshell.line.language.nodes import TemplateNode, VariableNode
from rpcshell.line.language.strings import DOUBLE_QUOTED, SINGLE_QUOTED, decode_part
from rpcshell.line.language.tokens import Severity, Token, TokenKind
from rpcshell.line.language.variables import PATH, read_variable

if TYPE_CHECKING:
    from rpcshell.line.language.scan import Scan

TEMPLATE = re.compile(rf"\$(?:{DOUBLE_QUOTED}|{SINGLE_QUOTED})", re.DOTALL)

_PLACE = re.compile(r"\\.|\$\{(?P<path>[^}]*)(?P<closed>\}?)", re.DOTALL)
_PATH = re.compile(rf"\s*(?P<path>{PATH})\s*")
_FORGOTTEN = re.compile(rf"\$\{{\s*{PATH}\s*\}}")


def read_template(scan: Scan, start: int, end: int, *, closed: bool) -> TemplateNode:
    """The template at `start` to `end`, dollar sign and quotes included; its tokens and problems go to `scan`.

    Args:
        scan: The line.
        start: Where the dollar sign is.
        end: Where the string ends.
        closed: Whether it has its closing quote.
    """
    parts: list[str | VariableNode] = []
    last = end - 1 if closed else end
    pos = start + 2
    token = start
    for found in _PLACE.finditer(scan.text, pos, last):
        if found["path"] is None:
            continue
        if text := decode_part(scan, pos, found.start(), template=True):
            parts.append(text)
        scan.tokens.append(Token(TokenKind.STRING, token, found.start()))
        scan.tokens.append(Token(TokenKind.VARIABLE, *found.span()))
        if (variable := _read_place(scan, found)) is not None:
            parts.append(variable)
        pos = token = found.end()
    if text := decode_part(scan, pos, last, template=True):
        parts.append(text)
    if token < end:
        scan.tokens.append(Token(TokenKind.STRING, token, end))
    return TemplateNode(start, end, tuple(parts))


def warn_of_plain(scan: Scan, start: int, end: int) -> None:
    """Warn that a plain string at `start` to `end` looks as if it should be a template."""
    if scan.text.find("${", start, end) < 0:
        return
    found = _FORGOTTEN.search(scan.text, start, end)
    if found is not None:
        message = f"{found[0]} is sent as it is; variables are filled in where a $ stands before the quote"
        scan.problem(message, *found.span(), severity=Severity.WARNING)


def _read_place(scan: Scan, found: re.Match[str]) -> VariableNode | None:
    start, end = found.span("path")
    at_end = found.end() == len(scan.text)
    severity = Severity.UNFINISHED if at_end else Severity.ERROR
    path = _PATH.fullmatch(scan.text, start, end)
    if path is None:
        expected = "the name of a variable, or a path such as u.items[0]"
        scan.problem("between ${ and } stands a variable without its $", start, end, expected, severity)
        return None
    if not found["closed"]:
        scan.problem("the variable in the text is not closed", end, end, "`}`", severity)
    return read_variable(scan, *path.span("path"), dollar=False)
