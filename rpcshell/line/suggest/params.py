"""Completion inside the params of a call: names of parameters and values, at their place in the schema.

Beside what the schema says, values that earlier replies had in fields of the same name, and variables.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rpcshell.line.brief import LONGEST_NAME, brief, brief_json, first_line, whole_json
from rpcshell.line.catalog import Method
from rpcshell.line.language import CallLine, Line, ObjectNode, escape, key_text, quote, scalars, word_value
from rpcshell.line.properties import MAX_NAMES, Properties, Property
from rpcshell.line.schema import (
    Resolver,
    Schema,
    allowed_types,
    alternatives,
    fits_type,
    fixed_values,
    type_names,
    type_of,
)
from rpcshell.line.schema_text import limits_text, type_text
from rpcshell.line.suggest.names import Suggestion, matching
from rpcshell.line.suggest.place import KeyPlace, ValuePlace, find_places
from rpcshell.line.suggest.surroundings import Surroundings, ValueQuestion
from rpcshell.line.suggest.variables import preview

Others = tuple[tuple[str, str | bool | None], ...]

_MOST_SHOWN = 100
_MOST_EXAMPLES = 200
_LONGEST_OFFERED = 1000
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
            yield from _values(place, method, around, _params_beside(call, place))


def _keys(place: KeyPlace, resolve: Resolver) -> Iterator[Suggestion]:
    quoted = place.typed[:1] in ('"', "'")
    typed = place.typed[1:] if quoted else place.typed
    offered = Properties(place.schema, resolve, place.present)
    names = matching((name for name in offered if name not in place.others and len(name) <= _LONGEST_OFFERED), typed)
    query = typed.lower()
    first = sum(name.lower().startswith(query) for name in names) or len(names)
    shown, left_out = _few(names[:first], names[first:])
    left_out += max(len(offered) - MAX_NAMES, 0)
    found = [one for name in shown if (one := offered.get(name)) is not None]
    if not typed:
        found.sort(key=lambda one: not one.required)
    for number, one in enumerate(found, 1):
        meta = _key_meta(one, resolve)
        if left_out and number == len(found):
            meta = f"… {left_out:,} more · {meta}"
        yield Suggestion(_key(place, one.name), place.start, place.end, key_text(one.name), meta, "key")


def _few(better: list[str], others: list[str]) -> tuple[list[str], int]:
    """As many as a key press has time for, and how many are left out.

    What all of the better ones begin with, and no more than that, those that are kept begin with.
    """
    if len(better) + len(others) <= _MOST_SHOWN:
        return [*better, *others], 0
    ends = (min(better), max(better)) if better else ()
    kept = [*islice((one for one in better if one not in ends), _MOST_SHOWN - len(ends)), *ends]
    kept += others[: max(_MOST_SHOWN - len(kept), 0)]
    return kept, len(better) + len(others) - len(kept)


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
        parts.append(f"default {brief_json(default, LONGEST_NAME)}")
    parts += [found.description or first_line(schema.get("description")), limits_text(schema)]
    return brief(" · ".join(part for part in parts if part), _LONGEST_OFFERED)


def _params_beside(call: CallLine, place: ValuePlace) -> Others:
    members = call.params.members if isinstance(call.params, ObjectNode) else ()
    return tuple((key, value) for key, value in scalars(tuple(members)).items() if key != place.field)


def _values(place: ValuePlace, method: Method, around: Surroundings, others: Others) -> Iterator[Suggestion]:
    resolve = method.resolve
    mark = place.typed[:1] if place.typed[:1] in ('"', "'") else ""
    query = place.typed.lower()
    bare_query = query.lstrip("\"'")
    better: dict[str, str] = {}
    inner: dict[str, str] = {}
    for value, meta in _offered(place, method, around, others):
        if mark and not isinstance(value, str):
            continue
        text = _literal(value, mark, pair=place.pair)
        if text is None:
            continue
        bare = value.lower() if isinstance(value, str) else text.lower()
        if text.lower().startswith(query) or bare.startswith(bare_query):
            better.setdefault(text, meta)
        elif len(bare_query) >= _FEW_LETTERS and bare_query in bare:
            inner.setdefault(text, meta)
    shown, left_out = _few(list(better), [text for text in inner if text not in better])
    for number, text in enumerate(shown, 1):
        meta = better[text] if text in better else inner[text]
        if left_out and number == len(shown):
            meta = f"… {left_out:,} more · {meta}".rstrip(" ·")
        yield Suggestion(text, place.start, place.end, text, meta, "value")
    if not place.typed:
        yield from _opening_brackets(place, resolve)
        types = allowed_types(place.schema, resolve)
        useful = [
            name
            for name, value in around.variables.items()
            if isinstance(value, dict | list) or fits_type(type_of(value), types)
        ]
        for name in useful[:_FEW_VARIABLES]:
            meta = preview(around.variables[name])
            yield Suggestion(f"${name}", place.start, place.end, f"${name}", meta, "variable")


def _offered(place: ValuePlace, method: Method, around: Surroundings, others: Others) -> Iterator[tuple[Any, str]]:
    """Values for a place, with what to say of each: of the schema, of the server, then those that were seen before."""
    yield from _known_values(place.schema, method.resolve)
    if any(param.completes and param.name == place.field for param in method.params):
        question = ValueQuestion(method.name, place.field, place.typed.strip("\"'"), others)
        textual = fits_type("string", allowed_types(place.schema, method.resolve))
        for text in around.server_values(question):
            yield text if textual else word_value(text), ""
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
        # The description of the whole stands beside the key already.
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
        for value in examples[:_MOST_EXAMPLES] if isinstance(examples, list) else ():
            yield value, "example"


def _opening_brackets(place: ValuePlace, resolve: Resolver) -> Iterator[Suggestion]:
    for opener, shown, kind in (("{", "{…}", "object"), ("[", "[…]", "array")):
        for branch in alternatives(place.schema, resolve):
            if kind in type_names(branch) and not fixed_values(branch):
                yield Suggestion(opener, place.start, place.end, shown, type_text(place.schema), "value")
                break


def _literal(value: Any, mark: str, *, pair: bool) -> str | None:
    """A value as it is typed, or None where it is too long for that."""
    if not isinstance(value, str):
        written = whole_json(value, _LONGEST_OFFERED)
        return None if written is None else escape(written)
    if len(value) > _LONGEST_OFFERED:
        return None
    if mark:
        return quote(value, mark)
    if pair and value.isprintable() and value and not any(c.isspace() or c in _NOT_PLAIN for c in value):
        return value if isinstance(word_value(value), str) else quote(value, "'")
    return quote(value)
