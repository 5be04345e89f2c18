r"""Variables in a line, `$name` and paths such as `$_.items[0].id`, and strings with variables in them.

The dollar sign in front of a string, `$"order ${o.id}"`, is what asks for its variables. Without it a string is JSON,
which means the same wherever it comes from. Inside, `\$` is a dollar sign.
"""

import re

from rpcshell.line.language.nodes import PathStep, TemplateNode, VariableNode
from rpcshell.line.language.tokens import (
    DOUBLE_QUOTED,
    NAME,
    PATH,
    SINGLE_QUOTED,
    Scan,
    Severity,
    Token,
    TokenKind,
    decode,
    decode_part,
)

# Compiled when first needed, since most lines have no variables: `re` keeps what it has compiled.
_STEP = (
    r"""\.(?P<key>[\w-]*)|\[(?:(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')|(?P<index>[^\]]*))(?P<closed>\]?)"""
)
_NUMBER = r"-?[0-9]{1,18}"
TEMPLATE = rf"(?s)\$(?:{DOUBLE_QUOTED}|{SINGLE_QUOTED})"
_PLACE = r"(?s:\\.)|\$\{(?P<path>[^}]*)(?P<closed>\}?)"
_PATH = rf"\s*(?P<path>{PATH})\s*"
_FORGOTTEN = rf"\$\{{\s*{PATH}\s*\}}"


def read_variable(scan: Scan, start: int, end: int, *, dollar: bool = True) -> VariableNode:
    """The variable that is written from `start` to `end`; problems go to `scan`, and no token.

    `start` is at the dollar sign, or at the name where there is none. The text up to `end` matches `PATH`.
    """
    text = scan.text
    name = re.compile(NAME).match(text, start + dollar)
    if name is None:
        return VariableNode(start, end, "", ())
    steps: list[PathStep] = []
    pos = name.end()
    step_at = re.compile(_STEP)
    while pos < end and (found := step_at.match(text, pos, end)) is not None:
        pos = found.end()
        step = _step(scan, found)
        if step is not None:
            steps.append(step)
    return VariableNode(start, end, name[0], tuple(steps))


def _step(scan: Scan, found: re.Match[str]) -> PathStep | None:
    start, end = found.span()
    severity = Severity.UNFINISHED if end == len(scan.text) else Severity.ERROR
    if (key := found["key"]) is not None:
        if not key:
            scan.problem("a key is missing after the dot", end, end, "a key", severity)
            return None
        return PathStep(start + 1, end, key)
    if not found["closed"]:
        scan.problem("the index is not closed", end, end, "`]`", severity)
        return None
    if found["quoted"] is not None:
        first, last = found.span("quoted")
        return PathStep(first, last, decode(scan, first, last, closed=True))
    first, last = found.span("index")
    if not re.fullmatch(_NUMBER, found["index"]):
        scan.problem("in brackets stands an index or a quoted key", first, last, '[0] or ["key"]')
        return None
    return PathStep(first, last, int(found["index"]))


def read_template(scan: Scan, start: int, end: int, *, closed: bool) -> TemplateNode:
    """The template at `start` to `end`, dollar sign and quotes included; its tokens and problems go to `scan`."""
    parts: list[str | VariableNode] = []
    last = end - 1 if closed else end
    pos = start + 2
    token = start
    for found in re.compile(_PLACE).finditer(scan.text, pos, last):
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
    found = re.compile(_FORGOTTEN).search(scan.text, start, end)
    if found is not None:
        message = f"{found[0]} is sent as it is; variables are filled in where a $ stands before the quote"
        scan.problem(message, *found.span(), severity=Severity.WARNING)


def _read_place(scan: Scan, found: re.Match[str]) -> VariableNode | None:
    start, end = found.span("path")
    at_end = found.end() == len(scan.text)
    severity = Severity.UNFINISHED if at_end else Severity.ERROR
    path = re.compile(_PATH).fullmatch(scan.text, start, end)
    if path is None:
        expected = "the name of a variable, or a path such as u.items[0]"
        scan.problem("between ${ and } stands a variable without its $", start, end, expected, severity)
        return None
    if not found["closed"]:
        scan.problem("the variable in the text is not closed", end, end, "`}`", severity)
    return read_variable(scan, *path.span("path"), dollar=False)
