"""The line of a call from words of the command line, from which the system's shell has taken the quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import UsageError
from rpcshell.line.language import (
    CallLine,
    CommandLine,
    ObjectNode,
    SystemLine,
    TokenKind,
    key_text,
    parse,
    quote,
    statements,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_KEY: Final = r"""^$|[\s{}\[\]<>,:"']"""


def call_of_words(method: str, params: Sequence[str]) -> str:
    """The line of a call, in which a param is a param whatever is in it: words may come from anywhere."""
    if not all(word.strip() for word in (method, *params)):
        raise UsageError("a METHOD and its PARAMs are not empty", hint="an empty text is '\"\"' or name=")
    line = " ".join([method, *map(_param, params)])
    if params and not _is_alone(line):
        hint = "pipes, files, names and comments are for whole lines: -c LINE"
        raise UsageError(f"the words behind {method} are more than params", hint=hint)
    return line


def _is_alone(text: str) -> bool:
    """Whether a line is a command, or a call with nothing beside it, or has no meaning, which is told better later."""
    line = parse(text)
    if len(statements(line, lambda _: True)) > 1:
        return False
    body = line.body
    if line.blocking is not None or isinstance(body, CommandLine | SystemLine):
        return True
    alone = isinstance(body, CallLine) and body.assignment is None and body.sink is None
    return alone and not any(token.kind is TokenKind.COMMENT for token in line.tokens)


def _param(word: str) -> str:
    """A param as a line has it: a text that the system's shell has taken the quotes from gets some again."""
    key, equals, value = word.partition("=")
    if equals and key.endswith(":") and not re.search(_NO_KEY, key[:-1]):
        # As HTTPie has what is JSON.
        pair = f"{key_text(key[:-1])}={value}"
        if value and not _is_pair(pair):
            raise UsageError(f"what is behind {key}= is not one value in JSON", hint=f"{key[:-1]}=… takes any text")
        return pair
    if not equals or re.search(_NO_KEY, key):
        return word
    return word if _is_pair(word) else f"{key_text(key)}={quote(value)}"


def _is_pair(text: str) -> bool:
    """Whether a text is one pair of a call, and nothing else."""
    line = parse(f"method {text}")
    if line.problems or not isinstance(line.body, CallLine) or line.body.form != "pairs":
        return False
    pairs = line.body.params
    return isinstance(pairs, ObjectNode) and len(pairs.members) == 1 and pairs.members[0].value.end == len(line.text)
