"""The smallest parts of a JSON value as people type it, and which bracket ends which."""

import re
from collections.abc import Sequence

from rpcshell.line.language.strings import DOUBLE_QUOTED, SINGLE_QUOTED
from rpcshell.line.language.variables import PATH

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
"""Matches anywhere but at the end of a text; `lastindex` of a match is the number of its kind."""

BLANK, COMMENT, OPEN, CLOSE, MARK, STRING, VARIABLE, WORD = (
    LEXEME.groupindex[name] for name in ("blank", "comment", "open", "close", "mark", "string", "variable", "word")
)
# The groups of the two kinds of closing quotes; empty in a string that the text ends in.
DOUBLE_CLOSED, SINGLE_CLOSED = STRING + 1, STRING + 2


def closed_by(closer: str, waiting: Sequence[str]) -> int:
    """How many brackets a closing one ends, given what would close those that are open, the outermost first.

    One that fits an outer bracket ends all up to it; one that fits none was meant for the innermost.
    """
    for count, wanted in enumerate(reversed(waiting), 1):
        if wanted == closer:
            return count
    return min(len(waiting), 1)
