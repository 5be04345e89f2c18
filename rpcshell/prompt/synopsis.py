"""What a few rows beside the prompt say of the method being typed: what it does, and what goes where the cursor is.

The whole of its documentation is `:doc`'s.
"""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rpcshell.line.brief import brief, brief_json, first_line
from rpcshell.line.catalog import Method
from rpcshell.line.language import CallLine, CommandLine
from rpcshell.line.properties import Properties, Property
from rpcshell.line.schema import Resolver, alternatives, fixed_values
from rpcshell.line.schema_text import limits_text, type_text
from rpcshell.line.suggest import Spot, find_spot, inner_call
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.reading import expanded
from rpcshell.view.escape import visible
from rpcshell.view.pretty import Fragment
from rpcshell.view.width import ELLIPSIS, cells, cut, pad

Row = list[Fragment]

_TITLE: Final = "class:documentation.title"
_NAME: Final = "class:documentation.name"
_TYPE: Final = "class:documentation.type"
_HERE: Final = "class:documentation.here"
_FAINT: Final = "class:documentation.faint"
_RULE: Final = "─"
_WIDEST_NAME: Final = 20
_WIDEST_TYPE: Final = 28
_SHORTEST_TEXT: Final = 12
_MOST_FIELDS: Final = 100
_LONGEST_ABOUT: Final = 2000
_LONGEST_CELL: Final = 300
_LONGEST_DEFAULT: Final = 60


def line_synopsis(context: LineContext, text: str, cursor: int, first: str, rows: int, columns: int) -> list[Row]:
    """A few rows about what is being typed, or about what Tab would put in `first`; safe for a terminal."""
    line, moved = expanded(context, text)
    cursor += moved
    methods = context.catalog.methods
    match line.body:
        case CommandLine() as typed:
            command, words = typed.meant(context.commands.find)
            if command is None:
                return []
            start = inner_call(words, command.spec)
            inner = None if start is None else context.read(line.text[start:]).body
            if start is not None and isinstance(inner, CallLine) and inner.method in methods:
                return method_synopsis(methods[inner.method], inner, cursor - start, rows, columns)
            return command_synopsis(command.name, command.help(columns), rows, columns)
        case CallLine() as call if (method := methods.get(call.method)) is not None:
            return method_synopsis(method, call, cursor, rows, columns)
        case CallLine(params=None) if (method := methods.get(first)) is not None:
            return method_synopsis(method, None, cursor, rows, columns)
    return []


def method_synopsis(method: Method, call: CallLine | None, cursor: int, rows: int, columns: int) -> list[Row]:
    """At most `rows` rows, 2 or more, about a method; safe for a terminal. The call is None before it is begun."""
    spot = Spot((), method.params_schema, {}, "") if call is None else find_spot(call, cursor, method)
    marks = [text for text, said in (("deprecated", method.deprecated), ("idempotent", method.idempotent)) if said]
    head = _rule(method.name, spot.trail, [] if spot.trail else marks, columns)
    fields, here = _fields(method, spot, columns)
    result: Row = [(_FAINT, "→ "), (_TYPE, visible(f"{method.out or 'result'}: {type_text(method.result_schema)}"))]
    text = "" if spot.trail else visible(_about(method))
    about: list[Row] = [[("", line)] for line in textwrap.wrap(text, columns - 1)]
    room = rows - 1
    # What to type is wanted most, then in a word what it is for, what comes back, and the rest of the text.
    shown_about = min(len(about), max(room - len(fields) - 1, 1))
    shown_fields = room - shown_about
    if shown_about < len(about):
        about[shown_about - 1].append(("", ELLIPSIS))
    body = [*about[:shown_about], *_window(fields, here, shown_fields)]
    if len(body) < room:
        body.append(result)
    return [head, *([_cut(row, columns) for row in body])]


def command_synopsis(name: str, help_text: str, rows: int, columns: int) -> list[Row]:
    """A few rows about a command; safe for a terminal. There are at least 2 rows."""
    lines = [line.rstrip() for line in help_text.splitlines()]
    # The toolbar shows the usage.
    told = [line for line in lines if line and not line.startswith("Usage:")]
    if len(told) > rows - 1:
        told = [*told[: rows - 2], f"… :help {name} says more"]
    return [_rule(f":{name}", (), [], columns), *([("", cut(visible(line), columns))] for line in told)]


