"""The reading head over a line: position, tokens and problems gathered so far. It knows no grammar."""

import re

from rpcshell.line.language.tokens import Problem, Severity, Token, TokenKind

MAX_PROBLEMS = 100

_BLANK = re.compile(r"\s+")
_COMMENT = re.compile(r"#[^\n]*")


class Scan:
    """Walks over `text` once, from left to right.

    Every character is consumed by exactly one token, which is what makes the tokens cover the line. After
    `MAX_PROBLEMS` no more are kept: nobody reads them, and a pasted file of another kind would yield a million.
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
            elif (comment := _COMMENT.match(text, self.pos)) and self._after_blank():
                self.take(TokenKind.COMMENT, comment.end())
            else:
                return

    def _after_blank(self) -> bool:
        return self.pos == 0 or self.text[self.pos - 1].isspace()

    def problem(
        self, message: str, start: int, end: int, expected: str = "", severity: Severity = Severity.ERROR
    ) -> None:
        """Note a problem at the characters from `start` to `end`."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, start, end, expected, severity))

    def open_string(self, quote: str) -> None:
        """Note that the text ends inside a string."""
        self.open += (quote,)
        self.unfinished("the string is not closed", quote)

    def unfinished(self, message: str, expected: str) -> None:
        """Note that the text ends too early."""
        end = len(self.text)
        self.problem(message, end, end, expected, Severity.UNFINISHED)
