"""Calls as other tools have them, `add 1 2`, `add(1, 2)`, `add --a 1` or `add a:=1`: lines that this language refuses.

What such a line would be in this language is `rpcshell.line.advice`'s to say.
"""

import re
from collections.abc import Collection, Sequence

import msgspec

_CALL = re.compile(r"""\s*(?P<method>[^\s()\[\]{}<>"',;=|]+)(?P<rest>.*)""", re.DOTALL)
_PIECE = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')
    |(?P<open>[\[{(<])
    |(?P<close>[\]})>])
    |(?P<between>[\s,]+)
    |(?P<plain>[^\s,"'\[\]{}()<>]+)""",
    re.DOTALL | re.VERBOSE,
)
_OPTION = re.compile(r"--?(?P<name>[^\W\d][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
_PAIR = re.compile(r"(?P<name>[^\W\d][\w.-]*)(?P<mark>:=|[:=])(?P<value>.*)", re.DOTALL)


class ForeignCall(msgspec.Struct, frozen=True):
    """A method and its arguments, each with its name where it has one, and its value as it was typed."""

    method: str
    arguments: tuple[tuple[str | None, str], ...]


def foreign_method(text: str) -> str | None:
    """The method that a line begins with, or None."""
    found = _CALL.match(text)
    return None if found is None else found["method"]


def read_foreign(text: str, names: Collection[str]) -> ForeignCall | None:
    """Read a call of a method whose parameters have these names; None where no tool writes a call so."""
    found = _CALL.match(text)
    if found is None:
        return None
    rest = found["rest"].strip().removesuffix(";").rstrip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    words = _words(rest)
    if words is None:
        return None
    if len(words) % 2 == 0 and words and all(word in names for word in words[::2]):
        return ForeignCall(found["method"], tuple(zip(words[::2], words[1::2], strict=True)))
    arguments = _arguments(words, names)
    return None if arguments is None else ForeignCall(found["method"], arguments)


def _words(text: str) -> list[str] | None:
    """What stands between blanks and commas outside of quotes and brackets, or None where these are not closed."""
    words: list[str] = []
    word, depth, position = "", 0, 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            return None
        position = piece.end()
        depth += (piece["open"] is not None) - (piece["close"] is not None)
        if depth == 0 and piece["between"] is not None:
            words += [word] if word else []
            word = ""
        else:
            word += piece[0]
    words += [word] if word else []
    return words if depth == 0 else None


def _arguments(words: Sequence[str], names: Collection[str]) -> tuple[tuple[str | None, str], ...] | None:
    found: list[tuple[str | None, str]] = []
    left = iter(words)
    for word in left:
        name: str | None = None
        value: str | None = word
        if (option := _OPTION.fullmatch(word)) is not None:
            name, value = option["name"], option["value"]
        elif (pair := _PAIR.fullmatch(word)) is not None and (pair["mark"] != ":" or pair["name"] in names):
            name, value = pair["name"], pair["value"] or None
        if value is None:
            value = next(left, None)
        elif value == "=" and found and found[-1][0] is None:
            # What comes before is a name then, as in `a = 1`.
            name, value = found.pop()[1], next(left, None)
        if value is None:
            return None
        found.append((name, value))
    return tuple(found)
