"""The methods of protocols whose servers tell only what they are capable of, as tables that are shipped with dialects.

The files of JSON beside this have, from what the protocols publish about themselves, the methods with their params and
what a server must be capable of for each. A table is read when it is first needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pkgutil import get_data
from typing import Any, Final, Literal

import msgspec

from rpcshell.client.dialects.steps import Description

_FILE: Final = {"name": "file", "description": "its path", "schema": {"type": "string"}, "x-completes": True}
_PLACE: Final = (
    {"name": "line", "description": "counted from 0", "schema": {"type": "integer", "minimum": 0}},
    {
        "name": "character",
        "description": "counted from 0, in UTF-16 code units",
        "schema": {"type": "integer", "minimum": 0},
    },
)
_REFERENCES: Final = "#/components/schemas/"


class ShippedParam(msgspec.Struct, frozen=True):
    """A parameter by name; `completes` where a server can be asked what it may be."""

    name: str
    schema: dict[str, Any]
    required: bool = False
    completes: bool = False


class ShippedMethod(msgspec.Struct, frozen=True):
    """A method of a protocol."""

    name: str
    summary: str
    needs: str = ""
    """What a server is capable of that has it, with a dot for each step inside; nothing where all have it."""
    modern: bool | None = None
    """Whether it is only in MCP's era without a handshake (True) or only before that (False)."""
    at: Literal["", "file", "position"] = ""
    """Whether it is about a file, or a position in one; `params` are what else it takes."""
    params: list[ShippedParam] = []
    more: bool = False
    """Whether it takes params of the server's own besides."""
    whole: dict[str, Any] | None = None
    """The schema of its params, where these are one object that a server has sent before."""
    replies: bool = True
    """Whether it is a request, and no notification."""

    @property
    def defaults(self) -> dict[str, Any]:
        """What its params are where nobody says."""
        return {param.name: param.schema["default"] for param in self.params if "default" in param.schema}


class MethodTable(msgspec.Struct, frozen=True, dict=True):
    """What is shipped about a protocol."""

    source: str
    requests: list[ShippedMethod]
    """Its requests, those that are most used first."""
    events: list[dict[str, str]] = []
    """What a server may say unasked."""
    schemas: dict[str, Any] = {}
    notifications: list[ShippedMethod] = []
    """What a client may say without getting a reply."""
    client: dict[str, Any] = {}
    """What this client is capable of."""
    languages: dict[str, str] = {}
    """What the endings of files say of their languages."""

    @cached_property
    def methods(self) -> Mapping[str, ShippedMethod]:
        """The methods by name."""
        told = (msgspec.structs.replace(one, replies=False) for one in self.notifications)
        return {method.name: method for method in (*self.requests, *told)}

    def offered(self, capabilities: Any) -> Iterator[ShippedMethod]:
        """The methods of a server that says this of what it is capable of."""
        return (one for one in self.methods.values() if not one.needs or is_capable(capabilities, one.needs))


@cache
def method_table(protocol: str) -> MethodTable:
    """The table of a protocol, by the name of its dialect."""
    # Packages may be in a zip file, which has no paths.
    return msgspec.json.decode(get_data(__package__, f"{protocol}.json") or b"", type=MethodTable)


def is_capable(capabilities: Any, needs: str) -> bool:
    """Whether a server that says this of itself is capable of something."""
    for step in needs.split("."):
        capabilities = capabilities.get(step) if isinstance(capabilities, dict) else None
    return capabilities is not None and capabilities is not False


def described(
    table: MethodTable, capabilities: Mapping[str, Any], title: str = "", version: str = "", noun: str = "method"
) -> Description:
    """What a server with these capabilities offers."""
    methods = map(as_openrpc, table.offered(capabilities))
    return Description.of_methods(methods, title, version, noun, schemas=table.schemas, events=table.events)


def as_openrpc(method: ShippedMethod) -> dict[str, Any]:
    """A method of an OpenRPC document."""
    told = {"name": method.name, "summary": method.summary}
    if method.whole is not None:
        return {**told, "x-params": "whole", "params": [{"name": "params", "schema": method.whole}]}
    told["paramStructure"] = "by-name"
    params = list(_params(method))
    if not (method.at or method.more):
        return {**told, "params": params}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {one["name"]: {"description": one.get("description", ""), **one["schema"]} for one in params},
        "required": [param.name for param in method.params if param.required],
        "additionalProperties": method.more,
    }
    if method.at:
        # A file and a place are a short form of what the protocol has.
        schema["properties"]["textDocument"] = {"$ref": f"{_REFERENCES}TextDocumentIdentifier"}
    if method.at == "position":
        schema["properties"]["position"] = {"$ref": f"{_REFERENCES}Position"}
    return {**told, "params": params, "x-params-schema": schema}


def _params(method: ShippedMethod) -> Iterator[dict[str, Any]]:
    if method.at:
        yield {**_FILE, "required": True}
    if method.at == "position":
        yield from ({**place, "required": True} for place in _PLACE)
    for param in method.params:
        yield {"name": param.name, "schema": param.schema, "required": param.required, "x-completes": param.completes}
