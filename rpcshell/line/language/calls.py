"""Calls, `method [params]`, and lines about values, `name = value` and `$name`; a sink may follow.

The params are one JSON value or `key=value` pairs.
"""

import re

from rpcshell.line.language.commands import at_sink, read_end, read_sink
from rpcshell.line.language.nodes import (
    Assignment,
    CallLine,
    Form,
    Member,
    MissingNode,
    Node,
    ObjectNode,
    Sink,
    StringNode,
    ValueLine,
    WordNode,
)
from rpcshell.line.language.tokens import NAME, QUOTED, REFERENCE, Scan, Severity, TokenKind, is_closed, read_quoted
from rpcshell.line.language.values import (
    KEYWORDS,
    NUMBER,
    clip,
    json_word,
    misspelling,
    number_fault,
    read_value,
    repeated_key,
    reserve_variable,
)
from rpcshell.line.language.variables import TEMPLATE, read_template, read_variable, warn_of_plain

# No variable begins with `$/`, as methods of LSP's base protocol do.
_METHOD = re.compile(r"""(?:\$/|[^\s{}\[\]<>"',=|$])[^\s{\[<"'>|]*""")
_KEY = re.compile(r"""[^\s\[\]{}<>,:="']+""")
_TEXT = re.compile(r"""[^\W\d][^\s\[\]{}<>,:="'|]*""")
_TOUCHING_SINK = re.compile(r"\||>>?")
_LOOSE_EQUALS = re.compile(r"\s+=")
_CHUNK = re.compile(r"\S+")
_ASSIGNMENT = re.compile(rf"\$?(?P<name>{NAME})[ \t]*=")
_WORD = re.compile(r"""[^\s{}\[\]<>"',=|]+""")
_ENDS = re.compile(r"\s*(?:$|\||>|(?<=\s)\#)")


def read_call(scan: Scan, assignment: Assignment | None = None) -> CallLine:
    """Read the call at the head of `scan`, up to the end of the text."""
    start = scan.pos
    method = _read_method(scan, assigned=assignment is not None)
    end = scan.pos
    scan.skip_blank()
    params: Node | None = None
    form: Form = "none"
    if not scan.at_end and not at_sink(scan):
        if _pair_ahead(scan):
            form = "pairs"
            params = _read_pairs(scan)
        else:
            form = "json"
            params = _read_text(scan) or read_value(scan)
    if params is None or isinstance(params, ObjectNode):
        sink = _read_tail(scan, "the call ends before this")
    else:
        sink = _read_tail(scan, "params are one value", "a list, as in [1, 2], or key=value pairs")
    return CallLine(start, end, method, params, form, assignment, sink)


def _read_tail(scan: Scan, message: str, expected: str = "the end of the line") -> Sink | None:
    """Read what may follow a call or a value: a sink, blanks and comments."""
    scan.skip_blank()
    if at_sink(scan):
        return read_sink(scan)
    read_end(scan, message, expected)
    return None


def _read_method(scan: Scan, *, assigned: bool) -> str:
    start = scan.pos
    if quoted := QUOTED.match(scan.text, start):
        name = read_quoted(scan, quoted)
        scan.take(TokenKind.METHOD, quoted.end())
        return name
    if word := _METHOD.match(scan.text, start):
        scan.take(TokenKind.METHOD, word.end())
        return word[0]
    if scan.at_end:
        scan.unfinished("nothing is assigned", "a method or a value")
    elif assigned:
        scan.problem(f"`{scan.char}` is neither a method nor a value", start, start + 1, "a method or a value")
    else:
        message = f"a line begins with a method or a :command, not with `{scan.char}`"
        scan.problem(message, start, start + 1, "a method")
    return ""


def _pair_ahead(scan: Scan) -> bool:
    key = QUOTED.match(scan.text, scan.pos) or _KEY.match(scan.text, scan.pos)
    return key is not None and scan.text[key.end() : key.end() + 1] == "="


def _read_pairs(scan: Scan) -> ObjectNode:
    start = scan.pos
    members: list[Member] = []
    keys: set[str] = set()
    end = start
    while not scan.at_end and not at_sink(scan):
        member = _read_pair(scan, keys)
        if member is None:
            break
        members.append(member)
        end = scan.pos
        if (touching := _CHUNK.match(scan.text, end)) is not None and not at_sink(scan):
            scan.problem("a blank parts two pairs", *touching.span(), "a blank")
            scan.take(TokenKind.ERROR, touching.end())
        scan.skip_blank()
    return ObjectNode(start, end, tuple(members), closed=True)