def _rule(name: str, trail: Iterable[str], marks: list[str], columns: int) -> Row:
    """The first row: a line with a title in it, so that what is above and below it stays apart."""
    title = cut(visible(" · ".join([name, *trail])), max(columns - 6, 1))
    row: Row = [(_FAINT, _RULE * 2 + " "), (_TITLE, title)]
    room = columns - cells(title) - 4
    text = " · ".join(marks)
    if text and len(text) + 4 < room:
        row.append((_FAINT, f" · {text}"))
        room -= len(text) + 3
    return [*row, (_FAINT, " " + _RULE * max(room, 0))]


def _about(method: Method) -> str:
    """Its summary and what the description has beyond that, as one paragraph."""
    description = method.description.strip()
    rest = description if not description.startswith(method.summary) else description[len(method.summary) :]
    return " ".join(f"{method.summary} {rest[:_LONGEST_ABOUT].partition('Args:')[0]}".split())


def _fields(method: Method, spot: Spot, columns: int) -> tuple[list[Row], int | None]:
    """A row for each field of an object, and which of them the cursor is at."""
    found = Properties(spot.schema, method.resolve, spot.present)
    listed = found.first(_MOST_FIELDS)
    if not listed:
        return ([] if spot.trail or not method.whole else _whole(method)), None
    if (at := found.get(spot.key)) is not None and all(field.name != spot.key for field in listed):
        listed[-1] = at
    names = [visible(brief(field.name, _LONGEST_CELL) + ("" if field.required else "?")) for field in listed]
    types = [visible(_type(field, method.resolve)) for field in listed]
    widest = min(max(map(cells, names)), _WIDEST_NAME)
    texts = [visible(_text(field, method.resolve)) for field in listed]
    room = columns - widest - 4
    # A type may take what the texts leave.
    most = max(_WIDEST_TYPE, room - max(map(cells, texts)))
    widest_type = min(max(map(cells, types)), most, max(room - _SHORTEST_TEXT, _SHORTEST_TEXT))
    rows: list[Row] = []
    here: int | None = None
    for field, name, type_name, text in zip(listed, names, types, texts, strict=True):
        at_cursor = field.name == spot.key
        if at_cursor:
            here = len(rows)
        shown = pad(cut(name, widest), widest)
        kind = pad(cut(type_name, widest_type), widest_type) if not at_cursor else pad(type_name, widest_type)
        rows.append([(_HERE if at_cursor else _NAME, shown), ("", "  "), (_TYPE, kind), ("", f"  {text}")])
    return rows, here


def _whole(method: Method) -> list[Row]:
    described = first_line(method.params_schema.get("description"))
    text = f"  {described}" if described else ""
    return [[(_NAME, "params"), ("", "  "), (_TYPE, visible(type_text(method.params_schema))), ("", visible(text))]]


def _type(field: Property, resolve: Resolver) -> str:
    """The type; of a name for a few values, those."""
    for branch in alternatives(field.schema, resolve):
        if fixed_values(branch) and "$ref" in field.schema:
            return type_text({"enum": list(fixed_values(branch))})
    return type_text(field.schema)


def _text(field: Property, resolve: Resolver) -> str:
    schema = resolve(field.schema)
    parts = [field.description or first_line(schema.get("description")), limits_text(schema)]
    default: Any = schema.get("default")
    if isinstance(default, str):
        parts.append(f"default {brief(default, _LONGEST_DEFAULT)}")
    elif isinstance(default, int | float) and not isinstance(default, bool):
        parts.append(f"default {brief_json(default, _LONGEST_DEFAULT)}")
    return brief(" · ".join(part for part in parts if part), _LONGEST_CELL)


def _window(rows: list[Row], here: int | None, room: int) -> Iterator[Row]:
    """As many rows as there is room for, the one at the cursor among them."""
    if len(rows) <= room:
        yield from rows
        return
    kept = max(room - 1, 1)
    first = 0 if here is None else min(max(here - kept // 2, 0), len(rows) - kept)
    yield from rows[first : first + kept]
    if room > 1:
        yield [(_FAINT, f"… {len(rows) - kept} more")]


def _cut(row: Row, columns: int) -> Row:
    shown: Row = []
    for style, text in row:
        if columns < 1:
            break
        shown.append((style, cut(text, columns)))
        columns -= cells(shown[-1][1])
    return shown
