"""JSON values as people type them: unquoted keys, single quotes, trailing commas, `<"a":1>` for braces.

The reader keeps its own stack instead of calling itself, so that no nesting can exhaust Python's, and goes on
after a mistake, so that an editor can colour and complete the rest.
"""

import re
import sys

from rpcshell.line.language.nodes import (
    ArrayNode,
    KeywordNode,
    Member,
    MissingNode,
    Node,
    NumberNode,
    ObjectNode,
    StringNode,
    WordNode,
)
from rpcshell.line.language.tokens import (
    CLOSERS,
    LEXEME,
    MAX_DEPTH,
    Scan,
    Severity,
    Token,
    TokenKind,
    closed_by,
    decode,
    is_closed,
)
from rpcshell.line.language.variables import read_template, read_variable, warn_of_plain

KEYWORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

# Python itself refuses to print or read longer ones (quadratic time), so nothing after the parser could use them.
MAX_DIGITS = sys.int_info.default_max_str_digits

_NUMBER_LIKE = re.compile(r"[+-]?\.?[0-9]|-$")
_SPELLING = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nil": "null"}
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity", "nan", "inf", "-inf"})


class _Container:
    """A bracket that is still open."""

    __slots__ = ("closer", "items", "key", "keys", "members", "start", "want")

    def __init__(self, opener: str, start: int) -> None:
        self.start = start
        self.closer = CLOSERS[opener]
        self.want = "value" if opener == "[" else "key"
        self.key: tuple[int, int, str] | None = None
        self.keys: set[str] = set()
        self.members: list[Member] = []
        self.items: list[Node] = []

    @property
    def expected(self) -> str:
        closer = f"`{self.closer}`"
        if self.want == "key":
            return f"a key or {closer}"
        if self.want == "colon":
            return "`:`"
        if self.want == "comma":
            return f"`,` or {closer}"
        return "a value" if self.key is not None else f"a value or {closer}"

    def add(self, value: Node) -> None:
        if self.closer == "]":
            self.items.append(value)
        elif self.key is not None:
            self.members.append(Member(*self.key, value))
            self.key = None
        self.want = "comma"

    def finish(self, end: int, *, closed: bool) -> Node:
        if self.key is not None:
            self.members.append(Member(*self.key, MissingNode(end, end)))
        if self.closer == "]":
            return ArrayNode(self.start, end, tuple(self.items), closed)
        return ObjectNode(self.start, end, tuple(self.members), closed)


