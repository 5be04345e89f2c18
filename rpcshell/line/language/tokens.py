"""Tokens, problems and the error of a shell line, the patterns of its smallest parts, and the head that reads them.

The tree is in `nodes`, the reading of it in the parsers.
"""

import enum
import re
from collections.abc import Sequence

import msgspec


class TokenKind(enum.StrEnum):
    """What a stretch of a line is; fine enough to colour it."""

    WHITESPACE = "whitespace"
    COMMAND = "command"
    METHOD = "method"
    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    KEYWORD = "keyword"
    PUNCTUATION = "punctuation"
    OPTION = "option"
    WORD = "word"
    VARIABLE = "variable"
    OPERATOR = "operator"
    COMMENT = "comment"
    ERROR = "error"


class Token(msgspec.Struct, frozen=True, gc=False):
    """One stretch of the line: characters from `start` up to, not including, `end`."""

    kind: TokenKind
    start: int
    end: int


class Severity(enum.Enum):
    """How much a problem matters."""

    ERROR = "error"
    """Wrong as it stands; more typing at the end does not cure it."""
    UNFINISHED = "unfinished"
    """Nothing is wrong yet: the line ends too early."""
    WARNING = "warning"
    """The line can be run; it may not mean what it seems to."""


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Something the parser could not read: where it is, and what would have been right there."""

    message: str
    start: int
    end: int
    expected: str = ""
    severity: Severity = Severity.ERROR

    @property
    def blocks(self) -> bool:
        """Whether the line has no meaning because of this, so that it cannot be run."""
        return self.severity is not Severity.WARNING


class LineError(Exception):
    """A line that has no meaning from a column on, counted from 0: what was expected there, or a sentence as a hint."""

    def __init__(self, message: str, column: int, expected: str = "", *, hint: str | None = None) -> None:
        super().__init__(message, column, expected)
        self.message = message
        self.column = column
        self.expected = expected
        self.hint = hint

    def __str__(self) -> str:
        return f"column {self.column + 1}: {self.message}"


_MAX_PROBLEMS = 100

_BLANK = re.compile(r"\s+")
_COMMENT = re.compile(r"#[^\n]*")


class Scan:
    """Walks over `text` once, from left to right.

    Every character is consumed by exactly one token, which is what makes the tokens cover the line. After
    `_MAX_PROBLEMS` no more are kept: nobody reads them, and a pasted file of another kind would yield a million.
    """

    __slots__ = ("open", "pos", "problems", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []
        self.open: tuple[str, ...] = ()

    @property
    def at_end(self) -> bool:
        """Whether all of the text is consumed."""
        return self.pos >= len(self.text)

    @property
    def char(self) -> str:
        """The next character, or an empty string at the end."""
        return self.text[self.pos : self.pos + 1]

    def take(self, kind: TokenKind, end: int) -> None:
        """Consume the text up to `end` as one token; nothing if that is where the head already is."""
        if end > self.pos:
            self.tokens.append(Token(kind, self.pos, end))
            self.pos = end

    def skip_blank(self) -> None:
        """Consume blanks, newlines and comments. A comment begins at the start of the text or after a blank."""
        text = self.text
        while True:
            if blank := _BLANK.match(text, self.pos):
                self.take(TokenKind.WHITESPACE, blank.end())
            elif (comment := _COMMENT.match(text, self.pos)) and (self.pos == 0 or text[self.pos - 1].isspace()):
                self.take(TokenKind.COMMENT, comment.end())
            else:
                return

    def problem(
        self, message: str, start: int, end: int, expected: str = "", severity: Severity = Severity.ERROR
    ) -> None:
        """Note a problem at the characters from `start` to `end`."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(Problem(message, start, end, expected, severity))

    def open_string(self, quote: str) -> None:
        """Note that the text ends inside a string."""
        self.open += (quote,)
        self.unfinished("the string is not closed", quote)

    def unfinished(self, message: str, expected: str) -> None:
        """Note that the text ends too early."""
        end = len(self.text)
        self.problem(message, end, end, expected, Severity.UNFINISHED)


