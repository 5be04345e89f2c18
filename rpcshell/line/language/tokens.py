"""Tokens, problems and the error of a shell line; the tree is in `nodes`, the reading of it in the parsers."""

import enum

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
    """A line that has no meaning.

    Attributes:
        message: What is wrong, in one line.
        column: Where, counted in characters from 0.
        expected: What would have been right there; may be empty.
    """

    def __init__(self, message: str, column: int, expected: str = "") -> None:
        super().__init__(message, column, expected)
        self.message = message
        self.column = column
        self.expected = expected

    def __str__(self) -> str:
        return f"column {self.column + 1}: {self.message}"
