"""Completion inside the params of a call: names of parameters and values, at their place in the schema."""

import json
from collections.abc import Iterator
from typing import Any

from rpcshell.catalog import Method
from rpcshell.language import CallLine, Line, key_text, quote
from rpcshell.language.evaluate import word_value
from rpcshell.schema import (
    Property,
    Resolver,
    Schema,
    alternatives,
    first_line,
    fixed_values,
    properties,
    type_names,
    type_text,
)
from rpcshell.suggest.place import KeyPlace, ValuePlace, find_places
from rpcshell.suggest.suggestion import Suggestion

_NOT_PLAIN = frozenset("\"'[]{}<>,$#|")


def suggest_params(line: Line, call: CallLine, cursor: int, method: Method) -> Iterator[Suggestion]:
    """What could stand at a cursor right of the method's name."""
    for place in find_places(line, call, cursor, method):
        if isinstance(place, KeyPlace):
            yield from _keys(place, method.resolve)
        else:
            yield from _values(place, method.resolve)


def _keys(place: KeyPlace, resolve: Resolver) -> Iterator[Suggestion]:
    quoted = place.typed[:1] in ('"', "'")
    query = (place.typed[1:] if quoted else place.typed).lower()
    offered = properties(place.schema, resolve, place.present).values()
    free = [found for found in offered if found.name not in place.others]
    leading = [found for found in free if found.name.lower().startswith(query)]
    holding = [found for found in free if query in found.name.lower() and found not in leading]
    for found in [*leading, *holding]:
        text = _key(place, found.name)
        yield Suggestion(text, place.start, place.end, key_text(found.name), _key_meta(found), "key")


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


def _key_meta(found: Property) -> str:
    parts = [type_text(found.schema), "required" if found.required else "", found.description]
    return " · ".join(part for part in parts if part)


def _values(place: ValuePlace, resolve: Resolver) -> Iterator[Suggestion]:
    mark = place.typed[:1] if place.typed[:1] in ('"', "'") else ""
    query = place.typed.lower()
    seen: set[str] = set()
    for value, meta in _known_values(place.schema, resolve):
        if mark and not isinstance(value, str):
            continue
        text = _literal(value, mark, pair=place.pair)
        bare = value.lower() if isinstance(value, str) else text.lower()
        if text not in seen and (text.lower().startswith(query) or bare.startswith(query.lstrip("\"'"))):
            seen.add(text)
            yield Suggestion(text, place.start, place.end, text, meta, "value")
    if not place.typed:
        yield from _openers(place, resolve)


def _known_values(schema: Schema, resolve: Resolver) -> Iterator[tuple[Any, str]]:
    branches = alternatives(schema, resolve)
    followed = resolve(schema)
    if "default" in followed:
        yield followed["default"], "default"
    for branch in branches:
        meta = first_line(branch.get("description"))
        for value in fixed_values(branch):
            yield value, meta
        types = type_names(branch)
        if "boolean" in types and not fixed_values(branch):
            yield True, meta
            yield False, meta
    for branch in branches:
        if "null" in type_names(branch) and not fixed_values(branch):
            yield None, ""
    examples = followed.get("examples")
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
        return json.dumps(value, default=str)
    if mark:
        return quote(value, mark)
    if pair and value.isprintable() and value and not any(c.isspace() or c in _NOT_PLAIN for c in value):
        return value if isinstance(word_value(value), str) else quote(value, "'")
    return quote(value)
