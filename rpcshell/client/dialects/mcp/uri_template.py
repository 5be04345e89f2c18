"""URI templates (RFC 6570), which MCP has for resources: their variables, and what they are with values for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

_EXPRESSION: Final = re.compile(r"\{([+#./;?&]?)([^{}]+)\}")
_VARIABLE: Final = re.compile(r"([^*:]+)(?:(\*)|:([1-9][0-9]{0,3}))?")
_RESERVED: Final = ":/?#[]@!$&'()*+,;="

# Of each operator: what comes first, what between values, and whether values are named (RFC 6570, appendix A).
_OPERATORS: Final = {
    "": ("", ",", False),
    "+": ("", ",", False),
    "#": ("#", ",", False),
    ".": (".", ".", False),
    "/": ("/", "/", False),
    ";": (";", ";", True),
    "?": ("?", "&", True),
    "&": ("&", "&", True),
}


def variables(template: str) -> dict[str, bool]:
    """The names of a template's variables in their order, and whether it makes no sense without their value."""
    found: dict[str, bool] = {}
    for operator, names in _EXPRESSION.findall(template):
        for name, _, _ in _variables(names):
            found[name] = found.get(name, False) or operator in ("", "+", ".", "/")
    return found


def expand(template: str, values: Mapping[str, Any]) -> str:
    """The URI that a template is with some values: texts, other scalars as JSON has them, or lists of those."""
    return _EXPRESSION.sub(lambda match: _expanded(match[1], match[2], values), template)


def _variables(names: str) -> Iterator[tuple[str, bool, int]]:
    for text in names.split(","):
        if match := _VARIABLE.fullmatch(text.strip()):
            yield match[1], match[2] is not None, int(match[3] or 0)


def _expanded(operator: str, names: str, values: Mapping[str, Any]) -> str:
    first, between, named = _OPERATORS[operator]
    safe = _RESERVED if operator in ("+", "#") else ""
    parts: list[str] = []
    for name, exploded, length in _variables(names):
        value = values.get(name)
        if value is None or value == []:
            continue
        listed = [_text(one) for one in value] if isinstance(value, list) else [_text(value)[: length or None]]
        texts = [quote(text, safe=safe) for text in listed]
        for text in texts if exploded else [",".join(texts)]:
            bare = operator == ";" and not text
            parts.append((name if bare else f"{name}={text}") if named else text)
    return first + between.join(parts) if parts else ""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
