"""A form made of a JSON Schema: its fields, what may be chosen in each, and the values that typed texts stand for.

Servers send such schemas, so nothing here trusts one: what is odd is a field that takes any JSON. How a form is drawn
and read is the prompt's.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from rpcshell.line.brief import LONGEST_NAME, brief
from rpcshell.line.check import check
from rpcshell.line.language import CallLine, parse
from rpcshell.line.references import resolve_reference
from rpcshell.line.schema import Schema, as_schema
from rpcshell.line.schema_text import type_text

LEFT_OUT: Final = object()
"""The value of a field that was left empty and may be."""

_MOST_FIELDS: Final = 50
_MOST_CHOICES: Final = 1000
_LONGEST_TEXT: Final = 2000
_TRUE: Final = frozenset(("true", "yes", "y"))
_FALSE: Final = frozenset(("false", "no", "n"))


class FormProblem(Exception):
    """A text that is no value of its field; says why."""


class Choice(msgspec.Struct, frozen=True):
    """A value that may be chosen, and what it is called."""

    value: Any
    title: str = ""

    @property
    def text(self) -> str:
        """How it is typed."""
        return self.value if isinstance(self.value, str) else _json(self.value)


class Field(msgspec.Struct, frozen=True):
    """A property to fill in. `choices` are what it takes, where that is told; `many` means several, with commas."""

    name: str
    schema: Schema
    required: bool
    choices: tuple[Choice, ...] = ()
    many: bool = False

    @property
    def title(self) -> str:
        """What to call it."""
        return brief(_text(self.schema, "title") or self.name, LONGEST_NAME)

    @property
    def about(self) -> str:
        """What to say of it: its description, and what it takes."""
        kind = type_text(self.schema)
        return " · ".join(filter(None, (_text(self.schema, "description"), kind, "" if self.required else "optional")))

    @property
    def default(self) -> str:
        """The text that it begins with."""
        value = self.schema.get("default")
        if value is None:
            return ""
        if self.many and isinstance(value, list):
            return ", ".join(Choice(item).text for item in value)
        return Choice(value).text

    def read(self, text: str) -> Any:
        """The value of a text, or `LEFT_OUT`; raises `FormProblem` where it has none that the field takes."""
        typed = text.strip()
        if not typed:
            if self.required:
                raise FormProblem("this has to be filled in")
            return LEFT_OUT
        try:
            text.encode()
        except UnicodeEncodeError:
            # Terminals give bytes that are none as halves of surrogate pairs.
            raise FormProblem("a part of it is no UTF-8") from None
        value = [self._one(part.strip()) for part in typed.split(",") if part.strip()] if self.many else self._one(text)
        self._check(value)
        return value

    def _one(self, text: str) -> Any:
        typed = text.strip()
        lowered = typed.lower()
        kind = _text(self.schema, "type")
        if kind == "boolean" and lowered in _TRUE | _FALSE:
            return lowered in _TRUE
        for choice in self.choices:
            if typed in (choice.text, choice.title):
                return choice.value
        begun = [choice for choice in self.choices if choice.text.lower().startswith(lowered)]
        if len(begun) == 1:
            return begun[0].value
        if self.choices:
            raise FormProblem(f"one of {', '.join(choice.text for choice in self.choices[:5])} is wanted")
        if kind == "string":
            return text
        try:
            return msgspec.json.decode(typed)
        except (msgspec.DecodeError, RecursionError):
            if kind in {"number", "integer"}:
                raise FormProblem("a number is wanted") from None
            if kind:
                raise FormProblem(f"JSON of {type_text(self.schema)} is wanted") from None
            return text

    def _check(self, value: Any) -> None:
        line = parse(f"_ {_json(value)}")
        if isinstance(line.body, CallLine) and line.body.params is not None:
            problem = next(check(line.body.params, self.schema, lambda schema: schema), None)
            if problem is not None:
                raise FormProblem(problem.message)


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """The fields of a form: the properties of an object, as many as a person may fill in."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping):
        return ()
    needed = required if isinstance(required, list) else []
    named = ((name, given) for name, given in properties.items() if isinstance(name, str))
    return tuple(_field(name, given, schema, required=name in needed) for name, given in islice(named, _MOST_FIELDS))


def _field(name: str, given: object, document: Schema, *, required: bool) -> Field:
    schema = resolve_reference(as_schema(given), document)
    items = schema.get("items")
    many = schema.get("type") == "array" and isinstance(items, Mapping)
    choices = tuple(islice(_choices(resolve_reference(as_schema(items), document) if many else schema), _MOST_CHOICES))
    return Field(name, schema, required, choices, many and bool(choices))


def _choices(schema: Schema) -> Sequence[Choice]:
    if schema.get("type") == "boolean":
        return (Choice(True), Choice(False))
    values, titles = schema.get("enum"), schema.get("enumNames")
    if isinstance(values, list):
        named = titles if isinstance(titles, list) else []
        return [Choice(value, _title(named, at)) for at, value in enumerate(values[:_MOST_CHOICES])]
    for key in ("oneOf", "anyOf"):
        options = schema.get(key)
        if not isinstance(options, list) or not options:
            continue
        if all(isinstance(one, Mapping) and "const" in one for one in options):
            return [Choice(one["const"], _text(one, "title")) for one in options[:_MOST_CHOICES]]
    return ()


def _title(titles: Sequence[Any], at: int) -> str:
    return titles[at] if at < len(titles) and isinstance(titles[at], str) else ""


def _text(schema: Mapping[str, Any], key: str) -> str:
    value = schema.get(key)
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _json(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return msgspec.json.encode(value).decode()
