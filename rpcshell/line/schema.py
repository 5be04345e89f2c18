"""Reading JSON Schema (2020-12) as an editor needs it: references, alternatives, the schema at a place, names of types.

Schemas come from servers, so nothing here trusts one: odd values read as "anything goes", cycles end, and the
work is bounded. Checking a value against a schema is `rpcshell.line.check`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import unquote

from rpcshell.line.json_text import json_text

Schema = Mapping[str, Any]
Resolver = Callable[[Schema], Schema]

ANYTHING: Schema = {}
MAX_ALTERNATIVES = 64

_REFERENCE_PREFIX = "#/components/schemas/"
_SHOWN_VALUES = 6
_SHOWN_DEPTH = 3
_LONGEST_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Property:
    """A property that an object schema names."""

    name: str
    schema: Schema
    required: bool

    @property
    def description(self) -> str:
        """The first line of its description, or nothing."""
        return first_line(self.schema.get("description"))


def as_schema(value: object) -> Schema:
    """A schema as a mapping; `true` and whatever is no schema allow anything, `false` nothing."""
    if isinstance(value, Mapping):
        return value
    return {"not": {}} if value is False else ANYTHING


def resolve_reference(schema: Schema, schemas: Mapping[str, Any]) -> Schema:
    """Follow `$ref` into `#/components/schemas/`, through chains of them.

    Keys beside a `$ref` win over those of its target. A reference that leads in a circle, or nowhere, allows
    anything.
    """
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str):
        if reference in seen:
            return ANYTHING
        seen.add(reference)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = _pointed(reference, schemas)
        schema = {**target, **beside} if beside else target
    return schema


def _pointed(reference: str, schemas: Mapping[str, Any]) -> Schema:
    if not reference.startswith(_REFERENCE_PREFIX):
        return ANYTHING
    if "%" in reference:
        reference = unquote(reference)
    found: Any = schemas
    for step in reference[len(_REFERENCE_PREFIX) :].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            return ANYTHING
        found = found[key]
    return as_schema(found)


def alternatives(schema: Schema, resolve: Resolver) -> tuple[Schema, ...]:
    """The schemas of which a value must meet one: references followed, `anyOf` and `oneOf` unfolded, `allOf` merged.

    At most `MAX_ALTERNATIVES`.
    """
    found: list[Schema] = []
    todo: list[Schema] = [schema]
    seen = 0
    while todo and len(found) < MAX_ALTERNATIVES and seen < 4 * MAX_ALTERNATIVES:
        seen += 1
        current = _merged(resolve(todo.pop()), resolve)
        branches = next((b for key in ("anyOf", "oneOf") if isinstance(b := current.get(key), list) and b), None)
        if branches is None:
            found.append(current)
            continue
        beside = {key: value for key, value in current.items() if key not in ("anyOf", "oneOf")}
        todo.extend({**beside, **resolve(as_schema(branch))} for branch in reversed(branches[:MAX_ALTERNATIVES]))
    return tuple(found)


def _merged(schema: Schema, resolve: Resolver) -> Schema:
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    merged: dict[str, Any] = {}
    for part in [*(resolve(as_schema(part)) for part in parts[:MAX_ALTERNATIVES]), schema]:
        for key, value in part.items():
            known = merged.get(key)
            if key == "properties" and isinstance(known, Mapping) and isinstance(value, Mapping):
                merged[key] = {**known, **value}
            elif key == "required" and isinstance(known, list) and isinstance(value, list):
                merged[key] = [*known, *value]
            elif key != "allOf":
                merged[key] = value
    return merged


def type_names(schema: Schema) -> frozenset[str]:
    """The JSON types that a schema without alternatives allows; empty if it does not say."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset((declared,))
    if isinstance(declared, list):
        return frozenset(name for name in declared if isinstance(name, str))
    values = fixed_values(schema)
    if values:
        return frozenset(type_of(value) for value in values)
    if isinstance(schema.get("properties"), Mapping):
        return frozenset(("object",))
    if "items" in schema or "prefixItems" in schema:
        return frozenset(("array",))
    return frozenset()


def allowed_types(schema: Schema, resolve: Resolver) -> frozenset[str]:
    """The JSON types that a schema allows through any of its alternatives; empty if one does not say."""
    names: set[str] = set()
    for alternative in alternatives(schema, resolve):
        types = type_names(alternative)
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


def fixed_values(schema: Schema) -> tuple[Any, ...]:
    """The values of `enum`, or the one of `const`; empty if the schema leaves the value open."""
    if "const" in schema:
        return (schema["const"],)
    listed = schema.get("enum")
    return tuple(listed) if isinstance(listed, list) else ()


