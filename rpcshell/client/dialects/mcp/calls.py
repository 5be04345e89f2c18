"""Calls of MCP: what a method of the shell is to the protocol, with its headers of HTTP, and what comes of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from rpcshell.client.dialects import Progress
from rpcshell.client.dialects.lenient import as_mapping, as_text
from rpcshell.client.dialects.mcp import methods
from rpcshell.client.dialects.mcp.uri_template import expand
from rpcwire import ERROR_OUT, ErrorCode, Fault, Floats, Reply, encode_value

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
SOUGHT_IN: Final = ("resources/templates/list", "resources/list")
"""Where a resource is looked for by its name, one after the other."""

ROUND: Final = 2**32
"""What the id of a call grows by each time that a request is made for it once more."""


class McpCall(msgspec.Struct):
    """A call that waits for its reply."""

    method: str
    params: dict[str, Any] | None
    plainly: bool
    """Whether it was made by the protocol's own name, so that the whole result is wanted."""

    sought: tuple[str, dict[str, Any]] | None = None
    """The name and the variables of the resource whose URI is looked for first."""

    as_task: bool = False
    """Whether the server is to make a task of it, whose result is asked for apart."""

    task: str | None = None
    """The task that it is."""

    round: int = 0
    wanted: int = 0
    inputs: dict[str, Any] | None = None
    refused: Fault | None = None
    state: Any = UNSET

    @property
    def id_offset(self) -> int:
        """How far its id is from its number."""
        return self.round * ROUND


def routed(
    method: str, params: dict[str, Any] | None, resources: Mapping[str, Mapping[str, Any]], floats: Floats
) -> McpCall:
    """What a method stands for, where these are the names of resources that are known."""
    if methods.is_own_method(method) or method.startswith(methods.PROTOCOL):
        return McpCall(method.removeprefix(methods.PROTOCOL), params, plainly=True)
    if method.startswith(methods.PROMPT):
        named = {"name": method.removeprefix(methods.PROMPT), "arguments": texts(params or {}, floats)}
        return McpCall("prompts/get", named, plainly=False)
    if method.startswith(methods.RESOURCE):
        return _reading(method.removeprefix(methods.RESOURCE), params or {}, resources)
    named = {"name": method.removeprefix(methods.TOOL), "arguments": params or {}}
    return McpCall("tools/call", named, plainly=False)


def _reading(name: str, values: dict[str, Any], resources: Mapping[str, Mapping[str, Any]]) -> McpCall:
    if (resource := resources.get(name)) is not None:
        return McpCall("resources/read", {"uri": uri_of(resource, values)}, plainly=False)
    if _URI.match(name):
        return McpCall("resources/read", {"uri": expand(name, values)}, plainly=False)
    return McpCall(SOUGHT_IN[0], None, plainly=False, sought=(name, values))


def outcome(number: int, call: McpCall, result: dict[str, Any], floats: Floats) -> Reply:
    """The reply to a call that a result is."""
    if call.method == "tools/call" and result.get("isError") is True:
        message, data = methods.error_of(result)
        error = {"code": ErrorCode.APPLICATION_ERROR, "message": message}
        return Reply(ERROR_OUT, error if data is None else {**error, "data": data}, id=number)
    return Reply("result", result if call.plainly else methods.shown(call.method, result, floats), id=number)


def uri_of(resource: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """The URI of a resource, or what its template makes of some values."""
    return expand(resource["uriTemplate"], values) if "uriTemplate" in resource else str(resource["uri"])


def texts(values: Mapping[str, Any], floats: Floats) -> dict[str, str]:
    """Arguments of prompts, which are texts: what is none is what JSON has for it.

    Raises:
        EncodeError: JSON cannot carry it.
    """
    return {
        name: value if isinstance(value, str) else encode_value(value, floats).decode()
        for name, value in values.items()
    }


def header_places(tool: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Which arguments a tool wants in headers, by the paths to them (`x-mcp-header`)."""
    found: dict[str, tuple[str, ...]] = {}
    todo: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [((), as_mapping(tool.get("inputSchema")))]
    while todo:
        path, schema = todo.pop()
        name = schema.get("x-mcp-header")
        if isinstance(name, str) and path and _TOKEN.fullmatch(name):
            found[f"Mcp-Param-{name}"] = path
        todo += [((*path, key), as_mapping(one)) for key, one in as_mapping(schema.get("properties")).items()]
    return found


def header_value(value: str | int) -> str:
    """A value as a header carries it: as it is, or in Base64 where it could not be."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    safe = text.isascii() and text.isprintable() and text == text.strip()
    if safe and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def progress(params: Mapping[Any, Any]) -> Progress:
    """What a notification of progress tells."""
    done, total, text = params.get("progress"), params.get("total"), params.get("message")
    return Progress(_number(done), _number(total), as_text(text))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
