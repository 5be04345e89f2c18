"""A call of a method to start from, made of its own examples or of its schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rpcshell.line.language import unparse
from rpcshell.line.schema import alternatives, as_schema, fixed_values, properties, type_names

if TYPE_CHECKING:
    from rpcshell.line.catalog import Method
    from rpcshell.line.schema import Resolver, Schema

__all__ = ["example_call", "own_examples"]

_DEPTH: Final = 6
_NUMBERED: Final = re.compile(r"example \d+")
"""A name that a server gives to an example without one."""

_VALUES: Final = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def example_call(method: Method) -> str:
    """A line that calls a method, ready to be pasted.

    An example of the server's own comes first; else the params are made up: those that are required, or all where
    none is.
    """
    given = _own_example(method)
    if given is not None:
        return unparse(method.name, given[0])
    if method.whole:
        schema = method.params_schema
        known = bool(type_names(schema) or fixed_values(schema) or "$ref" in schema or "anyOf" in schema)
        return unparse(method.name, _value(schema, method.resolve, 0) if known else {"a": 1})
    if not method.params:
        return unparse(method.name, {}).removesuffix(" {}")
    required = [param for param in method.params if param.required]
    params = {param.name: _value(param.schema, method.resolve, 0) for param in required or method.params}
    return unparse(method.name, params)


def own_examples(method: Method) -> list[tuple[str, str, tuple[Any] | None]]:
    """The server's own examples: a line, what it is about, and its result where that is told."""
    found = []
    for example in method.examples:
        params = _params_of(example, method)
        if params is None:
            continue
        about = next(
            (text for key in ("description", "summary", "name") if isinstance(text := example.get(key), str)), ""
        )
        result = example.get("result")
        told = (result["value"],) if isinstance(result, dict) and "value" in result else None
        line = unparse(method.name, params[0])
        found.append(
            (line if method.params else line.removesuffix(" {}"), "" if _NUMBERED.fullmatch(about) else about, told)
        )
    return found


def _own_example(method: Method) -> tuple[Any] | None:
    """The params of the first example that has any that JSON can carry."""
    return next((params for example in method.examples if (params := _params_of(example, method)) is not None), None)


def _params_of(example: Any, method: Method) -> tuple[Any] | None:
    """The params of an example pairing (OpenRPC 1.x), or None where they cannot be had."""
    listed = example.get("params") if isinstance(example, dict) else None
    if not isinstance(listed, list):
        return None
    values = [item["value"] for item in listed if isinstance(item, dict) and "value" in item]
    if len(values) != len(listed) or (not values and method.params):
        return None
    if method.whole:
        return (values[0],) if values else (None,)
    names = [item.get("name") for item in listed]
    if all(isinstance(name, str) for name in names):
        return (dict(zip(names, values, strict=True)),)
    return None


def _value(schema: Schema, resolve: Resolver, depth: int) -> Any:
    """A value that meets a schema, as plain as can be."""
    choices = alternatives(schema, resolve)
    branch = next((choice for choice in choices if type_names(choice) != {"null"}), choices[0] if choices else {})
    for key in ("examples", "enum"):
        listed = branch.get(key)
        if isinstance(listed, list) and listed:
            return listed[0]
    for key in ("const", "default"):
        if branch.get(key) is not None:
            return branch[key]
    names = type_names(branch) - {"null"}
    if "object" in names and depth < _DEPTH:
        found = properties(branch, resolve)
        return {name: _value(one.schema, resolve, depth + 1) for name, one in found.items() if one.required}
    if "array" in names and depth < _DEPTH and isinstance(branch.get("items"), dict):
        return [_value(as_schema(branch["items"]), resolve, depth + 1)]
    low = branch.get("minimum", branch.get("exclusiveMinimum"))
    if names & {"integer", "number"} and isinstance(low, int) and low >= 1:
        return low if "minimum" in branch else low + 1
    return next((value for name, value in _VALUES.items() if name in names), 1)
