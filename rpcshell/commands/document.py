"""The documentation of a method as text, made of what the server says about it."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.commands.example import example_call
from rpcshell.escape import visible
from rpcshell.schema import fixed_values, properties, type_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.catalog import Method, Param
    from rpcshell.schema import Property, Schema

__all__ = ["describe_method", "two_columns"]

_MOST_TYPES: Final = 20
_FIRST_COLUMN: Final = 40
_WIDEST: Final = 80
_NARROWEST: Final = 30


def describe_method(method: Method) -> str:
    """Everything about a method, in several lines without a newline at the end; safe for a terminal."""
    lines = [_signature(method)]
    if method.deprecated:
        lines.append("deprecated: it may go away")
    text = method.description.strip()
    if not text.startswith(method.summary):
        text = f"{method.summary}\n\n{text}".strip()
    if text:
        lines += ["", *_wrapped(text)]
    if method.params:
        lines += ["", "Params, taken whole:" if method.whole else "Params:"]
        lines.append(two_columns([(param.signature, _param_text(param)) for param in method.params]))
    lines += ["", "Result:", f"  {method.out or 'result'}  {type_text(method.result_schema)}"]
    for name, rows in _types(method).items():
        lines += ["", f"{name}:", two_columns(rows)]
    if method.idempotent:
        lines += ["", "It is safe to call again when a reply was lost."]
    lines += ["", "Example:", f"  {example_call(method)}"]
    return visible("\n".join(lines), newlines=True)


def two_columns(rows: list[tuple[str, str]]) -> str:
    """Rows of two texts from a server, the second ones aligned; safe for a terminal."""
    formatter = click.HelpFormatter(width=_width())
    formatter.indent()
    formatter.write_dl([(visible(first), visible(second)) for first, second in rows], col_max=_FIRST_COLUMN)
    return formatter.getvalue().rstrip("\n")


def _signature(method: Method) -> str:
    """The signature, without types where it would be too long: the params are listed after it anyway."""
    if len(method.signature) <= _width():
        return method.signature
    names = ", ".join(param.name if param.required else f"{param.name}?" for param in method.params)
    return f"{method.name}({names}) -> {type_text(method.result_schema)}"


def _wrapped(text: str) -> Iterator[str]:
    """The lines of a text, the longer ones broken between words; indented ones may be code, and stay."""
    for line in text.splitlines():
        if len(line) <= _width() or line[:1].isspace():
            yield line
        else:
            yield from textwrap.wrap(line, _width())


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns, _WIDEST) - 2, _NARROWEST)


def _param_text(param: Param) -> str:
    return _joined("required" if param.required else "", param.description)


def _joined(*parts: str) -> str:
    return " · ".join(" ".join(part.split()) for part in parts if part.strip())


def _types(method: Method) -> dict[str, list[tuple[str, str]]]:
    """The named types that the params and the result of a method lead to, and what is in each."""
    found: dict[str, list[tuple[str, str]]] = {}
    todo: list[Any] = [method.result_schema, *(param.schema for param in reversed(method.params))]
    while todo and len(found) < _MOST_TYPES:
        part = todo.pop()
        if isinstance(part, list | tuple):
            todo += reversed(part)
        elif isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                name = type_text(part)
                if name not in found:
                    schema = method.resolve(part)
                    found[name] = _contents(schema, method)
                    todo.append(dict(schema))
            else:
                todo += reversed(list(part.values()))
    return {name: rows for name, rows in found.items() if rows}


def _contents(schema: Schema, method: Method) -> list[tuple[str, str]]:
    members = properties(schema, method.resolve)
    if members and not fixed_values(schema):
        return [(_member(member), _member_text(member)) for member in members.values()]
    text = type_text(schema)
    return [(text, _joined(str(schema.get("description", ""))))] if text != "any" else []


def _member(member: Property) -> str:
    return f"{member.name}{'' if member.required else '?'}: {type_text(member.schema)}"


def _member_text(member: Property) -> str:
    return _joined(member.description)