def _read_pair(scan: Scan, keys: set[str]) -> Member | None:
    text = scan.text
    start = scan.pos
    if quoted := QUOTED.match(text, start):
        key = read_quoted(scan, quoted)
        end = quoted.end()
    elif word := _KEY.match(text, start):
        key = word[0]
        end = word.end()
    else:
        return None
    if text[end : end + 1] != "=":
        scan.take(TokenKind.KEY if end == len(text) else TokenKind.ERROR, end)
        severity = Severity.UNFINISHED if end == len(text) else Severity.ERROR
        scan.problem("pairs are written key=value, without blanks", end, end, "`=` and a value", severity)
        return Member(start, end, key, MissingNode(end, end))
    if key in keys:
        repeated_key(scan, key, start, end)
    keys.add(key)
    scan.take(TokenKind.KEY, end)
    scan.take(TokenKind.PUNCTUATION, end + 1)
    return Member(start, end, key, _read_pair_value(scan))


def _read_pair_value(scan: Scan) -> Node:
    start = scan.pos
    if quoted := QUOTED.match(scan.text, start):
        value = read_quoted(scan, quoted)
        warn_of_plain(scan, start, quoted.end())
        scan.take(TokenKind.STRING, quoted.end())
        return StringNode(start, scan.pos, value)
    if template := re.compile(TEMPLATE).match(scan.text, start):
        closed = is_closed(template)
        node = read_template(scan, start, template.end(), closed=closed)
        if not closed:
            scan.open_string(scan.text[start + 1])
        scan.pos = template.end()
        return node
    if variable := re.compile(REFERENCE).match(scan.text, start):
        scan.take(TokenKind.VARIABLE, variable.end())
        return read_variable(scan, start, variable.end())
    if scan.char and scan.char in "{[<":
        return read_value(scan)
    if word := _CHUNK.match(scan.text, start):
        return _read_word(scan, word[0])
    severity = Severity.UNFINISHED if scan.at_end else Severity.ERROR
    scan.problem("a value is missing; an empty text is ''", start, start, "a value", severity)
    return MissingNode(start, start)


def _read_word(scan: Scan, word: str) -> WordNode:
    start = scan.pos
    end = start + len(word)
    kind = TokenKind.STRING
    if word[0] == "$":
        kind = TokenKind.ERROR
        reserve_variable(scan, word, start, end)
    elif word in KEYWORDS:
        kind = TokenKind.KEYWORD
    elif number := NUMBER.fullmatch(word):
        kind = TokenKind.NUMBER
        if fault := number_fault(number):
            scan.problem(fault, start, end, "a shorter number, or a quoted text")
    elif word[-1] == ",":
        message = "the comma is part of the text; pairs are parted by blanks"
        scan.problem(message, end - 1, end, "a blank", Severity.WARNING)
    elif (meant := json_word(word)) != word:
        scan.problem(f"{word} is a text here; JSON has `{meant}`", start, end, meant, Severity.WARNING)
    elif sink := _TOUCHING_SINK.search(word):
        message = f"`{sink[0]}` is part of the text; a blank before it sends the result on"
        scan.problem(message, start + sink.start(), start + sink.end(), "a blank", Severity.WARNING)
    scan.take(kind, end)
    return WordNode(start, end, word)


def _read_text(scan: Scan) -> WordNode | None:
    """Read a word that is a text without quotes, or a key without its value: as likely one as the other."""
    start = scan.pos
    word = _TEXT.match(scan.text, start)
    if word is None or word[0] in KEYWORDS or misspelling(word[0]):
        return None
    end = word.end()
    shown = clip(word[0])
    if _LOOSE_EQUALS.match(scan.text, end):
        scan.problem("pairs are written without blanks around `=`", end, end + 1, f"{shown}=value")
    else:
        severity = Severity.UNFINISHED if end == len(scan.text) else Severity.ERROR
        expected = f'"{shown}" or {shown}=value'
        scan.problem(f"{shown} is neither JSON nor key=value", start, end, expected, severity)
    scan.take(TokenKind.WORD, end)
    return WordNode(start, end, word[0])


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
    return Assignment(start, end, found["name"])


def value_ahead(scan: Scan, *, assigned: bool) -> bool:
    """Whether a value is at the head of `scan`, and not a method.

    A line begins with a value only if that is a variable. What is assigned may be any value; a quoted text is one
    unless params follow it, since methods can be quoted too.
    """
    if scan.char == "$":
        return not _METHOD.match(scan.text, scan.pos)
    if not assigned or scan.at_end:
        return False
    if scan.char in "{[<":
        return True
    if text := QUOTED.match(scan.text, scan.pos):
        return _ENDS.match(scan.text, text.end()) is not None
    word = _WORD.match(scan.text, scan.pos)
    return word is not None and (word[0] in KEYWORDS or NUMBER.fullmatch(word[0]) is not None)


def read_value_line(scan: Scan, assignment: Assignment | None) -> ValueLine:
    """Read the value at the head of `scan`, up to the end of the text."""
    value = read_value(scan)
    return ValueLine(value, assignment, _read_tail(scan, "the value ends before this"))
