"""What MCP says in headers of HTTP too: names and arguments, for whoever passes requests on unread."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from rpcshell.client.dialects.lenient import as_mapping

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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
