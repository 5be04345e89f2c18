"""Texts and values from a server, no longer than anybody reads: a key press has no time for more.

Nothing here recurses, so no value is nested too deeply for it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpcshell.line.json_text import scalar_text
from rpcwire import TextFloat

LONGEST_NAME = 80
"""Characters of a name that are shown beside others."""

_LONGEST_LINE = 2000
_DEEPEST = 100


class _Inner(NamedTuple):
    value: Any


def brief(text: str, most: int) -> str:
    """A text of at most so many characters, with a mark where there was more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def brief_json(value: Any, most: int) -> str:
    """A value as JSON of at most so many characters, with a mark where there was more."""
    return brief(json_beginning(value, most)[0], most)


def whole_json(value: Any, most: int) -> str | None:
    """A value as JSON, or None where that takes more than so many characters, or more brackets in brackets than 100."""
    text, whole = json_beginning(value, most)
    return text if whole else None


def few(names: list[str], most: int) -> str:
    """The first of some names with commas between them, and how many more there are."""
    listed = ", ".join(brief(name, LONGEST_NAME) for name in names[:most])
    return f"{listed} and {len(names) - most:,} more" if len(names) > most else listed


def first_line(text: object) -> str:
    """The first line of a text from a server; nothing if it is none."""
    return text[:_LONGEST_LINE].strip().partition("\n")[0].rstrip() if isinstance(text, str) else ""


def json_beginning(value: Any, most: int, blank: str = " ") -> tuple[str, bool]:
    """A value as JSON, or more of that than so many characters; and whether it is the whole and not nested too deeply.

    The blank is what follows commas and colons.
    """
    pieces: list[str] = []
    room, deepest = most, 0
    stack: list[Iterator[str | _Inner]] = [iter((_Inner(value),))]
    while stack:
        part = next(stack[-1], None)
        if part is None:
            stack.pop()
            continue
        if isinstance(part, _Inner):
            if isinstance(part.value, dict | list | tuple):
                stack.append(_members(part.value, most, blank))
                deepest = max(deepest, len(stack))
                continue
            part = _scalar(part.value, most)
        pieces.append(part)
        room -= len(part)
        if room < 0:
            return "".join(pieces), False
    return "".join(pieces), deepest <= _DEEPEST


def _members(container: Any, most: int, blank: str) -> Iterator[str | _Inner]:
    before, end = ("{", "}") if isinstance(container, dict) else ("[", "]")
    if not container:
        yield before + end
        return
    for member in container:
        yield f"{before}{_scalar(str(member), most)}:{blank}" if isinstance(container, dict) else before
        yield _Inner(container[member] if isinstance(container, dict) else member)
        before = f",{blank}"
    yield end


def _scalar(value: Any, most: int) -> str:
    if isinstance(value, TextFloat):
        return value.text
    return scalar_text(value[: most + 1] if isinstance(value, str) else value)
