"""The documentation of a method as text, made of what the server says about it, with a call of it to start from."""

from __future__ import annotations

import re
import textwrap
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from rpcshell.line.brief import LONGEST_NAME, brief, brief_json, few, whole_json
from rpcshell.line.language import method_text, unparse
from rpcshell.line.properties import Properties
from rpcshell.line.schema import as_schema, fixed_values, likeliest, type_names
from rpcshell.line.schema_text import limits_text, type_text
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.prose import prose
from rpcshell.view.width import cells, pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rpcshell.line.catalog import Method
    from rpcshell.line.schema import Resolver, Schema

_MOST_TYPES: Final = 20
_MOST_PARTS: Final = 20_000
"""Parts of schemas that are looked through for named types."""

_MOST_ROWS: Final = 200
"""Of a table: params, members of a type, errors."""

_MOST_NAMED: Final = 40
_MOST_EXAMPLES: Final = 5
_LONGEST_EXAMPLE: Final = 10_000
_MOST_MADE: Final = 200
"""Values in an example that is made up: types that refer to each other would have millions."""

_LONGEST_DEFAULT: Final = 200
_LONGEST_RESULT: Final = 500
_LONGEST_CELL: Final = 2000
_WIDEST_COLUMN: Final = 36
_WIDEST: Final = 100
_NARROWEST: Final = 30

_BELOW: Final = " " * 6
"""Before what stands below the columns of its row."""

_NARROWEST_LAST: Final = 16
"""Columns that the last column of a table needs; with less it goes below the others."""

_DEPTH: Final = 6
_LARGEST_NUMBER: Final = 10**30

_NUMBERED: Final = re.compile(r"example \d+")
"""A name that a server gives to an example without one."""

_VALUES: Final = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}

