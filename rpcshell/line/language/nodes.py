"""The syntax tree of a line: what the parsers build and everything else reads. No parsing and no meaning here.

Every node has the span of its text, so that an editor can point at it. Nodes are made by the hundred thousand
for a large line, which is why they are structs the garbage collector need not track: a tree has no cycles. And
structs are defined in a tenth of the time that dataclasses take, which every run of a single call pays.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal, Self, TypeVar

import msgspec
from msgspec.structs import replace

from rpcshell.line.language.tokens import Problem, Token

Form = Literal["none", "json", "pairs"]
_Command = TypeVar("_Command")

_MOST_TAGS: Final = 4
"""Items of a list that may tell alternatives apart."""


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Characters of a line, from `start` up to, not including, `end`."""

    start: int
    end: int


class Node(Stretch, frozen=True, gc=False):
    """A value, or the place where one is missing."""


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


class PathStep(Stretch, frozen=True, gc=False):
    """One step of a path into a variable: a key of an object or an index of an array, and its span."""

    key: str | int


class VariableNode(Node, frozen=True, gc=False):
    """`$name`, or a place in it such as `$name.items[0]`; the name is without the dollar sign."""

    name: str
    steps: tuple[PathStep, ...]


class TemplateNode(Node, frozen=True, gc=False):
    """A string with variables in it, `$"…${name}…"`: texts with the escapes resolved, and variables between them."""

    parts: tuple[str | VariableNode, ...]


class ArrayNode(Node, frozen=True, gc=False):
    """An array; `closed` is false where the line ends inside it."""

    items: tuple[Node, ...]
    closed: bool


class Member(Stretch, frozen=True, gc=False):
    """A key with its value; the span is that of the key as written, quotes included."""

    key: str
    value: Node


class ObjectNode(Node, frozen=True, gc=False):
    """An object, in braces or angle brackets, or the pairs of a call; `closed` is false where the line ends inside."""

    members: tuple[Member, ...]
    closed: bool


class Empty(msgspec.Struct, frozen=True, gc=False):
    """A line with nothing to run: blank, or only a comment."""


class Word(Stretch, frozen=True, gc=False):
    """One word of a command, quotes and escapes resolved; `quoted` if any part of it was quoted."""

    text: str
    quoted: bool


class Assignment(Stretch, frozen=True, gc=False):
    """`name =` in front of a call or a value; the span is that of the name."""

    name: str


class Pipe(Stretch, frozen=True, gc=False):
    """`| command` at the end of a line: a shell command that gets the result. The span is that of the command."""

    command: str


class Redirect(Stretch, frozen=True, gc=False):
    """`> path` or `>> path` at the end of a line. The span is that of the path as written."""

    path: str
    append: bool


Sink = Pipe | Redirect


class CommandLine(msgspec.Struct, frozen=True, gc=False):
    """`:name words…`, and where its text goes. The span of the name leaves the colon out."""

    name: str
    name_start: int
    name_end: int
    words: tuple[Word, ...]
    sink: Sink | None = None
    problems: tuple[Problem, ...] = ()

    def meant(self, find: Callable[[str], _Command | None]) -> tuple[_Command | None, Self]:
        """The command that `find` knows by its name, if any, and the line with all of that name as one.

        The first word may belong to the name, as in `:drill kill`.
        """
        if self.words:
            first, *rest = self.words
            longer = replace(self, name=f"{self.name} {first.text}", name_end=first.end, words=tuple(rest))
            if (found := find(longer.name)) is not None:
                return found, longer
        return find(self.name), self


class CallLine(Stretch, frozen=True, gc=False):
    """`[name =] method [params]`, and where the result goes; the span is that of the method as it is written."""

    method: str
    params: Node | None
    form: Form
    assignment: Assignment | None = None
    sink: Sink | None = None
    problems: tuple[Problem, ...] = ()


class ValueLine(msgspec.Struct, frozen=True, gc=False):
    """`name = value`, or `$name` alone, and where the value goes: a line that calls nothing."""

    value: Node
    assignment: Assignment | None = None
    sink: Sink | None = None
    problems: tuple[Problem, ...] = ()


class SystemLine(msgspec.Struct, frozen=True, gc=False):
    """`!command`: a line of the system's shell, to its end."""

    sink: Pipe
    problems: tuple[Problem, ...] = ()


Body = Empty | CommandLine | CallLine | ValueLine | SystemLine


class Line(msgspec.Struct, frozen=True, gc=False):
    """A parsed line.

    The tokens cover the text in order, without gaps or overlaps. `open` has what would close the brackets that are
    still open, the outermost first, and then the quote of an open string.
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


def leading_word(line: Line) -> tuple[int, int] | None:
    """The span of the unquoted method or `:command` of a line, or None: what an alias may stand in for."""
    match line.body:
        case CallLine(start=start, end=end) if start < end and line.text[start] not in "\"'":
            return start, end
        case CommandLine(name_start=start, name_end=end):
            return start - 1, end
    return None


def scalars(members: tuple[Member, ...]) -> dict[str, str | bool | None]:
    """The members whose values are strings or keywords: what can tell apart the alternatives of a schema."""
    return _scalars((member.key, member.value) for member in members)


def scalar_items(items: tuple[Node, ...]) -> dict[str, str | bool | None]:
    """The first items of a list that are such values, by their places as texts."""
    return _scalars((str(place), item) for place, item in enumerate(items[:_MOST_TAGS]))


def _scalars(named: Iterable[tuple[str, Node]]) -> dict[str, str | bool | None]:
    found: dict[str, str | bool | None] = {}
    for name, node in named:
        if isinstance(node, StringNode | KeywordNode):
            found[name] = node.value
        elif isinstance(node, WordNode):
            found[name] = node.text
    return found
