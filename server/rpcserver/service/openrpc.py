"""Describes a service as an OpenRPC document, for `rpc.discover`.

Follows the OpenRPC specification 1.3.2; the schemas are JSON Schema as msgspec writes it. Beyond that each method
says `x-out` (the out name of its replies), `x-idempotent`, and `x-params: "whole"` where params are taken whole.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from rpcserver.service.signature import schema_of_object
from rpcserver.service.source import unwrapped
from rpcwire import EncodeError, encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.service.endpoint import Endpoint
    from rpcserver.service.service import Example, Service
    from rpcserver.service.signature import Parameter, Signature

_OPENRPC_VERSION: Final = "1.3.2"

Schema = dict[str, Any]

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]*):\s*$")
_PARAMETERS = frozenset({"Args", "Arguments", "Parameters", "Params", "Keyword Args", "Keyword Arguments"})
_RETURNS = frozenset({"Returns", "Return"})
_ITEM = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)$")
_FIELD = re.compile(
    r"^:(?P<kind>param|parameter|arg|argument|type|returns?|rtype|raises?)(?P<subject>[^:]*):\s*(?P<text>.*)$"
)


def openrpc_document(service: Service, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Describe a service."""
    types = [
        type_
        for endpoint in endpoints
        for type_ in (*(parameter.type for parameter in endpoint.signature.parameters), endpoint.signature.result)
    ]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}", schema_hook=schema_of_object
    )
    remaining = iter(schemas)
    methods = []
    for endpoint in endpoints:
        parameters = [next(remaining) for _ in endpoint.signature.parameters]
        methods.append(_method(endpoint, parameters, next(remaining)))
    info = {"title": service.name, "version": service.version}
    if service.description:
        info["description"] = service.description
    document: dict[str, Any] = {"openrpc": _OPENRPC_VERSION, "info": info, "methods": methods}
    if components:
        document["components"] = {"schemas": components}
    return document


def _method(endpoint: Endpoint, parameters: Sequence[Schema], result: Schema) -> dict[str, Any]:
    registered, signature = endpoint.method, endpoint.signature
    said = read_docstring(unwrapped(registered.handler).__doc__)
    method: dict[str, Any] = {"name": registered.name}
    summary = said.summary if registered.summary is None else registered.summary
    if summary:
        method["summary"] = summary
    if said.description:
        method["description"] = said.description
    method["paramStructure"] = "by-name" if signature.keyword_only else "either"
    described = [
        _parameter(parameter, schema, said) for parameter, schema in zip(signature.parameters, parameters, strict=True)
    ]
    # OpenRPC wants what is required before what is not; only where params go by name may that change the order.
    method["params"] = sorted(described, key=lambda descriptor: not descriptor["required"])
    method["result"] = {"name": "result", "schema": result}
    if said.returns:
        method["result"]["description"] = said.returns
    if registered.deprecated:
        method["deprecated"] = True
    if registered.examples:
        method["examples"] = [
            _example(example, number, signature) for number, example in enumerate(registered.examples, 1)
        ]
    method["x-out"] = registered.out
    method["x-idempotent"] = registered.idempotent
    if signature.whole:
        method["x-params"] = "whole"
    return method


def _parameter(parameter: Parameter, schema: Schema, said: Docstring) -> dict[str, Any]:
    descriptor: dict[str, Any] = {"name": parameter.name}
    description = said.parameters.get(parameter.name) or schema.get("description")
    if description:
        descriptor["description"] = description
    descriptor["required"] = parameter.required
    descriptor["schema"] = schema if parameter.required else _with_default(schema, parameter.default)
    return descriptor


def _with_default(schema: Schema, default: Any) -> Schema:
    """The schema with the default, where JSON can say it."""
    try:
        value = msgspec.json.decode(encode_value(default))
    except EncodeError:
        return schema
    return {**schema, "default": value}


def _example(example: Example, number: int, signature: Signature) -> dict[str, Any]:
    pairing: dict[str, Any] = {"name": example.name or f"example {number}"}
    if example.description:
        pairing["description"] = example.description
    params = msgspec.json.decode(encode_value(example.params))
    if signature.whole:
        pairing["params"] = [{"name": signature.parameters[0].name, "value": params}]
    elif isinstance(params, list):
        names = [parameter.name for parameter in signature.positional]
        pairing["params"] = [{"name": name, "value": value} for name, value in zip(names, params, strict=False)]
    else:
        pairing["params"] = [{"name": name, "value": value} for name, value in (params or {}).items()]
    if example.result is not UNSET:
        pairing["result"] = {"name": "result", "value": msgspec.json.decode(encode_value(example.result))}
    return pairing


class Docstring(msgspec.Struct, frozen=True):
    """What a docstring says."""

    summary: str
    description: str
    parameters: dict[str, str]
    returns: str


def read_docstring(text: str | None) -> Docstring:
    """Read a docstring as it stands in the source."""
    lines = inspect.cleandoc(text or "").splitlines()
    body: list[str] = []
    parameters: dict[str, str] = {}
    returns: list[str] = []
    index = 0
    while index < len(lines):
        section = _SECTION.match(lines[index])
        field = _FIELD.match(lines[index])
        if section is not None and section["title"] in _PARAMETERS | _RETURNS:
            block, index = _indented(lines, index + 1)
            if section["title"] in _RETURNS:
                returns += block
            else:
                parameters |= _items(block)
        elif field is not None:
            block, index = _indented(lines, index + 1)
            _take_field(field, [field["text"], *block], parameters, returns)
        else:
            body.append(lines[index])
            index += 1
    summary, _, description = "\n".join(body).strip().partition("\n\n")
    return Docstring(_joined(summary.splitlines()), description.strip(), parameters, _joined(returns))


def _take_field(field: re.Match[str], block: list[str], parameters: dict[str, str], returns: list[str]) -> None:
    words = field["subject"].split()
    if field["kind"] in {"param", "parameter", "arg", "argument"} and words:
        parameters[words[-1].lstrip("*")] = _joined(block)
    elif field["kind"] in {"return", "returns"}:
        returns += block


def _indented(lines: list[str], start: int) -> tuple[list[str], int]:
    """The block of indented and empty lines from a place on, without its indentation, and where it ends."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end][:1].isspace()):
        end += 1
    return inspect.cleandoc("\n" + "\n".join(lines[start:end])).splitlines(), end


def _items(block: list[str]) -> dict[str, str]:
    items: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block:
        item = None if line[:1].isspace() else _ITEM.match(line)
        if item is None:
            current.append(line)
        else:
            current = items.setdefault(item["name"], [])
            current.append(item["text"])
    return {name: _joined(text) for name, text in items.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
