"""Shows a handler's parameters as a caller would write them, for the messages of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from rpcwire import EncodeError, encode_value

if TYPE_CHECKING:
    from rpcserver.service.signature import Parameter, Signature

_MOST_VALUES = 4
_LONGEST_DEFAULT = 40


def usage(name: str, signature: Signature) -> str:
    """A call's form, as in `add(a: number, b: number = 0)`.

    Args:
        name: the method's name.
        signature: what its handler takes.
    """
    shown = [_parameter(parameter) for parameter in signature.positional]
    if signature.keyword_only:
        shown += ["*", *map(_parameter, signature.keyword_only)]
    return f"{name}({', '.join(shown)})"


def _parameter(parameter: Parameter) -> str:
    kind = _kind(msgspec.json.schema(parameter.type, ref_template="{name}"))
    text = parameter.name if kind == "any" else f"{parameter.name}: {kind}"
    if parameter.required:
        return text
    try:
        default = encode_value(parameter.default).decode()
    except EncodeError:
        default = "…"
    return f"{text} = {default if len(default) <= _LONGEST_DEFAULT else '…'}"


def _kind(schema: Any) -> str:
    """A schema in a word or two: `integer`, `array of Item`, `"red" or "blue"`."""
    if "enum" in schema:
        values = [encode_value(value).decode() for value in schema["enum"][:_MOST_VALUES]]
        return " or ".join(values if len(schema["enum"]) <= _MOST_VALUES else [*values, "…"])
    if "$ref" in schema:
        reference: str = schema["$ref"]
        definition = schema.get("$defs", {}).get(reference, {})
        return _kind(definition) if "enum" in definition else reference
    if "anyOf" in schema:
        return " or ".join(_kind({"$defs": schema.get("$defs", {}), **member}) for member in schema["anyOf"])
    kind: str = schema.get("type", "any")
    if kind == "array" and schema.get("items"):
        return f"array of {_kind({'$defs': schema.get('$defs', {}), **schema['items']})}"
    return kind
