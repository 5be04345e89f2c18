"""The tokens of a line as prompt_toolkit draws them, the brackets that belong together, and what hides in it.

What is what in a line is the parser's to say.
"""

from __future__ import annotations

from bisect import bisect
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.lexers import Lexer

from rpcshell.prompt.context import LONGEST_LIVE
from rpcshell.view.escape import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.layout.processors import TransformationInput

    from rpcshell.line.catalog import Catalog
    from rpcshell.line.language import Line, Token

# By the texts of `TokenKind`, which is not imported here: the first prompt comes up without the parser.
_STYLES: Final = {
    "whitespace": "",
    "command": "class:command",
    "method": "class:method",
    "key": "class:pygments.name.tag",
    "string": "class:pygments.literal.string.double",
    "number": "class:pygments.literal.number",
    "keyword": "class:pygments.keyword.constant",
    "punctuation": "class:pygments.punctuation",
    "option": "class:option",
    "word": "",
    "variable": "class:variable",
    "operator": "class:pygments.operator",
    "comment": "class:pygments.comment",
    "error": "class:pygments.error",
}
_CLOSERS: Final = {"{": "}", "[": "]", "<": ">"}


class LineLexer(Lexer):
    """Colours a line; a method that the target does not have looks different.

    prompt_toolkit remembers what a lexer returned by the lexer's identity, so another catalog takes another lexer.
    """

    def __init__(self, read: Callable[[str], Line], catalog: Catalog) -> None:
        self.catalog = catalog
        self._read = read

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The pieces of each row."""
        rows: list[StyleAndTextTuples] = [[]]
        text = document.text
        if len(text) > LONGEST_LIVE:
            return lambda number: [("", document.lines[number])]
        for token in self._read(text).tokens:
            style = self._style(token, text)
            first, *more = text[token.start : token.end].split("\n")
            rows[-1].append((style, first))
            rows += [[(style, part)] for part in more]
        return lambda number: rows[number] if number < len(rows) else []

    def _style(self, token: Token, text: str) -> str:
        methods = self.catalog.methods
        if token.kind == "method" and methods and text[token.start : token.end].strip("\"'") not in methods:
            return "class:method class:method.unknown"
        return _STYLES[token.kind]


class Marks(Processor):
    """Marks stretches of the line; `find` gives the start, end and style of each in a text with a cursor in it."""

    def __init__(self, find: Callable[[str, int], Sequence[tuple[int, int, str]]]) -> None:
        self._find = find

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The row whose characters have the styles of their marks too."""
        row = transformation_input
        document, fragments = row.document, row.fragments
        marks = () if get_app().is_done else self._find(document.text, document.cursor_position)
        if not marks:
            return Transformation(fragments)
        first = document.translate_row_col_to_index(row.lineno, 0)
        last = first + len(document.lines[row.lineno])
        for start, end, mark in marks:
            for place in range(max(start, first), min(end, last)):
                fragments = explode_text_fragments(fragments)
                column = row.source_to_display(place - first)
                if column < len(fragments):
                    style, text, *_ = fragments[column]
                    fragments[column] = (f"{style} {mark} ", text)
        return Transformation(fragments)


class HiddenCharacters(Processor):
    r"""Shows what would reorder or hide what is read as escapes, such as `\u202e`; each is one place for the cursor."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The row with what is hidden in it written as escapes."""
        fragments = transformation_input.fragments
        escapes = dict(hidden(fragment_list_to_text(fragments)))
        if not escapes:
            return Transformation(fragments)
        shown: StyleAndTextTuples = []
        columns = [0]
        for place, (style, text, *_) in enumerate(explode_text_fragments(fragments)):
            written = escapes.get(place, text)
            shown.append((style, written))
            columns.append(columns[-1] + len(written))
        last = len(columns) - 1
        return Transformation(shown, lambda place: columns[min(place, last)], lambda at: bisect(columns, at) - 1)


def bracket_marks(read: Callable[[str], Line], text: str, cursor: int) -> list[tuple[int, int, str]]:
    """Marks for the bracket at the cursor and the one it belongs to; brackets in strings are none."""
    around = text[max(cursor - 1, 0) : cursor + 1]
    if len(text) > LONGEST_LIVE or not any(character in "{}[]<>" for character in around):
        return []
    pair = matching_brackets(read(text), cursor)
    return [(at, at + 1, f"class:matching-bracket.{'cursor' if at == cursor else 'other'}") for at in pair]


def matching_brackets(line: Line, cursor: int) -> tuple[int, ...]:
    """The places of the bracket at the cursor, or else just before it, and of its other half; or nothing."""
    halves: dict[int, int] = {}
    still_open: list[int] = []
    for token in line.tokens:
        if token.kind != "punctuation":
            continue
        character = line.text[token.start]
        if character in _CLOSERS:
            still_open.append(token.start)
        elif still_open and character == _CLOSERS[line.text[still_open[-1]]]:
            opener = still_open.pop()
            halves |= {opener: token.start, token.start: opener}
    return next(((place, halves[place]) for place in (cursor, cursor - 1) if place in halves), ())


def open_brackets(line: Line) -> int:
    """How many brackets the end of a line is inside of."""
    return sum(closer in _CLOSERS.values() for closer in line.open)
