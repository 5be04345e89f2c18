"""A suggestion: what a completion would put where."""

from typing import Literal

import msgspec

SuggestionKind = Literal["method", "key", "value", "command", "option", "argument", "path", "variable", "alias"]


class Suggestion(msgspec.Struct, frozen=True, gc=False):
    """One possible completion.

    Attributes:
        text: What replaces the characters from `start` up to, not including, `end`.
        start: Where the replaced text begins.
        end: Where it ends.
        display: What a menu shows for it.
        meta: One line beside it. Like `display` it may come from a server: escape it before a terminal gets it.
        kind: What it is.
    """

    text: str
    start: int
    end: int
    display: str
    meta: str
    kind: SuggestionKind
