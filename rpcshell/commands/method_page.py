"""The documentation of a method as text, made of what the server says about it, with a call of it to start from."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final

from rpcshell.line.json_text import json_text
from rpcshell.line.language import unparse
from rpcshell.line.schema import alternatives, as_schema, fixed_values, properties, type_names, type_text
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.prose import prose
from rpcshell.view.width import cells, pad
from rpcwire import TextFloat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.line.catalog import Method
    from rpcshell.line.schema import Resolver, Schema

__all__ = ["columns", "describe_method", "example_call", "own_examples"]

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
_DEPTH: Final = 6

_NUMBERED: Final = re.compile(r"example \d+")
"""A name that a server gives to an example without one."""

_VALUES: Final = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


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

    Columns without any text are left out; the first one takes at least `first` columns of the screen. Where there is no
    room for the last column beside the others, it stands below them.
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
    if isinstance(value, TextFloat):
        return str(value)
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _json(value: Any) -> str:
    return visible_json(json_text(value))


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


def example_call(method: Method) -> str:
    """A line that calls a method, ready to be pasted.

    An example of the server's own comes first; else the params are made up: those that are required, or all where
    none is.
    """
    given = _own_example(method)
    if given is not None:
        return unparse(method.name, given[0])
    if method.whole:
        schema = method.params_schema
        known = bool(type_names(schema) or fixed_values(schema) or "$ref" in schema or "anyOf" in schema)
        return unparse(method.name, _value(schema, method.resolve, 0) if known else {"a": 1})
    if not method.params:
        return unparse(method.name, {}).removesuffix(" {}")
    required = [param for param in method.params if param.required]
    params = {param.name: _value(param.schema, method.resolve, 0) for param in required or method.params}
    return unparse(method.name, params)


def own_examples(method: Method) -> list[tuple[str, str, tuple[Any] | None]]:
    """The server's own examples: a line, what it is about, and its result where that is told."""
    found = []
    for example in method.examples:
        params = _params_of(example, method)
        if params is None:
            continue
        about = next(
            (text for key in ("description", "summary", "name") if isinstance(text := example.get(key), str)), ""
        )
        result = example.get("result")
        told = (result["value"],) if isinstance(result, dict) and "value" in result else None
        line = unparse(method.name, params[0])
        found.append(
            (line if method.params else line.removesuffix(" {}"), "" if _NUMBERED.fullmatch(about) else about, told)
        )
    return found


def _own_example(method: Method) -> tuple[Any] | None:
    """The params of the first example that has any that JSON can carry."""
    return next((params for example in method.examples if (params := _params_of(example, method)) is not None), None)


def _params_of(example: Any, method: Method) -> tuple[Any] | None:
    """The params of an example pairing (OpenRPC 1.x), or None where they cannot be had."""
    listed = example.get("params") if isinstance(example, dict) else None
    if not isinstance(listed, list):
        return None
    values = [item["value"] for item in listed if isinstance(item, dict) and "value" in item]
    if len(values) != len(listed) or (not values and method.params):
        return None
    if method.whole:
        return (values[0],) if values else (None,)
    names = [item.get("name") for item in listed]
    if all(isinstance(name, str) for name in names):
        return (dict(zip(names, values, strict=True)),)
    return None


def _value(schema: Schema, resolve: Resolver, depth: int) -> Any:
    """A value that meets a schema, as plain as can be."""
    choices = alternatives(schema, resolve)
    branch = next((choice for choice in choices if type_names(choice) != {"null"}), choices[0] if choices else {})
    for key in ("examples", "enum"):
        listed = branch.get(key)
        if isinstance(listed, list) and listed:
            return listed[0]
    for key in ("const", "default"):
        if branch.get(key) is not None:
            return branch[key]
    names = type_names(branch) - {"null"}
    if "object" in names and depth < _DEPTH:
        found = properties(branch, resolve)
        return {name: _value(one.schema, resolve, depth + 1) for name, one in found.items() if one.required}
    if "array" in names and depth < _DEPTH and isinstance(branch.get("items"), dict):
        return [_value(as_schema(branch["items"]), resolve, depth + 1)]
    low = branch.get("minimum", branch.get("exclusiveMinimum"))
    if names & {"integer", "number"} and isinstance(low, int) and low >= 1:
        return low if "minimum" in branch else low + 1
    return next((value for name, value in _VALUES.items() if name in names), 1)
