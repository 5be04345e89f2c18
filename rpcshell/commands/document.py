"""The documentation of a method as text, made of what the server says about it."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final

from rpcshell.commands.example import example_call, own_examples
from rpcshell.line.schema import as_schema, fixed_values, properties, type_text
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.prose import prose
from rpcshell.view.width import cells, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.line.catalog import Method
    from rpcshell.line.schema import Schema

__all__ = ["columns", "describe_method"]

_MOST_TYPES: Final = 20
_MOST_EXAMPLES: Final = 5
_LONGEST_RESULT: Final = 500
_LONGEST_CELL: Final = 2000
_WIDEST_COLUMN: Final = 36
_WIDEST: Final = 100
_NARROWEST: Final = 30
_NARROWEST_LAST: Final = 16
"""Columns that the last column of a table needs; with less it goes below the others."""

_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)
_LIMITS: Final = {
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "pattern": "like {}",
    "format": "{}",
}


def describe_method(method: Method) -> str:
    """Everything about a method, in several lines without a newline at the end; safe for a terminal."""
    width = _width()
    lines = textwrap.wrap(visible(_signature(method)), width, subsequent_indent="    ")
    if method.deprecated:
        lines += ["", "Deprecated: it may go away."]
    text = method.description.strip()
    if not text.startswith(method.summary):
        text = f"{method.summary}\n\n{text}".strip()
    if text:
        lines += ["", *prose(text, width)]
    if method.params:
        lines += ["", "Params, taken whole:" if method.whole else "Params:"]
        lines += columns(
            [_param(param.name, param.schema, param.required, param.description) for param in method.params]
        )
    result = (method.out or "result", type_text(method.result_schema), " ".join(method.result_description.split()))
    lines += ["", "Result:", *columns([result])]
    for name, rows in _types(method).items():
        lines += ["", f"{name}:", *columns(rows)]
    if method.errors:
        lines += ["", "Errors:", *columns(list(_errors(method.errors)))]
    if method.idempotent:
        lines += ["", "It is safe to call again when a reply was lost."]
    lines += ["", *_examples(method)]
    return visible("\n".join(lines), newlines=True)


def columns(rows: Sequence[Sequence[str]], *, first: int = 0) -> list[str]:
    """Rows of texts from a server as aligned lines, the last column filled; safe for a terminal.

    Where there is no room for the last column beside the others, it stands below them.

    Args:
        rows: Of the same length each; columns without any text are left out.
        first: Columns of the screen that the first one takes at least.
    """
    used = [at for at in range(len(rows[0])) if any(row[at] for row in rows)]
    shown = [[visible(row[at][:_LONGEST_CELL]) for at in used] for row in rows]
    widths = [min(max(cells(row[at]) for row in shown), _WIDEST_COLUMN) for at in range(len(used) - 1)]
    if widths:
        widths[0] = max(widths[0], first)
    room = _width() - 2 - sum(widths) - 2 * len(widths)
    beside = room >= _NARROWEST_LAST or all(cells(row[-1]) <= room for row in shown)
    return [line for row in shown for line in _row(row, widths, room if beside else 0)]


def _row(row: list[str], widths: list[int], room: int) -> Iterator[str]:
    *before, last = row
    start = "  " + "".join(f"{pad(text, width)}  " for text, width in zip(before, widths, strict=True))
    margin = 2 + sum(widths) + 2 * len(widths)
    if not before or (room and cells(start) == margin):
        filled = textwrap.wrap(last, max(room, _NARROWEST_LAST)) or [""]
        yield (start + filled[0]).rstrip()
        yield from (" " * margin + line for line in filled[1:])
        return
    yield start.rstrip()
    if last:
        yield from textwrap.wrap(last, _width() - 6, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _signature(method: Method) -> str:
    """The signature, without types where it would be too long: the params are listed after it anyway."""
    if len(method.signature) <= _width():
        return method.signature
    names = ", ".join(param.name if param.required else f"{param.name}?" for param in method.params)
    return f"{method.name}({names}) -> {type_text(method.result_schema)}"


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns, _WIDEST) - 2, _NARROWEST)


def _param(name: str, schema: Schema, required: bool, description: str) -> tuple[str, str, str, str]:
    """A parameter or a member of an object: its name, its type, whether it has to be there, and what it is."""
    need = "required" if required else f"default {_json(schema['default'])}" if "default" in schema else "optional"
    limits = ", ".join(_limits(schema))
    said = " ".join(description.split())
    return name, type_text(schema), need, f"{said} ({limits})" if said and limits else said or limits


def _limits(schema: Schema) -> Iterator[str]:
    """What a schema says of a value beside its type."""
    for low, high, unit in _RANGES:
        first, last = _number(schema.get(low)), _number(schema.get(high))
        if first and last:
            yield f"{first} to {last}{unit}"
        elif first or last:
            yield f"at least {first}{unit}" if first else f"at most {last}{unit}"
    for key, text in _LIMITS.items():
        value = schema.get(key)
        if limit := value if isinstance(value, str) else _number(value):
            yield text.format(limit)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _json(value: Any) -> str:
    return visible_json(json.dumps(value, ensure_ascii=False, default=str))


def _errors(errors: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for error in errors:
        if isinstance(error, dict):
            yield str(error.get("code", "")), str(error.get("message", ""))


def _examples(method: Method) -> Iterator[str]:
    """The server's own examples with what they bring, or one that is made up."""
    own = own_examples(method)[:_MOST_EXAMPLES]
    yield "Examples:" if len(own) > 1 else "Example:"
    if not own:
        yield f"  {example_call(method)}"
    for line, about, result in own:
        if about:
            yield f"  # {' '.join(about.split())}"
        yield f"  {line}"
        if result is not None and len(text := _json(result[0])) <= _LONGEST_RESULT:
            yield f"    → {text}"


def _types(method: Method) -> dict[str, list[tuple[str, str, str, str]]]:
    """The named types that the params and the result of a method lead to, and what is in each."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
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


def _contents(schema: Schema, method: Method) -> list[tuple[str, str, str, str]]:
    members = properties(schema, method.resolve)
    if members and not fixed_values(schema):
        return [
            _param(member.name, as_schema(member.schema), member.required, member.description)
            for member in members.values()
        ]
    text = type_text(schema)
    return [(text, "", "", " ".join(str(schema.get("description", "")).split()))] if text != "any" else []
