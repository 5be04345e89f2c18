"""What MCP's tools and resources are as methods, and their results as replies."""

from __future__ import annotations

import json
from typing import Any

from rpcshell.client.dialects.mcp.methods import described, resource_names
from rpcshell.line.catalog import Catalog
from rpcwire import Reply
from tests.rpcshell.client.test_mcp import calling
from tests.rpcshell.feeding import said


def test_results_are_what_people_want_to_see() -> None:
    image = {"type": "image", "data": "AA==", "mimeType": "image/png"}
    results = [
        ({"content": []}, None),
        ({"content": [{"type": "text", "text": "a"}, image]}, ["a", image]),
        ({"content": [{"type": "text", "text": "{}"}], "structuredContent": {"a": 1}}, {"a": 1}),
        ({"content": [image], "structuredContent": 1}, {"structuredContent": 1, "content": [image]}),
        ({}, None),
        ({"content": "a"}, {"content": "a"}),
    ]
    for result, seen in results:
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() + b"\n"
        assert said(calling("t"), line) == [Reply("result", seen, 1)]
        assert said(calling("tools/call"), line) == [Reply("result", result, 1)]


def test_a_tools_schema_is_that_of_its_method() -> None:
    door = {"type": "object", "properties": {"colour": {"$ref": "#/$defs/Colour"}}}
    paint = {
        "name": "paint",
        "description": "Paint.\n\n    More.",
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True},
        "inputSchema": {
            "type": "object",
            "properties": {"door": {"$ref": "#/$defs/Door"}, "coats": {"type": "integer", "default": 1}},
            "required": ["door"],
            "$defs": {"Door": door, "Colour": {"enum": ["red", "green"]}},
        },
    }
    either = {
        "name": "tools/list",
        "inputSchema": {"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]},
    }
    broken: list[Any] = [
        None,
        {"name": 1},
        {"name": "odd", "inputSchema": 7},
        {"name": "odder", "inputSchema": {"properties": []}},
    ]
    lists = {"tools": [paint, either, *broken], "prompts": [], "resources": [], "templates": []}
    methods = Catalog.from_openrpc(described({}, {}, modern=False, **lists).document).methods
    assert list(methods)[:4] == ["paint", "tool:tools/list", "odd", "odder"]
    method = methods["paint"]
    assert method.signature == "paint(door: Door, coats: integer = 1)"
    assert method.by_name
    assert method.idempotent
    assert "may destroy, may be repeated" in method.description
    inner = method.resolve(method.resolve(method.params[0].schema)["properties"]["colour"])
    assert inner["enum"] == ["red", "green"]
    assert methods["tool:tools/list"].params_schema["anyOf"]


def test_resources_of_one_name_are_told_apart_by_their_uris() -> None:
    found = resource_names(
        [{"name": "a", "uri": "x:1"}, {"uri": "x:2"}, {"name": 1}], [{"name": "a", "uriTemplate": "x:{b}"}]
    )
    assert list(found) == ["a", "x:1", "x:2"]
    assert found["a"] == {"name": "a", "uriTemplate": "x:{b}"}
