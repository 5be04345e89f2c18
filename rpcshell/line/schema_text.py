"""A JSON Schema in a few words: the name of a type, and what it demands beside that. As long as a line at most."""

from collections.abc import Mapping

from rpcshell.line.brief import LONGEST_NAME, brief, brief_json
from rpcshell.line.schema import Schema, as_schema, fixed_values, is_number, type_names

_SHOWN_VALUES = 6
_SHOWN_DEPTH = 3
_LONGEST_LIMIT = 40
_LONGEST_TEXT = 200
_LONGEST_VALUE = 60
_LONGEST_REFERENCE = 1000


def type_text(schema: Schema) -> str:
    """A schema in a few words, as a signature shows it: `number`, `"red" | "green"`, `Item[]`, `Order`."""
    return brief(_type_text(schema, 0), _LONGEST_TEXT)


def _type_text(schema: Schema, depth: int) -> str:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return brief(reference[-_LONGEST_REFERENCE:].rsplit("/", 1)[-1], LONGEST_NAME)
    if depth > _SHOWN_DEPTH:
        return "…"
    if values := fixed_values(schema):
        shown = [brief_json(value, _LONGEST_VALUE) for value in values[:_SHOWN_VALUES]]
        return " | ".join([*shown, "…"] if len(values) > _SHOWN_VALUES else shown)
    for key in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(key), list) and branches:
            names = dict.fromkeys(_type_text(as_schema(branch), depth + 1) for branch in branches[:_SHOWN_VALUES])
            return " | ".join([*names, "…"] if len(branches) > _SHOWN_VALUES else names)
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        return _type_text(as_schema(parts[0]), depth + 1)
    return _named_types(schema, depth)


def _named_types(schema: Schema, depth: int) -> str:
    declared = schema.get("type")
    listed = declared if isinstance(declared, list) else [declared] if isinstance(declared, str) else []
    names = [brief(name, LONGEST_NAME) for name in listed[:_SHOWN_VALUES] if isinstance(name, str)]
    names = names or sorted(type_names(schema))
    items = schema.get("items")
    if "array" in names and isinstance(items, Mapping) and items:
        inner = _type_text(items, depth + 1)
        array = f"({inner})[]" if " | " in inner else f"{inner}[]"
        names = [array if name == "array" else name for name in names]
    return " | ".join(dict.fromkeys(names)) or "any"


def limits_text(schema: Schema, longest: int = _LONGEST_LIMIT) -> str:
    """What a schema says beside the type, in a few words: `1 to 1000`, `date`, `deprecated`; nothing if it does not.

    The schema has no references; a pattern is cut to the longest that is to be shown, in characters.
    """
    parts = [
        "deprecated" if schema.get("deprecated") is True else "",
        _range(schema.get("minimum"), schema.get("maximum"), ""),
        _range(schema.get("minLength"), schema.get("maxLength"), "characters"),
        _range(schema.get("minItems"), schema.get("maxItems"), "items"),
    ]
    for key, words in (
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
    ):
        if is_number(schema.get(key)):
            parts.append(f"{words} {number_text(schema[key])}")
    for key, words in (("format", ""), ("pattern", "matching ")):
        if isinstance(value := schema.get(key), str):
            parts.append(f"{words}{brief(value, longest)}")
    return ", ".join(part for part in parts if part)


def _range(low: object, high: object, unit: str) -> str:
    if is_number(low) and is_number(high):
        words = f"{number_text(low)} to {number_text(high)}"
    elif is_number(high):
        words = f"at most {number_text(high)}"
    elif is_number(low) and (low > 0 or not unit):
        words = f"at least {number_text(low)}"
    else:
        return ""
    return f"{words} {unit}".rstrip()


def number_text(value: float) -> str:
    """A number as JSON has it, cut where it has more digits than anybody reads."""
    return brief_json(value, _LONGEST_LIMIT)
