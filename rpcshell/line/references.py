"""Following `$ref` in the schemas of a document.

Nothing here trusts a server: circles end, and what leads nowhere allows anything.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from rpcshell.line.schema import ANYTHING, Schema, as_schema, combined

_LONGEST_CHAIN = 100
_LONGEST_REFERENCE = 1000
_ANNOTATIONS = frozenset(("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"))
_INSTANCES = frozenset(("default", "const", "enum", "examples"))
"""Keywords whose values are no schemas: a `$ref` in them means nothing."""

_NAMED = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"))
"""Keywords whose values are schemas by name, whatever the names are."""

_ROOTS = frozenset(("$defs", "definitions", "$schema", "$id"))
"""Keywords of a schema that was written as a document of its own."""


def resolve_reference(schema: Schema, document: Mapping[str, Any], *, modern: bool = False) -> Schema:
    """Follow `$ref` to wherever in the document it points (RFC 6901), through chains of them.

    What is beside a `$ref` is added to its target; if the schemas are not `modern`, only what says nothing about
    values. A reference that leads in a circle, nowhere, or through more than a hundred others, allows anything.
    """
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str):
        if reference in seen or len(seen) >= _LONGEST_CHAIN:
            return ANYTHING
        seen.add(reference)
        beside = {key: value for key, value in schema.items() if key in _ANNOTATIONS or (modern and key != "$ref")}
        target = _pointed(reference, document)
        schema = combined([target, beside])[0] if beside else target
    return schema


def is_own_document(schema: Schema) -> bool:
    """Whether a schema was written as a document of its own, into which its references then point."""
    return not _ROOTS.isdisjoint(schema)


def rebased(schema: Schema, place: str) -> Schema:
    """A copy of a schema whose references to what it has lead there from the document that has it at a `place`."""
    copy = dict(schema)
    todo: list[tuple[Any, bool]] = [(copy, False)]
    while todo:
        part, by_name = todo.pop()
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(value, dict | list):
                if by_name or key not in _INSTANCES:
                    part[key] = value.copy()
                    todo.append((part[key], not by_name and key in _NAMED))
            elif key == "$ref" and isinstance(value, str) and _leads_into(schema, value):
                part[key] = place + value[1:]
    return copy


def escaped_step(key: str) -> str:
    """A key as a step of a JSON pointer in the fragment of a URI."""
    return key.replace("%", "%25").replace("~", "~0").replace("/", "~1")


def _leads_into(schema: Schema, reference: str) -> bool:
    return reference == "#" or (reference.startswith("#/") and _steps(reference)[0] in schema)


def _pointed(reference: str, document: Mapping[str, Any]) -> Schema:
    if not reference.startswith("#/") or len(reference) > _LONGEST_REFERENCE:
        return ANYTHING
    found: Any = document
    try:
        for step in _steps(reference):
            found = found[int(step) if isinstance(found, list) and step.isdecimal() else step]
    except (LookupError, TypeError):
        return ANYTHING
    return as_schema(found)


def _steps(reference: str) -> list[str]:
    """The steps of a JSON pointer that is the fragment of a URI."""
    if "%" in reference:
        reference = unquote(reference)
    steps = reference[2:].split("/")
    return [step.replace("~1", "/").replace("~0", "~") for step in steps] if "~" in reference else steps
