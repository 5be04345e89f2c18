"""Completion inside the params of a call: names of parameters and values, at their place in the schema.

Beside what the schema says, values that earlier replies had in fields of the same name, and variables.
"""

from collections.abc import Iterator
from typing import Any

from rpcshell.line.catalog import Method
from rpcshell.line.json_text import json_text
from rpcshell.line.language import CallLine, Line, escape, key_text, quote, word_value
from rpcshell.line.schema import (
    Property,
    Resolver,
    Schema,
    allowed_types,
    alternatives,
    first_line,
    fits_type,
    fixed_values,
    limits_text,
    properties,
    type_names,
    type_of,
    type_text,
)
from rpcshell.line.suggest.names import Suggestion, matching
from rpcshell.line.suggest.place import KeyPlace, ValuePlace, find_places
from rpcshell.line.suggest.surroundings import Surroundings
from rpcshell.line.suggest.variables import preview

_FEW_LETTERS = 2
_FEW_VARIABLES = 8
_NOT_PLAIN = frozenset("\"'[]{}<>,$#|")


def suggest_params(
    line: Line, call: CallLine, cursor: int, method: Method, around: Surroundings
) -> Iterator[Suggestion]:
    """What could stand at a cursor right of the method's name."""
    for place in find_places(line, call, cursor, method):
        if isinstance(place, KeyPlace):
            yield from _keys(place, method.resolve)
        else:
            yield from _values(place, method, around)


def _keys(place: KeyPlace, resolve: Resolver) -> Iterator[Suggestion]:
    quoted = place.typed[:1] in ('"', "'")
    typed = place.typed[1:] if quoted else place.typed
    offered = properties(place.schema, resolve, place.present).values()
    free = [found for found in offered if found.name not in place.others]
    for found in matching(free, typed, lambda found: found.name):
        text = _key(place, found.name)
        yield Suggestion(text, place.start, place.end, key_text(found.name), _key_meta(found, resolve), "key")


def _key(place: KeyPlace, name: str) -> str:
    mark = place.typed[:1] or place.quoting
    if mark in ('"', "'"):
        key = quote(name, mark)
    elif place.pair or mark:
        key = key_text(name)
    else:
        key = quote(name)
    if place.followed:
        return key
    return f"{key}=" if place.pair else f"{key}: "


def _key_meta(found: Property, resolve: Resolver) -> str:
    schema = resolve(found.schema)
    parts = [type_text(found.schema), "required" if found.required else ""]
    if not found.required and isinstance(default := schema.get("default"), str | int | float):
        parts.append(f"default {json_text(default)}")
    parts += [found.description or first_line(schema.get("description")), limits_text(schema)]
    return " · ".join(part for part in parts if part)


def _values(place: ValuePlace, method: Method, around: Surroundings) -> Iterator[Suggestion]:
    resolve = method.resolve
    mark = place.typed[:1] if place.typed[:1] in ('"', "'") else ""
    query = place.typed.lower()
    bare_query = query.lstrip("\"'")
    seen: set[str] = set()
    inner: list[Suggestion] = []
    for value, meta in _offered(place, method, around):
        if mark and not isinstance(value, str):
            continue
        text = _literal(value, mark, pair=place.pair)
        if text in seen:
            continue
        seen.add(text)
        bare = value.lower() if isinstance(value, str) else text.lower()
        found = Suggestion(text, place.start, place.end, text, meta, "value")
        if text.lower().startswith(query) or bare.startswith(bare_query):
            yield found
        elif len(bare_query) >= _FEW_LETTERS and bare_query in bare:
            inner.append(found)
    yield from inner
    if not place.typed:
        yield from _openers(place, resolve)
        types = allowed_types(place.schema, resolve)
        useful = [
            name
            for name, value in around.variables.items()
            if isinstance(value, dict | list) or fits_type(type_of(value), types)
        ]
        for name in useful[:_FEW_VARIABLES]:
            meta = preview(around.variables[name])
            yield Suggestion(f"${name}", place.start, place.end, f"${name}", meta, "variable")


def _offered(place: ValuePlace, method: Method, around: Surroundings) -> Iterator[tuple[Any, str]]:
    """Values for a place, with what to say of each: those of the schema, then those that were seen before."""
    yield from _known_values(place.schema, method.resolve)
    if around.reply_values is None or not place.field:
        return
    types = allowed_types(place.schema, method.resolve)
    if any(fixed_values(branch) for branch in alternatives(place.schema, method.resolve)):
        return
    for value, source in around.reply_values.values(place.field, method.name):
        if fits_type(type_of(value), types):
            yield value, f"from {source}"


def _known_values(schema: Schema, resolve: Resolver) -> Iterator[tuple[Any, str]]:
    branches = alternatives(schema, resolve)
    followed = resolve(schema)
    if "default" in followed:
        yield followed["default"], "default"
    for branch in branches:
        # That of the whole is beside the key already.
        meta = "" if branch.get("description") == followed.get("description") else first_line(branch.get("description"))
        for value in fixed_values(branch):
            yield value, meta
        types = type_names(branch)
        if "boolean" in types and not fixed_values(branch):
            yield True, meta
            yield False, meta
    for branch in branches:
        if "null" in type_names(branch) and not fixed_values(branch):
            yield None, ""
    for listing in (followed, *branches):
        examples = listing.get("examples")
        for value in examples if isinstance(examples, list) else ():
            yield value, "example"


def _openers(place: ValuePlace, resolve: Resolver) -> Iterator[Suggestion]:
    """The brackets with which a structured value begins."""
    for opener, shown, kind in (("{", "{…}", "object"), ("[", "[…]", "array")):
        for branch in alternatives(place.schema, resolve):
            if kind in type_names(branch) and not fixed_values(branch):
                yield Suggestion(opener, place.start, place.end, shown, type_text(place.schema), "value")
                break


def _literal(value: Any, mark: str, *, pair: bool) -> str:
    if not isinstance(value, str):
        return escape(json_text(value))
    if mark:
        return quote(value, mark)
    if pair and value.isprintable() and value and not any(c.isspace() or c in _NOT_PLAIN for c in value):
        return value if isinstance(word_value(value), str) else quote(value, "'")
    return quote(value)