# `\\.?` lets a backslash be the last character of an unfinished line. The groups are the closing quotes, if any.
DOUBLE_QUOTED = r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?P<double>"?)'
SINGLE_QUOTED = r"'[^'\\]*+(?:\\.?[^'\\]*+)*+(?P<single>'?)"

QUOTED = re.compile(f"{DOUBLE_QUOTED}|{SINGLE_QUOTED}", re.DOTALL)

_ESCAPE = r"(?s)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.?)"
_SIMPLE = dict(zip("\"'\\/bfnrt", "\"'\\/\b\f\n\r\t", strict=True))


def is_closed(match: re.Match[str]) -> bool:
    """Whether a match with a quoted string has the closing quote of that."""
    return bool(match["double"] or match["single"])


def read_quoted(scan: Scan, quoted: re.Match[str]) -> str:
    """The meaning of what a match of `QUOTED` found; a string that the text ends in is a problem."""
    closed = is_closed(quoted)
    value = decode(scan, *quoted.span(), closed=closed)
    if not closed:
        scan.open_string(quoted[0][0])
    return value


def decode(scan: Scan, start: int, end: int, *, closed: bool) -> str:
    """The meaning of the string at `start` to `end`, quotes included, in which newlines may stand for themselves."""
    return decode_part(scan, start + 1, end - 1 if closed else end)


def decode_part(scan: Scan, first: int, last: int, *, template: bool = False) -> str:
    """The meaning of a part of a quoted string, without quotes; in a template a dollar sign may be escaped."""
    raw = scan.text[first:last]
    if "\\" not in raw:
        return raw

    def resolve(match: re.Match[str]) -> str:
        high, low, single, simple = match.groups()
        at = first + match.start()
        if high is not None:
            return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
        if single is not None:
            code = int(single, 16)
            if 0xD800 <= code <= 0xDFFF:
                scan.problem("half of a surrogate pair is not text", at, at + 6, "a pair such as \\ud83d\\ude00")
                return "\ufffd"
            return chr(code)
        if simple in _SIMPLE:
            return _SIMPLE[simple]
        if simple == "" or (simple == "$" and template):
            return simple
        if simple == "u":
            expected = "\\u and four hexadecimal digits"
            scan.problem("a \\u escape has four hexadecimal digits", at, at + 2, expected)
        else:
            scan.problem(f"unknown escape \\{simple}", at, at + 2, 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u')
        return simple

    return re.sub(_ESCAPE, resolve, raw)


NAME = r"[^\W\d]\w*"

# Strings in a path end with their row, so that a path never spans rows; one without an end is none.
_INDEX = r"""\[(?:"(?:[^"\\\n]|\\[^\n])*+"|'(?:[^'\\\n]|\\[^\n])*+'|[^\[\]{}<>,"'\s|]*+)\]?"""

PATH = rf"{NAME}(?:\.[\w-]*+|{_INDEX})*+"
"""What follows the dollar sign, finished or not."""

REFERENCE = rf"\${PATH}"

MAX_DEPTH = 256
CLOSERS = {"{": "}", "[": "]", "<": ">"}

LEXEME = re.compile(
    rf"""(?P<blank>\s+)
    |(?P<comment>(?<!\S)\#[^\n]*)
    |(?P<open>[\[{{<])
    |(?P<close>[\]}}>])
    |(?P<mark>[,:=])
    |(?P<string>\$?(?:{DOUBLE_QUOTED}|{SINGLE_QUOTED}))
    |(?P<variable>\${PATH})
    |(?P<word>[^\s\[\]{{}}<>,:="']+)""",
    re.DOTALL | re.VERBOSE,
)
"""Matches anywhere but at the end of a text; `lastgroup` of a match is its kind."""


def closed_by(closer: str, waiting: Sequence[str]) -> int:
    """How many brackets a closing one ends, given what would close those that are open, the outermost first.

    One that fits an outer bracket ends all up to it; one that fits none was meant for the innermost.
    """
    for count, wanted in enumerate(reversed(waiting), 1):
        if wanted == closer:
            return count
    return min(len(waiting), 1)
