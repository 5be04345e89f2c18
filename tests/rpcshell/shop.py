"""The OpenRPC document of a made-up shop, with something of everything, and the commands of a made-up shell."""

from typing import Any

from rpcshell.line.catalog import Catalog
from rpcshell.line.suggest import ArgumentSpec, CommandSpec, OptionSpec

SCHEMAS: dict[str, Any] = {
    "Item": {
        "type": "object",
        "properties": {
            "sku": {"type": "string", "description": "What it is.\nMore on that."},
            "qty": {"type": "integer", "minimum": 1, "default": 1},
            "color": {"enum": ["red", "dark green"]},
        },
        "required": ["sku"],
        "additionalProperties": False,
    },
    "Cat": {
        "type": "object",
        "properties": {"type": {"const": "cat"}, "lives": {"type": "integer"}},
        "required": ["type", "lives"],
    },
    "Dog": {
        "type": "object",
        "properties": {"type": {"const": "dog"}, "good": {"type": "boolean"}},
        "required": ["type"],
    },
    "Pet": {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]},
    "Tree": {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
    },
    "Loop": {"$ref": "#/components/schemas/Pool"},
    "Pool": {"$ref": "#/components/schemas/Loop"},
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


DOCUMENT: dict[str, Any] = {
    "openrpc": "1.3.2",
    "info": {"title": "shop", "version": "2.1"},
    "methods": [
        {
            "name": "add",
            "summary": "Add two numbers.",
            "params": [
                {"name": "a", "schema": {"type": "number"}, "required": True, "description": "The first."},
                {"name": "b", "schema": {"type": "number", "default": 0}},
            ],
            "result": {"name": "sum", "schema": {"type": "number"}},
            "x-out": "sum",
            "x-idempotent": True,
        },
        {
            "name": "order.create",
            "description": "Make an order.\n\nAnd more.",
            "params": [
                {"name": "item", "schema": _ref("Item"), "required": True},
                {"name": "items", "schema": {"type": "array", "items": _ref("Item")}},
                {"name": "express", "schema": {"type": "boolean", "default": False}},
                {"name": "zip", "schema": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
                {"name": "pet", "schema": _ref("Pet")},
                {"name": "color", "schema": {"enum": ["red", "dark green"]}},
                {"name": "tree", "schema": _ref("Tree")},
                {"name": "loop", "schema": _ref("Loop")},
                {
                    "name": "sizes",
                    "schema": {
                        "type": "object",
                        "propertyNames": {"enum": ["small", "large"]},
                        "additionalProperties": {"enum": [1, 2]},
                    },
                },
            ],
            "result": {"name": "id", "schema": {"type": "string"}},
        },
        {"name": "order.cancel", "summary": "Cancel an order.", "params": [], "deprecated": True},
        {"name": "user.orders", "summary": "Orders of a user.", "params": []},
        {"name": "ping", "x-params": "whole", "params": [{"name": "params", "schema": {}}]},
        {
            "name": "mood",
            "x-params": "whole",
            "params": [{"name": "params", "schema": {"enum": ["good", "bad"]}, "required": True}],
        },
        {"name": "odd name", "summary": "A name with a blank.", "params": []},
    ],
    "components": {"schemas": SCHEMAS},
}

CATALOG = Catalog.from_openrpc(DOCUMENT)

COMMANDS = (
    CommandSpec(
        "spawn",
        "Start a server.",
        (
            OptionSpec(("-w", "--workers"), "How many workers.", takes_value=True, kind="int"),
            OptionSpec(("-m", "--model"), "The worker model.", takes_value=True, choices=("sync", "thread")),
            OptionSpec(("--keep",), "Keep it."),
        ),
        (ArgumentSpec("app", "path", required=False),),
    ),
    CommandSpec("help", "Show help.", (), (ArgumentSpec("topic", "command", required=False),)),
    CommandSpec("connect", "Connect to a target.", (), (ArgumentSpec("target", "target"),)),
    CommandSpec("describe", "Describe methods.", (), (ArgumentSpec("method", "method", many=True),)),
    CommandSpec("set", "Set a setting.", (), (ArgumentSpec("name", "setting"), ArgumentSpec("value", "setting_value"))),
    CommandSpec(
        "watch",
        "Call again and again.",
        (OptionSpec(("-n", "--count"), "How often.", takes_value=True, kind="int"),),
        (ArgumentSpec("seconds"), ArgumentSpec("call", "call")),
        ("w",),
    ),
    CommandSpec("drill", "Break it.", (), (ArgumentSpec("kind", choices=("kill", "hold")),), group="Break it"),
    CommandSpec("drill kill", "Kill one.", (OptionSpec(("--yes",)),), (ArgumentSpec("worker"),), ("kill",), "Break it"),
)
