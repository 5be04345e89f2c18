"""A call to fill in: the params of a method as text, and the fields in it where values go. Made of the schema alone."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rpcshell.line.brief import LONGEST_NAME, brief, few, first_line, whole_json
from rpcshell.line.catalog import Method
from rpcshell.line.language import CallLine, Line, escape, quote
from rpcshell.line.masking import MASKED
from rpcshell.line.properties import Properties
from rpcshell.line.schema import Schema, as_schema, fixed_values, likeliest, type_names
from rpcshell.line.schema_text import type_text

_DEPTH: Final = 4
_MOST_PARAMS: Final = 8
"""Of a method with more, only those that are required are asked for."""

_WIDEST: Final = 72
"""Characters on one row; what is longer gets a row for each param."""

_LONGEST_SHOWN: Final = 24
_MOST_FIELDS: Final = 40
"""What is required beyond that is left out: nobody fills in more, and types that refer to each other have millions."""

_LONGEST_TEMPLATE: Final = 4000
_MOST_CHOICES: Final = 100
_MOST_NAMED: Final = 20
_MOST_MEMBERS: Final = 1000
_LONGEST_DEFAULT: Final = 1000
_LONGEST_ABOUT: Final = 300
_INDENT: Final = "  "


class TemplateField(msgspec.Struct, frozen=True):
    """Where a value goes.

    `start` and `end` are those of its default in the text; `shown` is seen while there is none. `quoted` means that it
    is the inside of a string literal. Choices are as they are typed.
    """

    start: int
    end: int
    shown: str
    about: str
    quoted: bool = False
    choices: tuple[str, ...] = ()

    def unquoted(self) -> "TemplateField":
        """The same, where no string literal is around it any more."""
        return replace(self, quoted=False)


class Template(msgspec.Struct, frozen=True):
    """The params of a call, to be filled in. There is one field at least."""

    text: str
    fields: tuple[TemplateField, ...]


def secrets_left_out(text: str, places: Sequence[int]) -> tuple[str, list[TemplateField]]:
    """A line from the history without what stands in the place of its secrets, and an empty field for each of these.

    The places are where it has `MASKED`, from the first to the last.
    """
    fields: list[TemplateField] = []
    for place in reversed(places):
        before, after = text[:place], text[place + len(MASKED) :]
        quoted = before[-1:] == after[:1] == '"'
        start = place - len(MASKED) * (len(places) - 1 - len(fields))
        fields.append(TemplateField(start, start, "secret", "the secret that was not kept in the history", quoted))
        text = before + after
    return text, fields[::-1]


def template_behind(line: Line, find: Callable[[str], Method | None], width: int) -> Template | None:
    """What there is to fill in behind the name of a method that nothing follows; `find` gives the method of a name."""
    call = line.body
    if not isinstance(call, CallLine) or call.params is not None or line.text[call.end :].strip():
        return None
    method = find(call.method)
    return None if method is None else call_template(method, width)


def call_template(method: Method, width: int = _WIDEST) -> Template | None:
    """The params of a method, to be filled in: what is required, and what has a plain default.

    None where there is nothing to fill in, or where nothing is known of it. What is wider than `width` characters gets
    a row for each param.
    """
    if not method.params:
        return None
    if method.whole and not type_names(likeliest(method.params_schema, method.resolve)):
        return None
    found = _build(method, broken=False)
    if len(found.text) + len(method.name) >= width:
        found = _build(method, broken=True)
    return found if found.fields else None


def _build(method: Method, *, broken: bool) -> Template:
    builder = _Builder(method, broken=broken)
    members = ((param.name, param.schema, param.required, first_line(param.description)) for param in method.params)
    if method.whole:
        builder.value(method.params_schema, method.params[0].name, 0)
    elif method.by_position:
        builder.items(members)
    else:
        builder.object(members, 0)
    return Template(builder.text, tuple(builder.fields))


class _Builder:
    def __init__(self, method: Method, *, broken: bool) -> None:
        self._method = method
        self._broken = broken
        self.text = ""
        self._indent = 0
        self.fields: list[TemplateField] = []

    def object(self, members: Iterable[tuple[str, Schema, bool, str]], depth: int, about: str = "") -> None:
        """An object of what is required and of what has a plain default; if that is nothing, a field in braces."""
        members = [member for member in islice(members, _MOST_MEMBERS) if len(member[0]) <= _LONGEST_DEFAULT]
        many = len(members) > _MOST_PARAMS
        asked = [
            (name, schema, about)
            for name, schema, required, about in members
            if required or (depth == 0 and not many and self._default(schema) is not None)
        ]
        self._listed("{}", asked, [name for name, *_ in members], depth, about)

    def items(self, members: Iterable[tuple[str, Schema, bool, str]]) -> None:
        """Params by position: those up to the last that is required or has a plain default."""
        members = list(islice(members, _MOST_MEMBERS))
        many = len(members) > _MOST_PARAMS
        asked = [required or (not many and self._default(schema) is not None) for _, schema, required, _ in members]
        last = len(members) - next((place for place, wanted in enumerate(reversed(asked)) if wanted), len(members))
        wanted = [(name, schema, about) for name, schema, _, about in members[:last]]
        self._listed("[]", wanted, [name for name, *_ in members], 0)

    def _listed(
        self, brackets: str, asked: list[tuple[str, Schema, str]], names: list[str], depth: int, about: str = ""
    ) -> None:
        """What is asked for, in brackets; where that is nothing, a field for what may be given."""
        self.text += brackets[0]
        self._indent += 1
        if not asked and (names or about):
            self._field("", "…", f"optional: {few(names, _MOST_NAMED)}" if names else about)
        for number, (name, schema, said) in enumerate(asked):
            if len(self.fields) >= _MOST_FIELDS or len(self.text) > _LONGEST_TEMPLATE:
                break
            self.text += "," if number else ""
            self._row(" " if number else "")
            if brackets == "{}":
                self.text += f"{quote(name)}: "
            self.value(schema, name, depth + 1, said)
        self._indent -= 1
        if asked:
            self._row("")
        self.text += brackets[1]

    def value(self, schema: Schema, name: str, depth: int, about: str = "") -> None:
        """A value of a schema, with fields wherever one has to be chosen."""
        branch = likeliest(schema, self._method.resolve)
        types = type_names(branch) - {"null"}
        about = " · ".join(part for part in (f"{brief(name, LONGEST_NAME)}: {type_text(schema)}", about) if part)
        default = self._default(schema)
        fixed = fixed_values(branch)
        if isinstance(default, str) and not fixed:
            self._string(default, branch, about)
        elif len(fixed) == 1 and (only := _literal(fixed[0])) is not None:
            self.text += only
        elif fixed or types == {"boolean"}:
            written = map(_literal, fixed[:_MOST_CHOICES] or (True, False))
            choices = tuple(choice for choice in written if choice is not None)
            self._field("" if default is None else _literal(default) or "", "|".join(choices), about, choices=choices)
        elif default is not None:
            self._field(_literal(default) or "", "", about)
        elif "object" in types and depth < _DEPTH:
            found = Properties(branch, self._method.resolve).first(_MOST_MEMBERS)
            self.object([(one.name, one.schema, one.required, one.description) for one in found], depth, about)
        elif "array" in types and depth < _DEPTH:
            self._array(branch, name, depth, about)
        elif types == {"string"}:
            self._string("", branch, about)
        else:
            self._field("", type_text(schema), about)

    def _array(self, branch: Schema, name: str, depth: int, about: str) -> None:
        items = as_schema(branch["items"]) if isinstance(branch.get("items"), dict) else {}
        nested = type_names(likeliest(items, self._method.resolve)) & {"object", "array"}
        self.text += "["
        if nested:
            self.value(items, name, depth + 1)
        else:
            self._field("", type_text(items), about)
        self.text += "]"

    def _string(self, default: str, branch: Schema, about: str) -> None:
        self.text += '"'
        said = branch.get("format")
        self._field(quote(default)[1:-1], said if isinstance(said, str) else "string", about, quoted=True)
        self.text += '"'

    def _field(
        self, default: str, shown: str, about: str, *, quoted: bool = False, choices: tuple[str, ...] = ()
    ) -> None:
        start = len(self.text)
        self.text += default
        shown, about = brief(shown, _LONGEST_SHOWN), brief(about, _LONGEST_ABOUT)
        self.fields.append(TemplateField(start, len(self.text), shown, about, quoted, choices))

    def _row(self, blank: str) -> None:
        self.text += "\n" + _INDENT * self._indent if self._broken else blank

    def _default(self, schema: Schema) -> Any:
        """A default that is plain enough to be shown in its place."""
        found = self._method.resolve(schema).get("default")
        return found if isinstance(found, str | int | float) and _literal(found) is not None else None


def _literal(value: Any) -> str | None:
    """A value as it is typed, or None where it is too long to be."""
    if isinstance(value, str):
        return quote(value) if len(value) <= _LONGEST_DEFAULT else None
    written = whole_json(value, _LONGEST_DEFAULT)
    return None if written is None else escape(written)