# JSON Schema Validation 2020-12, sections 7.3 and 8.3, and msgspec's own.
_FORMATTED: Final = {
    "date-time": "2030-01-31T12:30:00Z",
    "date": "2030-01-31",
    "time": "12:30:00Z",
    "duration": "PT90S",
    "email": "user@example.com",
    "hostname": "host.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "decimal": "1.50",
    "base64": "dGV4dA==",
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
        how = ", taken whole" if method.whole else ", by position" if method.by_position else ""
        lines += ["", f"Params{how}:"]
        shown = method.params[:_MOST_ROWS]
        lines += columns([_param(one.name, one.schema, one.required, one.description) for one in shown])
        lines += _left_out(len(method.params))
    elif method.untold:
        lines += ["", "The server does not tell what params it takes."]
    result = (method.out or "result", type_text(method.result_schema), _said(method.result_description))
    lines += ["", "Result:", *columns([result])]
    for name, rows in _types(method).items():
        lines += ["", f"{name}:", *rows]
    if method.errors:
        lines += ["", "Errors:", *columns(list(_errors(method.errors[:_MOST_ROWS]))), *_left_out(len(method.errors))]
    if method.idempotent:
        lines += ["", "It is safe to call again when a reply was lost."]
    lines += _examples(method)
    return visible("\n".join(lines), newlines=True)


def columns(rows: Sequence[Sequence[str]], *, first: int = 0) -> list[str]:
    """Rows of texts from a server as aligned lines, the last column filled; safe for a terminal.

    Columns without any text are left out; the first one takes at least `first` columns of the screen. Where there is no
    room for the last column beside the others, it stands below them.
    """
    used = [at for at in range(len(rows[0])) if any(row[at] for row in rows)] if rows else []
    if not used:
        return []
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
    yield from textwrap.wrap(
        start.strip(),
        _width(),
        initial_indent="  ",
        subsequent_indent=_BELOW,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if last:
        yield from textwrap.wrap(last, _width() - 6, initial_indent=_BELOW, subsequent_indent=_BELOW)


def _signature(method: Method) -> str:
    """The signature, without types where it would be too long: the params are listed after it anyway."""
    if len(method.signature) <= _width():
        return method.signature
    names = few([param.name if param.required else f"{param.name}?" for param in method.params], _MOST_NAMED)
    return f"{brief(method.name, LONGEST_NAME)}({names}){method.result_text}"


def _left_out(count: int) -> list[str]:
    return [f"  … {count - _MOST_ROWS:,} more"] if count > _MOST_ROWS else []


def _said(text: object) -> str:
    """As much of a description as is shown in a table, on one line."""
    return " ".join(text[:_LONGEST_CELL].split()) if isinstance(text, str) else ""


def _width() -> int:
    return max(min(columns_of_terminal(), _WIDEST) - 2, _NARROWEST)


def _param(name: str, schema: Schema, required: bool, description: str) -> tuple[str, str, str, str]:
    """A parameter or a member of an object: its name, its type, whether it has to be there, and what it is."""
    default = f"default {_json(schema['default'], _LONGEST_DEFAULT)}" if "default" in schema else "optional"
    need = "required" if required else default
    limits = limits_text(schema, _LONGEST_DEFAULT)
    said = _said(description)
    return name, type_text(schema), need, f"{said} ({limits})" if said and limits else said or limits


def _json(value: Any, most: int) -> str:
    return visible_json(brief_json(value, most))


def _errors(errors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for error in errors:
        code, message = error.get("code", ""), error.get("message", "")
        yield (
            code if isinstance(code, str) else _json(code, LONGEST_NAME),
            message if isinstance(message, str) else _json(message, _LONGEST_CELL),
        )


def _examples(method: Method) -> Iterator[str]:
    """The server's own examples with what they bring, or one that is made up."""
    own = own_examples(method)
    if method.untold and not own:
        return
    yield ""
    yield "Examples:" if len(own) > 1 else "Example:"
    if not own:
        yield f"  {example_call(method)}"
    for line, about, result in own:
        if about:
            yield f"  # {' '.join(about.split())}"
        yield f"  {line}"
        if result is not None and (text := whole_json(result[0], _LONGEST_RESULT)) is not None:
            yield f"    → {visible_json(text)}"


def _types(method: Method) -> dict[str, list[str]]:
    """The named types that the params and the result of a method lead to, and the rows that say what is in each."""
    found: dict[str, list[str]] = {}
    todo: list[Any] = [method.result_schema, *(param.schema for param in reversed(method.params[:_MOST_ROWS]))]
    for _ in range(_MOST_PARTS):
        if not todo or len(found) >= _MOST_TYPES:
            break
        part = todo.pop()
        if isinstance(part, list | tuple):
            todo += reversed(part[:_MOST_PARTS])
        elif isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                name = type_text(part)
                if name not in found:
                    schema = method.resolve(part)
                    found[name] = _contents(schema, method)
                    todo.append(dict(schema))
            else:
                todo += reversed(list(islice(part.values(), _MOST_PARTS)))
    if todo and len(found) >= _MOST_TYPES:
        found["Further types"] = ["  … that these lead to are left out"]
    return {name: rows for name, rows in found.items() if rows}


def _contents(schema: Schema, method: Method) -> list[str]:
    members = Properties(schema, method.resolve)
    if members and not fixed_values(schema):
        shown = members.first(_MOST_ROWS)
        rows = [_param(one.name, as_schema(one.schema), one.required, one.description) for one in shown]
        return [*columns(rows), *_left_out(len(members))]
    text = type_text(schema)
    return columns([(text, "", "", _said(schema.get("description")))]) if text != "any" else []


def example_call(method: Method) -> str:
    """A line that calls a method, ready to be pasted.

    An example of the server's own comes first; else the params are made up: those that are required, or all where
    none is.
    """
    if (given := next(_usable_examples(method), None)) is not None:
        return unparse(method.name, given[1][0])
    maker = _ExampleMaker(method.resolve)
    if method.whole and not method.untold:
        schema = method.params_schema
        known = bool(type_names(schema) or fixed_values(schema) or "$ref" in schema or "anyOf" in schema)
        return unparse(method.name, maker.value(schema, 0) if known else {"a": 1})
    if not method.params:
        return method_text(method.name)
    required = [param for param in method.params if param.required]
    members = ((param.name, param.schema) for param in required or method.params)
    return unparse(method.name, method.arranged(maker.members(members, 0)))


def own_examples(method: Method) -> list[tuple[str, str, tuple[Any] | None]]:
    """The first of the server's own examples: a line, what it is about, and its result where that is told.

    Those that are too long to be shown are left out.
    """
    found = []
    for example, params in islice(_usable_examples(method), _MOST_EXAMPLES):
        texts = (example.get(key) for key in ("description", "summary", "name"))
        about = next((text for text in texts if isinstance(text, str)), "")
        result = example.get("result")
        told = (result["value"],) if isinstance(result, dict) and "value" in result else None
        line = unparse(method.name, params[0])
        line = line if method.params else line.removesuffix(" {}")
        found.append((line, "" if _NUMBERED.fullmatch(about) else about, told))
    return found


def _usable_examples(method: Method) -> Iterator[tuple[Mapping[str, Any], tuple[Any]]]:
    """The examples that have params which are short enough to be typed, and those params."""
    for example in islice(method.examples, _MOST_ROWS):
        params = _params_of(example, method)
        if params is not None and whole_json(params[0], _LONGEST_EXAMPLE) is not None:
            yield example, params


def _params_of(example: Mapping[str, Any], method: Method) -> tuple[Any] | None:
    """The params of an example pairing (OpenRPC 1.x), or None where they cannot be had."""
    listed = example.get("params")
    if not isinstance(listed, list) or len(listed) > _MOST_MADE:
        return None
    values = [item["value"] for item in listed if isinstance(item, dict) and "value" in item]
    if len(values) != len(listed) or (not values and method.params):
        return None
    if method.whole:
        return (values[0],) if values else (None,)
    # The names are those of the examples; where they are those of the params too, some of these may be left out.
    names = [str(item.get("name")) for item in listed]
    known = [param.name for param in method.params]
    if len(set(names)) < len(names) or not set(names) <= set(known):
        names = known[: len(values)]
    if len(values) > len(names):
        return None
    return (method.arranged(dict(zip(names, values, strict=True))),)


class _ExampleMaker:
    """Makes values that meet schemas, as plain as can be, and no more than a person can read."""

    def __init__(self, resolve: Resolver) -> None:
        self._resolve = resolve
        self._left = _MOST_MADE

    def members(self, members: Iterable[tuple[str, Schema]], depth: int) -> dict[str, Any]:
        """An object; what is too much is left out."""
        made: dict[str, Any] = {}
        for name, schema in members:
            if self._left <= 0:
                break
            made[name[:_LONGEST_CELL]] = self.value(schema, depth)
        return made

    def value(self, schema: Schema, depth: int) -> Any:
        """One value."""
        self._left -= 1
        branch = likeliest(schema, self._resolve)
        for key in ("examples", "enum"):
            listed = branch.get(key)
            if isinstance(listed, list) and listed and _is_short(listed[0]):
                return listed[0]
        for key in ("const", "default"):
            if branch.get(key) is not None and _is_short(branch[key]):
                return branch[key]
        names = type_names(branch) - {"null"}
        if "object" in names and depth < _DEPTH:
            found = Properties(branch, self._resolve).first(_MOST_ROWS)
            return self.members(((one.name, one.schema) for one in found if one.required), depth + 1)
        if "array" in names and depth < _DEPTH and isinstance(branch.get("items"), dict):
            return [self.value(as_schema(branch["items"]), depth + 1)]
        low = branch.get("minimum", branch.get("exclusiveMinimum"))
        if names & {"integer", "number"} and isinstance(low, int) and 1 <= low < _LARGEST_NUMBER:
            return low if "minimum" in branch else low + 1
        if "string" in names:
            said = (branch.get("format"), branch.get("contentEncoding"))
            return next((_FORMATTED[word] for word in said if isinstance(word, str) and word in _FORMATTED), "text")
        return next((value for name, value in _VALUES.items() if name in names), 1)


def _is_short(value: Any) -> bool:
    return whole_json(value, _LONGEST_RESULT) is not None