def properties(schema: Schema, resolve: Resolver, present: Mapping[str, Any] = ANYTHING) -> dict[str, Property]:
    """The properties that an object may have here.

    Alternatives that a scalar in `present` rules out, as the tag of a tagged union does, are left out unless that would
    leave none.
    """
    branches = [branch for branch in alternatives(schema, resolve) if isinstance(branch.get("properties"), Mapping)]
    fitting = [branch for branch in branches if not _ruled_out(branch, present, resolve)] or branches
    found: dict[str, Property] = {}
    for branch in fitting:
        for name, value in branch["properties"].items():
            schema = as_schema(value)
            if name in found and found[name].schema != schema:
                schema = {"anyOf": [found[name].schema, schema]}
            found[name] = Property(name, schema, all(_requires(other, name) for other in fitting))
    return found or _listed_keys(schema, resolve)


def _listed_keys(schema: Schema, resolve: Resolver) -> dict[str, Property]:
    """The keys of an object that names none but says which names there are."""
    for branch in alternatives(schema, resolve):
        names = branch.get("propertyNames")
        listed = fixed_values(resolve(names)) if isinstance(names, Mapping) else ()
        value = as_schema(branch.get("additionalProperties"))
        if keys := [name for name in listed if isinstance(name, str)]:
            return {name: Property(name, value, required=False) for name in keys}
    return {}


def _requires(schema: Schema, name: str) -> bool:
    listed = schema.get("required")
    return isinstance(listed, list) and name in listed


def _ruled_out(branch: Schema, present: Mapping[str, Any], resolve: Resolver) -> bool:
    for name, value in present.items():
        if name in branch["properties"]:
            fixed = fixed_values(resolve(as_schema(branch["properties"][name])))
            if fixed and value not in fixed:
                return True
    return False


def property_schema(
    schema: Schema, name: str, resolve: Resolver, present: Mapping[str, Any] = ANYTHING
) -> Schema | None:
    """The schema of one property of an object, or None where the schema does not speak of it."""
    named = properties(schema, resolve, present).get(name)
    if named is not None:
        return named.schema
    for branch in alternatives(schema, resolve):
        if isinstance(rest := branch.get("additionalProperties"), Mapping):
            return rest
    return None


def item_schema(schema: Schema, index: int, resolve: Resolver) -> Schema | None:
    """The schema of one item of an array, or None where the schema does not speak of it."""
    for branch in alternatives(schema, resolve):
        leading = branch.get("prefixItems")
        if isinstance(leading, list) and index < len(leading):
            return as_schema(leading[index])
        if isinstance(items := branch.get("items"), Mapping):
            return items
    return None


def type_text(schema: Schema, depth: int = 0) -> str:
    """A schema in a word or two, as a signature shows it: `number`, `"red" | "green"`, `Item[]`, `Order`."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return reference.rsplit("/", 1)[-1]
    if depth > _SHOWN_DEPTH:
        return "…"
    if values := fixed_values(schema):
        shown = [json_text(value) for value in values[:_SHOWN_VALUES]]
        return " | ".join([*shown, "…"] if len(values) > _SHOWN_VALUES else shown)
    for key in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(key), list) and branches:
            names = _unique(type_text(as_schema(branch), depth + 1) for branch in branches[:_SHOWN_VALUES])
            return " | ".join([*names, "…"] if len(branches) > _SHOWN_VALUES else names)
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        return type_text(as_schema(parts[0]), depth + 1)
    return _named_types(schema, depth)


def _named_types(schema: Schema, depth: int) -> str:
    declared = schema.get("type")
    names = declared if isinstance(declared, list) else [declared] if isinstance(declared, str) else []
    names = [name for name in names if isinstance(name, str)] or sorted(type_names(schema))
    items = schema.get("items")
    if "array" in names and isinstance(items, Mapping) and items:
        inner = type_text(items, depth + 1)
        array = f"({inner})[]" if " | " in inner else f"{inner}[]"
        names = [array if name == "array" else name for name in names]
    return " | ".join(_unique(names)) or "any"


def limits_text(schema: Schema) -> str:
    """What a schema demands beside the type, in a few words: `1 to 1000`, `format date`; nothing if it demands nothing.

    The schema has no references.
    """
    parts = [
        _range(schema.get("minimum"), schema.get("maximum"), ""),
        _range(schema.get("minLength"), schema.get("maxLength"), "characters"),
        _range(schema.get("minItems"), schema.get("maxItems"), "items"),
    ]
    for key, words in (("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than"), ("multipleOf", "times")):
        if is_number(schema.get(key)):
            parts.append(f"{words} {schema[key]}")
    for key, words in (("format", ""), ("pattern", "matching ")):
        if isinstance(value := schema.get(key), str) and len(value) <= _LONGEST_LIMIT:
            parts += [f"{words}{value}"]
    return ", ".join(part for part in parts if part)


def _range(low: object, high: object, unit: str) -> str:
    if is_number(low) and is_number(high):
        words = f"{low} to {high}"
    elif is_number(high):
        words = f"at most {high}"
    elif is_number(low) and (low > 0 or not unit):
        words = f"at least {low}"
    else:
        return ""
    return f"{words} {unit}".rstrip()


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a JSON number; Python counts `True` among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unique(names: Iterator[str] | list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def first_line(text: object) -> str:
    """The first line of a text from a server; nothing if it is none."""
    return text.strip().partition("\n")[0].rstrip() if isinstance(text, str) else ""
