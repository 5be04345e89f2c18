"""Reading JSON Schema as an editor needs it: references, alternatives, the schema at a place, types.

Drafts up to 2020-12 are read alike, but for what stands beside a `$ref`. Before 2019-09 it is ignored. OpenRPC has
schemas of draft 7, so it counts only where one says that it is newer.

Schemas come from servers, so nothing here trusts one: odd values read as "anything goes", cycles end, and the
work is bounded. Checking a value against a schema is `rpcshell.line.check`, saying one in words `schema_text`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

Schema = Mapping[str, Any]
Resolver = Callable[[Schema], Schema]

ANYTHING: Schema = {}
_MAX_ALTERNATIVES = 64
_MAX_STEPS = 2 * _MAX_ALTERNATIVES
"""Schemas that are looked at to find the alternatives of one; keys that are copied for it count too."""

MAX_VALUES = 10_000
"""Of an `enum`; of one with more nobody chooses, and each key press would go through them."""

_KEYS_A_STEP = 100
_MOST_DISCRIMINATORS = 5
_TYPES = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))
_ABOUT_ITEMS = frozenset(("items", "prefixItems"))
_DIALECT = r"https?://json-schema\.org/(?:draft-0[3467]|draft/(?P<year>\d{4})-\d\d)/schema#?|\s*"


def as_schema(value: object) -> Schema:
    """A schema as a mapping; `true` and whatever is no schema allow anything, `false` nothing."""
    if isinstance(value, Mapping):
        return value
    return {"not": {}} if value is False else ANYTHING


def is_foreign(schema: Schema) -> bool:
    """Whether a schema says that it is of a dialect of which nothing is known here, not even what `type` means."""
    declared = schema.get("$schema")
    return isinstance(declared, str) and not re.fullmatch(_DIALECT, declared)


def is_modern(schema: Schema) -> bool:
    """Whether a schema says that it is of draft 2019-09 or newer."""
    declared = schema.get("$schema")
    found = re.fullmatch(_DIALECT, declared) if isinstance(declared, str) else None
    return found is not None and found["year"] is not None


def alternatives(schema: Schema, resolve: Resolver, present: Mapping[str, Any] = ANYTHING) -> tuple[Schema, ...]:
    """The schemas of which a value must meet one: references followed, `anyOf` and `oneOf` unfolded, `allOf` merged.

    At most `_MAX_ALTERNATIVES`, found in `_MAX_STEPS` at most; where there are more, one that allows anything too. For
    an object that has the scalars in `present`, a `discriminator` (OpenAPI's) among them leads to the one that is
    meant, and for an array that has them at these places.
    """
    return unfolded(schema, resolve, present)[0]


def unfolded(
    schema: Schema, resolve: Resolver, present: Mapping[str, Any] = ANYTHING
) -> tuple[tuple[Schema, ...], int]:
    """The alternatives of a schema, and in how many steps they were found."""
    found: list[Schema] = []
    todo: list[Schema] = [schema]
    steps = 0
    while todo and len(found) < _MAX_ALTERNATIVES and steps < _MAX_STEPS:
        current, copied = _merged(_meant(resolve(todo.pop()), resolve, present), resolve)
        steps += 1 + copied // _KEYS_A_STEP
        branches = next((b for key in ("anyOf", "oneOf") if isinstance(b := current.get(key), list) and b), None)
        if branches is None:
            found.append(current)
            continue
        beside = {key: value for key, value in current.items() if key not in ("anyOf", "oneOf")}
        steps += len(beside) // _KEYS_A_STEP
        unfolding: list[Schema] = []
        for branch in branches[: min(_MAX_ALTERNATIVES, max(_MAX_STEPS - steps, 1))]:
            own = resolve(as_schema(branch))
            both, copied = combined([beside, own]) if beside else (own, 0)
            unfolding.append(both)
            steps += copied // _KEYS_A_STEP
            if steps > _MAX_STEPS:
                break
        if len(unfolding) < len(branches):
            unfolding.append(ANYTHING)
        todo += reversed(unfolding)
    return (*found, ANYTHING) if todo else tuple(found), steps


def _meant(schema: Schema, resolve: Resolver, present: Mapping[str, Any]) -> Schema:
    """What the `discriminator` of a schema leads to, and the discriminators there, or the schema itself."""
    seen: set[str] = set()
    while present and len(seen) < _MOST_DISCRIMINATORS:
        told = schema.get("discriminator")
        tag = told.get("propertyName") if isinstance(told, Mapping) else None
        value = present.get(tag) if isinstance(tag, str) else None
        mapping = told.get("mapping") if isinstance(told, Mapping) else None
        reference = mapping.get(value) if isinstance(mapping, Mapping) and isinstance(value, str) else None
        if not isinstance(reference, str) or reference in seen:
            break
        seen.add(reference)
        schema = resolve({"$ref": reference})
    return schema


def _merged(schema: Schema, resolve: Resolver) -> tuple[Schema, int]:
    """A schema with its `allOf` in it, and how many keys were copied for that; what is too much is left out."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema, 0
    own = {key: value for key, value in schema.items() if key != "allOf"}
    merged, copied = combined([*(resolve(as_schema(part)) for part in parts[:_MAX_ALTERNATIVES]), own])
    # What was in an `allOf` inside is left to the server.
    return {key: value for key, value in merged.items() if key != "allOf"}, len(own) + 2 * copied


def combined(parts: Sequence[Schema]) -> tuple[Schema, int]:
    """One schema for values that have to meet several, and how many keys were copied for it.

    It is never stricter than they are together: of two bounds the last counts, and what is too much is left out.
    """
    combined: dict[str, Any] = {}
    copied = 0
    for part in parts:
        if copied > _MAX_STEPS * _KEYS_A_STEP and part is not parts[-1]:
            continue
        # How many items `items` is about depends on the `prefixItems` beside it.
        if "items" in part or "prefixItems" in part:
            for key in _ABOUT_ITEMS:
                combined.pop(key, None)
        for key, value in part.items():
            copied += 1
            known = combined.get(key)
            if key in ("properties", "patternProperties") and isinstance(known, Mapping) and isinstance(value, Mapping):
                combined[key] = {**known, **value}
                copied += len(known) + len(value)
            elif key in ("required", "allOf") and isinstance(known, list) and isinstance(value, list):
                combined[key] = [*known, *value]
                copied += len(known) + len(value)
            else:
                combined[key] = value
    return combined, copied


def likeliest(schema: Schema, resolve: Resolver) -> Schema:
    """The first alternative that is not null, to make a value of."""
    choices = alternatives(schema, resolve)
    return next((choice for choice in choices if type_names(choice) != {"null"}), choices[0] if choices else ANYTHING)


def declared_types(schema: Schema) -> frozenset[str]:
    """The JSON types that a schema without alternatives allows; empty if it does not say, or says what is no type."""
    declared = schema.get("type")
    names = declared if isinstance(declared, list) else [declared] if "type" in schema else []
    if len(names) <= len(_TYPES) and all(isinstance(name, str) and name in _TYPES for name in names):
        return frozenset(names) or frozenset(type_of(value) for value in fixed_values(schema))
    return frozenset()


def type_names(schema: Schema) -> frozenset[str]:
    """The JSON types that a schema without alternatives is about; empty if it does not say.

    One that does not say, but has properties or items, allows anything else too; yet it is about objects or arrays.
    """
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset((declared,))
    if isinstance(declared, list):
        return frozenset(name for name in declared[:_MAX_ALTERNATIVES] if isinstance(name, str))
    if found := declared_types(schema):
        return found
    if isinstance(schema.get("properties"), Mapping):
        return frozenset(("object",))
    if "items" in schema or "prefixItems" in schema:
        return frozenset(("array",))
    return frozenset()


def allowed_types(schema: Schema, resolve: Resolver) -> frozenset[str]:
    """The JSON types that a schema allows through any of its alternatives; empty if one does not say."""
    names: set[str] = set()
    for alternative in alternatives(schema, resolve):
        types = declared_types(alternative)
        if not types:
            return frozenset()
        names |= types
    return frozenset(names)


def type_of(value: object) -> str:
    """The JSON type of a Python value; a whole number is an "integer"."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def fits_type(found: str, types: frozenset[str]) -> bool:
    """Whether a value of one JSON type is of one of several; none given means all."""
    return not types or found in types or (found == "integer" and "number" in types)


def fixed_values(schema: Schema) -> Sequence[Any]:
    """The values of `enum`, or the one of `const`; empty if the schema leaves the value open, or lists too many."""
    if "const" in schema:
        return (schema["const"],)
    listed = schema.get("enum")
    return listed if isinstance(listed, list) and len(listed) <= MAX_VALUES else ()


def item_schema(schema: Schema, index: int, resolve: Resolver, present: Mapping[str, Any] = ANYTHING) -> Schema | None:
    """The schema of one item of an array, or None where the schema does not speak of it.

    What is `present` are the scalars before it by their places.
    """
    for branch in alternatives(schema, resolve, present):
        leading = branch.get("prefixItems")
        if isinstance(leading, list) and index < len(leading):
            return as_schema(leading[index])
        if isinstance(items := branch.get("items"), Mapping):
            return items
    return None


def exact(number: float) -> Decimal:
    """A number as it was written: what a float rounds may lie on the other side of a bound.

    An exponent that is beyond all bounds counts as infinite, or as nothing.
    """
    try:
        return Decimal(repr(number))
    except InvalidOperation:
        return Decimal(float(number))


def is_whole(number: float) -> bool:
    """Whether a number has no fraction; 1.0 has none, nor has what is too large for a float."""
    return math.isinf(number) or float(number).is_integer()


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a JSON number; Python counts `True` among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)
