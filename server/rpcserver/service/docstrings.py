"""Reads handlers' docstrings: the summary, the description, and what they say about each parameter.

Google's style (`Args:`) and field lists (`:param name:`) are understood; any other text is description.
"""

from __future__ import annotations

import inspect
import re

import msgspec

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]*):\s*$")
_PARAMETERS = frozenset({"Args", "Arguments", "Parameters", "Params", "Keyword Args", "Keyword Arguments"})
_RETURNS = frozenset({"Returns", "Return"})
_ITEM = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)$")
_FIELD = re.compile(
    r"^:(?P<kind>param|parameter|arg|argument|type|returns?|rtype|raises?)(?P<subject>[^:]*):\s*(?P<text>.*)$"
)


class Docstring(msgspec.Struct, frozen=True):
    """What a docstring says.

    Attributes:
        summary: its first paragraph, in one line.
        description: the rest, without what is said of parameters and the result.
        parameters: what is said of each parameter, by name.
        returns: what is said of the result.
    """

    summary: str
    description: str
    parameters: dict[str, str]
    returns: str


def read_docstring(text: str | None) -> Docstring:
    """Read a docstring as it stands in the source.

    Args:
        text: the docstring, or None where there is none.
    """
    lines = inspect.cleandoc(text or "").splitlines()
    body: list[str] = []
    parameters: dict[str, str] = {}
    returns: list[str] = []
    index = 0
    while index < len(lines):
        section = _SECTION.match(lines[index])
        field = _FIELD.match(lines[index])
        if section is not None and section["title"] in _PARAMETERS | _RETURNS:
            block, index = _indented(lines, index + 1)
            if section["title"] in _RETURNS:
                returns += block
            else:
                parameters |= _items(block)
        elif field is not None:
            block, index = _indented(lines, index + 1)
            _take_field(field, [field["text"], *block], parameters, returns)
        else:
            body.append(lines[index])
            index += 1
    summary, _, description = "\n".join(body).strip().partition("\n\n")
    return Docstring(_joined(summary.splitlines()), description.strip(), parameters, _joined(returns))


def _take_field(field: re.Match[str], block: list[str], parameters: dict[str, str], returns: list[str]) -> None:
    words = field["subject"].split()
    if field["kind"] in {"param", "parameter", "arg", "argument"} and words:
        parameters[words[-1].lstrip("*")] = _joined(block)
    elif field["kind"] in {"return", "returns"}:
        returns += block


def _indented(lines: list[str], start: int) -> tuple[list[str], int]:
    """The block of indented and empty lines from a place on, without its indentation, and where it ends."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end][:1].isspace()):
        end += 1
    return inspect.cleandoc("\n" + "\n".join(lines[start:end])).splitlines(), end


def _items(block: list[str]) -> dict[str, str]:
    items: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block:
        item = None if line[:1].isspace() else _ITEM.match(line)
        if item is None:
            current.append(line)
        else:
            current = items.setdefault(item["name"], [])
            current.append(item["text"])
    return {name: _joined(text) for name, text in items.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
