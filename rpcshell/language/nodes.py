"""The syntax tree of a line: what the parsers build and everything else reads. No parsing and no meaning here.

Every node has the span of its text, so that an editor can point at it. Nodes are made by the hundred thousand
for a large line, which is why they are structs the garbage collector need not track: a tree has no cycles.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from rpcshell.language.tokens import Problem, Token

Form = Literal["none", "json", "pairs"]


class Node(msgspec.Struct, frozen=True, gc=False):
    """A value, or the place where one is missing: characters from `start` up to, not including, `end`."""

    start: int
    end: int


class MissingNode(Node, frozen=True, gc=False):
    """A place where no value could be read; a problem of the line says what was expected."""


class StringNode(Node, frozen=True, gc=False):
    """A quoted string; `value` has the escapes resolved."""

    value: str


class NumberNode(Node, frozen=True, gc=False):
    """A JSON number, kept as written."""

    text: str


class KeywordNode(Node, frozen=True, gc=False):
    """`true`, `false` or `null`."""

    value: bool | None


class WordNode(Node, frozen=True, gc=False):
    """Unquoted text: the value of a `key=value` pair, which the schema may type; a mistake elsewhere."""

    text: str


class ArrayNode(Node, frozen=True, gc=False):
    """An array; `closed` is false where the line ends inside it."""

    items: tuple[Node, ...]
    closed: bool


class Member(msgspec.Struct, frozen=True, gc=False):
    """A key with its value; the span is that of the key as written, quotes included."""

    key: str
    start: int
    end: int
    value: Node


class ObjectNode(Node, frozen=True, gc=False):
    """An object, in braces or angle brackets, or the pairs of a call; `closed` is false where the line ends inside."""

    members: tuple[Member, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class Empty:
    """A line with nothing to run: blank, or only a comment."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command, quotes and escapes resolved; `quoted` if any part of it was quoted."""

    text: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`:name words…`. The span of the name leaves the colon out."""

    name: str
    name_start: int
    name_end: int
    words: tuple[Word, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class CallLine:
    """`method [params]`. `start` and `end` are the span of the method name as written."""

    method: str
    start: int
    end: int
    params: Node | None
    form: Form
    problems: tuple[Problem, ...] = ()


Body = Empty | CommandLine | CallLine


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed line.

    Attributes:
        text: The line as typed.
        tokens: Stretches that cover the text in order, without gaps or overlaps.
        problems: What could not be read, in order of place.
        open: What would close the brackets that are still open, the outermost first, and then the quote of an open
            string.
        body: What the line says.
    """

    text: str
    tokens: tuple[Token, ...]
    problems: tuple[Problem, ...]
    open: tuple[str, ...]
    body: Body

    @property
    def complete(self) -> bool:
        """Whether no bracket or string is open; otherwise a new line belongs inside it."""
        return not self.open

    @property
    def blocking(self) -> Problem | None:
        """The first problem that leaves the line without a meaning."""
        return next((problem for problem in self.problems if problem.blocks), None)