class _Reader:
    """Reads one value at the head of a scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.stack: list[_Container] = []
        self.root: Node | None = None

    def read(self) -> Node:
        scan = self.scan
        text = scan.text
        append = scan.tokens.append
        stack = self.stack
        match = LEXEME.match
        first = scan.pos
        while (found := match(text, scan.pos)) is not None:
            start, end = found.span()
            kind = found.lastgroup
            if kind == "blank":
                append(Token(TokenKind.WHITESPACE, start, end))
            elif kind == "comment":
                append(Token(TokenKind.COMMENT, start, end))
            elif kind == "string":
                self._string(start, end, closed=is_closed(found))
            elif kind == "word":
                if not stack:
                    # Inside brackets a word has no end of its own there; outside, a sink may touch a value.
                    end = start + len(text[start:end].partition("|")[0])
                self._word(text[start:end], start, end)
            elif kind == "variable":
                self._variable(start, end)
            elif kind == "open":
                if len(stack) >= MAX_DEPTH:
                    scan.problem(f"more than {MAX_DEPTH} brackets inside each other", start, end, "fewer brackets")
                    scan.take(TokenKind.ERROR, len(text))
                    break
                self._before_value(start, end)
                append(Token(TokenKind.PUNCTUATION, start, end))
                stack.append(_Container(text[start], start))
            elif not stack:
                what = "closes nothing" if kind == "close" else "is not a value"
                scan.problem(f"`{text[start]}` {what}", start, end, "a value")
                append(Token(TokenKind.ERROR, start, end))
                self.root = MissingNode(start, end)
            elif kind == "close":
                self._close(text[start], start, end)
            else:
                self._mark(text[start], start, end)
            scan.pos = end
            if self.root is not None:
                return self.root
        else:
            if stack:
                scan.open = scan.open or tuple(container.closer for container in stack)
                scan.unfinished("the line ends inside brackets", stack[-1].expected)
            else:
                scan.unfinished("a value is missing", "a value")
        while stack:
            self._finish(len(text), closed=False)
        return self.root or MissingNode(first, scan.pos)

    def _add(self, value: Node) -> None:
        if self.stack:
            self.stack[-1].add(value)
        else:
            self.root = value

    def _finish(self, end: int, *, closed: bool) -> None:
        self._add(self.stack.pop().finish(end, closed=closed))

    def _before_value(self, start: int, end: int) -> None:
        """Put the innermost bracket in the mood for a value, whatever it wanted."""
        if not self.stack:
            return
        top = self.stack[-1]
        if top.want == "value":
            return
        self.scan.problem(f"expected {top.expected}", start, end, top.expected)
        if top.key is None and top.closer != "]":
            top.key = (start, start, "")
        top.want = "value"

    def _string(self, start: int, end: int, *, closed: bool) -> None:
        scan = self.scan
        top = self.stack[-1] if self.stack else None
        if top is not None and top.want == "comma" and top.closer != "]":
            scan.problem(f"expected {top.expected}", start, end, top.expected)
            top.want = "key"
        is_template = scan.text[start] == "$"
        if not closed:
            scan.open = tuple(container.closer for container in self.stack)
            scan.open_string(scan.text[start + is_template])
        if top is not None and top.want == "key":
            if is_template:
                scan.problem("a key has no variables in it", start, start + 1, "a key")
            scan.tokens.append(Token(TokenKind.KEY, start, end))
            self._key(top, decode(scan, start + is_template, end, closed=closed), start, end)
            return
        self._before_value(start, end)
        if is_template:
            self._add(read_template(scan, start, end, closed=closed))
            return
        value = decode(scan, start, end, closed=closed)
        warn_of_plain(scan, start, end)
        scan.tokens.append(Token(TokenKind.STRING, start, end))
        self._add(StringNode(start, end, value))

    def _variable(self, start: int, end: int) -> None:
        """Read a variable; where a key is wanted, one such as `$set` that needs no quotes either."""
        scan = self.scan
        top = self.stack[-1] if self.stack else None
        if top is not None and top.want in ("key", "comma") and top.closer != "]":
            self._word(scan.text[start:end], start, end)
            return
        self._before_value(start, end)
        scan.tokens.append(Token(TokenKind.VARIABLE, start, end))
        self._add(read_variable(scan, start, end))

    def _key(self, top: _Container, key: str, start: int, end: int) -> None:
        if key in top.keys:
            repeated_key(self.scan, key, start, end)
        top.keys.add(key)
        top.key = (start, end, key)
        top.want = "colon"

    def _word(self, word: str, start: int, end: int) -> None:
        scan = self.scan
        top = self.stack[-1] if self.stack else None
        if top is not None and top.want == "comma" and top.closer != "]":
            scan.problem(f"expected {top.expected}", start, end, top.expected)
            top.want = "key"
        if top is not None and top.want == "key":
            scan.tokens.append(Token(TokenKind.KEY, start, end))
            self._key(top, word, start, end)
            return
        self._before_value(start, end)
        kind, node = scalar(scan, word, start, end)
        scan.tokens.append(Token(kind, start, end))
        self._add(node)

    def _close(self, closer: str, start: int, end: int) -> None:
        scan = self.scan
        stack = self.stack
        top = stack[-1]
        fits = top.closer == closer
        if not fits or top.want == "colon" or (top.want == "value" and top.key is not None):
            expected = f"`{top.closer}`" if top.want == "comma" else top.expected
            scan.problem(f"expected {expected}, not `{closer}`", start, end, expected)
        scan.tokens.append(Token(TokenKind.PUNCTUATION if fits else TokenKind.ERROR, start, end))
        if not fits:
            for _ in range(closed_by(closer, [container.closer for container in stack]) - 1):
                self._finish(start, closed=True)
        self._finish(end, closed=True)

    def _mark(self, mark: str, start: int, end: int) -> None:
        scan = self.scan
        top = self.stack[-1]
        if mark == "," and top.want == "comma":
            top.want = "value" if top.closer == "]" else "key"
        elif mark != "," and top.want == "colon":
            top.want = "value"
            if mark == "=":
                scan.problem("expected `:`, not `=`", start, end, "`:`")
        else:
            scan.problem(f"expected {top.expected}, not `{mark}`", start, end, top.expected)
            if mark == "," and top.want != "key":
                if top.want == "colon" or top.closer == "]" or top.key is not None:
                    top.add(MissingNode(start, start))
                top.want = "value" if top.closer == "]" else "key"
            scan.tokens.append(Token(TokenKind.ERROR, start, end))
            return
        scan.tokens.append(Token(TokenKind.PUNCTUATION, start, end))


def read_value(scan: Scan) -> Node:
    """Read the value at the head of `scan`; tokens and problems go to it."""
    return _Reader(scan).read()


def scalar(scan: Scan, word: str, start: int, end: int) -> tuple[TokenKind, Node]:
    """The token kind and node of an unquoted word where JSON wants a value."""
    if word in KEYWORDS:
        return TokenKind.KEYWORD, KeywordNode(start, end, KEYWORDS[word])
    if number := NUMBER.fullmatch(word):
        if fault := number_fault(number):
            scan.problem(fault, start, end, "a shorter number")
        return TokenKind.NUMBER, NumberNode(start, end, word)
    node = WordNode(start, end, word)
    if word[0] == "$":
        reserve_variable(scan, word, start, end)
        return TokenKind.ERROR, node
    if wrong := misspelling(word):
        scan.problem(wrong, start, end, _SPELLING.get(word, "a finite number or null"))
        return TokenKind.ERROR, node
    severity = Severity.UNFINISHED if end == len(scan.text) else Severity.ERROR
    if _NUMBER_LIKE.match(word):
        scan.problem(f"{clip(word)} is not a JSON number", start, end, "a number such as 12, -0.5 or 1e9", severity)
    else:
        scan.problem(f'{clip(word)} is not a value; quote a text: "{clip(word)}"', start, end, "a value", severity)
    return TokenKind.ERROR, node


def json_word(word: str) -> str:
    """A word as JSON has it: `true` of `True`, `null` of `None`; any other as it is."""
    return _SPELLING.get(word, word)


def misspelling(word: str) -> str | None:
    """What is wrong with a word that other languages have where JSON has `true`, `false`, `null` or nothing."""
    if word in _SPELLING:
        return f"write `{_SPELLING[word]}`, not `{word}`"
    return f"JSON has no {word}" if word in _NOT_FINITE else None


def repeated_key(scan: Scan, key: str, start: int, end: int) -> None:
    """Warn that an object has a key twice; JSON leaves open what that means (RFC 8259, section 4)."""
    scan.problem(f"{clip(key)} is here twice; the last one counts", start, end, severity=Severity.WARNING)


def reserve_variable(scan: Scan, word: str, start: int, end: int) -> None:
    """Note that a word such as `$5` is no variable."""
    if word == "$":
        severity = Severity.UNFINISHED if end == len(scan.text) else Severity.ERROR
        scan.problem("a name is missing after the $", end, end, "the name of a variable, or _", severity)
    else:
        message = f'{clip(word)} is no variable; quote a text that begins with $: "{clip(word)}"'
        scan.problem(message, start, end, "a quoted text")


def number_fault(number: re.Match[str]) -> str | None:
    """Why a match of `NUMBER` cannot be sent, or None if it can."""
    text, fraction, exponent = number.group(0, 1, 2)
    is_long = len(text) > MAX_DIGITS and not (fraction or exponent)
    return f"an integer has at most {MAX_DIGITS} digits" if is_long else None


def clip(word: str) -> str:
    """A word short enough for a message."""
    return word if len(word) <= 40 else f"{word[:39]}…"
