"""JSON values as Python source, laid out as formatters do it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_WIDTH: Final = 100
_INDENT: Final = 4


class Expression(msgspec.Struct, frozen=True):
    """A Python expression in the place of a value."""

    text: str


class Wrapped(msgspec.Struct, frozen=True):
    """A value as the only argument of a function."""

    function: str
    value: Any


def literal(value: Any, *, margin: int = 0, column: int = 0) -> str:
    """JSON as an expression, over several lines where it does not fit on one; `Expression` and `Wrapped` may be in it.

    The first line begins at a column, the further ones are indented by the margin.
    """
    flat = _flat(value)
    if isinstance(value, Wrapped):
        return f"{value.function}({literal(value.value, margin=margin, column=column + len(value.function) + 2)})"
    if len(flat) + column <= _WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return flat
    return _block(value, margin)


def call_text(function: str, arguments: list[Any], *, margin: int = 0, column: int = 0) -> str:
    """A call of a Python function, laid out as `literal` does; arguments that have a name are `Expression`."""
    flat = f"{function}({', '.join(_flat(argument) for argument in arguments)})"
    if len(flat) + column <= _WIDTH:
        return flat
    *first, last = arguments
    if isinstance(last, dict | list | tuple) and last:
        before = "".join(f"{_flat(argument)}, " for argument in first)
        return f"{function}({before}{_block(last, margin)})"
    return flat


def _flat(value: Any) -> str:
    match value:
        case Expression():
            return value.text
        case Wrapped():
            return f"{value.function}({_flat(value.value)})"
        case dict():
            return f"{{{', '.join(f'{_text(str(key))}: {_flat(inner)}' for key, inner in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(_flat(inner) for inner in value)}]"
        case str():
            return _text(value)
        case _:
            return repr(value)


def _block(container: Any, margin: int) -> str:
    inside = margin + _INDENT
    lines = []
    if isinstance(container, dict):
        for key, value in container.items():
            name = f"{_text(str(key))}: "
            lines.append(f"{name}{literal(value, margin=inside, column=inside + len(name) + 1)}")
        opening, closing = "{", "}"
    else:
        lines = [literal(value, margin=inside, column=inside + 1) for value in container]
        opening, closing = "[", "]"
    body = "".join(f"{' ' * inside}{line},\n" for line in lines)
    return f"{opening}\n{body}{' ' * margin}{closing}"


def _text(text: str) -> str:
    """A string as formatters write it: in double quotes, unless that takes more backslashes."""
    written = repr(text)
    if written[0] == "'" and '"' not in written:
        return f'"{written[1:-1]}"'
    return written
