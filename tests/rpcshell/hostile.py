"""What a server may say of itself to hold up whoever reads it: documents that are large, deep, or without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVIL = "\x1b]0;PWNED\x07\x1b[31m\x9b2J\u202e\x7f"
"""Sets the title of a terminal, colours it, clears it, and turns the text around."""

HUGE = 10**400
DEEP = 960


def nested(depth: int, leaf: Any = 1) -> Any:
    """Lists in lists."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def multiplying(width: int, wrap: str | None = None) -> dict[str, Any]:
    """Three types of so many members, each of which is of the next type; as an alternative among many with `wrap`."""
    types: dict[str, Any] = {}
    for number in range(3):
        inner = reference(f"B{(number + 1) % 3}")
        names = [f"p{at}" for at in range(width)]
        kind = {"type": "object", "properties": dict.fromkeys(names, inner), "required": names}
        types[f"B{number}"] = kind if wrap is None else {wrap: [kind] * width}
    return types


def described(schema: Any, schemas: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A document of one method, whose only parameter and result have a schema."""
    method = {
        "name": "m",
        "params": [{"name": "a", "required": True, "schema": schema}],
        "result": {"name": "r", "schema": schema},
        **more,
    }
    return {"openrpc": "1.3.2", "methods": [method], "components": {"schemas": schemas or {}}}


def _params(count: int, schema: Any) -> dict[str, Any]:
    params = [{"name": f"p{at}", "required": at % 2 == 0, "schema": schema} for at in range(count)]
    return {"methods": [{"name": "m", "params": params, "result": {}}], "components": {"schemas": multiplying(14)}}


def _discriminated(mapping: dict[str, Any]) -> dict[str, Any]:
    """Params that are told apart by one of them, which is not where it should be in some."""
    union = {
        "properties": {"p1": {"enum": list(mapping)}, "a": reference("U"), "p0": reference("B1")},
        "discriminator": {"propertyName": "p1", "mapping": mapping},
    }
    method = {"name": "m", "params": [{"name": "a", "schema": {}}], "x-params-schema": reference("U")}
    return {"methods": [method], "components": {"schemas": {**multiplying(14), "U": union}}}


def _named(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"type": "string", "description": name} for name in names}


def _deep_schema() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(DEEP // 2):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


_MANY = [f"p{at}" for at in range(20_000)]
_LONG = "x" * 5_000_000

DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "types that multiply": lambda: described(reference("B0"), multiplying(14)),
    "alternatives that multiply": lambda: described(reference("B0"), multiplying(14, "anyOf")),
    "parts that multiply": lambda: described(reference("B0"), multiplying(14, "allOf")),
    "alternatives of alternatives": lambda: described(
        reference("B0"), {f"B{at}": {"anyOf": [reference(f"B{(at + 1) % 3}")] * 14} for at in range(3)}
    ),
    "discriminators in a circle": lambda: _discriminated({"x": "#/components/schemas/U", "y": 1, "z": "#/nowhere"}),
    "many properties": lambda: described(reference("T"), {"T": {"properties": _named(_MANY)}}),
    "many required properties": lambda: described(
        {"type": "object", "properties": {name: reference("B0") for name in _MANY}, "required": _MANY}, multiplying(14)
    ),
    "many properties in many alternatives": lambda: described(
        {"anyOf": [{"type": "object", "properties": {name: {"const": at} for name in _MANY}} for at in range(16)]}
    ),
    "many properties in many parts": lambda: described(
        {"allOf": [{"properties": _named(f"{name}_{at}" for name in _MANY[:2000])} for at in range(64)]}
    ),
    "many params": lambda: _params(40_000, {"type": "string", "default": "x"}),
    "many params that multiply": lambda: _params(20_000, reference("B0")),
    "a long default": lambda: described({"type": "string", "default": _LONG}),
    "a default of many": lambda: described({"type": "array", "default": [1] * 1_000_000}),
    "long texts": lambda: described({"description": _LONG, "title": _LONG}, summary=_LONG, description=_LONG),
    "long names": lambda: described(reference(_LONG), {_LONG: {}}, params=[{"name": _LONG, "required": True}]),
    "a long enum": lambda: described({"enum": [f"v{at}" for at in range(500_000)]}),
    "a long value": lambda: described({"enum": [_LONG, "b"], "examples": [_LONG]}),
    "a deep default": lambda: described(
        {"default": nested(DEEP), "enum": [nested(DEEP)], "examples": [nested(DEEP)]},
        examples=[{"name": "e", "params": [{"name": "a", "value": nested(DEEP)}], "result": {"value": nested(DEEP)}}],
    ),
    "a deep schema": lambda: described(_deep_schema()),
    "a chain of references": lambda: described(
        reference("C0"), {f"C{at}": reference(f"C{at + 1}") for at in range(9999)}
    ),
    "references with more beside": lambda: described(
        reference("C0"), {f"C{at}": {**reference(f"C{at + 1}"), f"k{at}": 1} for at in range(9999)}
    ),
    "many errors": lambda: described({}, errors=[{"code": at, "message": "m"} for at in range(100_000)]),
    "odd errors": lambda: described(
        {}, errors=[reference("x"), 5, None, {"code": HUGE, "message": [EVIL]}, {}, {"code": {}}]
    ),
    "many examples": lambda: described({}, examples=[{"params": [{"name": "a", "value": 1}]}] * 100_000),
    "many types": lambda: described({"type": [f"t{at}" for at in range(500_000)]}),
    "huge numbers": lambda: described(
        {"type": "number", "minimum": HUGE, "exclusiveMaximum": -HUGE, "multipleOf": 1e308, "default": 10**4000},
    ),
    "odd values": lambda: described(
        {"type": {}, "enum": {}, "anyOf": {}, "properties": [], "required": {}, "items": 5, "prefixItems": 5,
         "const": [{}], "default": {}, "minimum": "x", "$ref": 5,
         "description": 5, "examples": 5, "propertyNames": 5, "not": {}},
    ),
    "odd lists": lambda: described(
        {"type": "object", "properties": {"": {}, "p": True}, "required": [[], {}, "p", 5], "anyOf": [], "enum": []}
    ),
    "escape sequences": lambda: described(
        {"type": EVIL, "description": EVIL, "default": EVIL, "pattern": EVIL, "properties": {EVIL: {"$ref": EVIL}}},
        summary=EVIL, description=EVIL, errors=[{"code": EVIL, "message": EVIL}],
        examples=[{"name": EVIL, "params": [{"name": EVIL, "value": EVIL}], "result": {"value": EVIL}}],
    ),
}  # fmt: skip
"""By what is wrong with them; each has a method `m`."""
