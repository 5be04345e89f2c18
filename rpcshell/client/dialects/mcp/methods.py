"""What an MCP server offers as methods: tools by their own names, prompts and resources behind a prefix, and its own.

Names tell by themselves what is called, so that a call needs no catalog: `echo` and `tool:echo` are a tool,
`prompt:NAME` a prompt, `resource:NAME` and `resource:URI` a resource, `tools/list` and its like the protocol's own
methods, as `mcp:METHOD` is for whichever method. Results are what people want to see of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Final

from rpcshell.client.dialects import Description
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.mcp.uri_template import variables
from rpcshell.client.dialects.method_tables import as_openrpc, method_table
from rpcwire import Floats, MessageError, decode_value, encode_value

TOOL: Final = "tool:"
PROMPT: Final = "prompt:"
RESOURCE: Final = "resource:"
PROTOCOL: Final = "mcp:"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""Of schemas that name none."""

_TEXT: Final = {"type": "string"}

_PLAIN_SCHEMA: Final = frozenset(
    (
        "type",
        "properties",
        "required",
        "title",
        "description",
        "$schema",
        "$defs",
        "definitions",
        "additionalProperties",
    )
)
_HINTS: Final = {
    "readOnlyHint": ("reads only", ""),
    "destructiveHint": ("may destroy", "destroys nothing"),
    "idempotentHint": ("may be repeated", ""),
    "openWorldHint": ("reaches out to the world", ""),
}


def described(
    info: Mapping[str, Any], capabilities: Mapping[str, Any], *, modern: bool, **lists: list[Any]
) -> Description:
    """What a server offers that calls itself so and has listed `tools`, `prompts`, `resources` and `templates`.

    It is `modern` where its protocol has no handshake.
    """
    completes = "completions" in capabilities
    tools = (_tool(tool) for tool in _named(lists["tools"], "name"))
    prompts = (_prompt(prompt, completes) for prompt in _named(lists["prompts"], "name"))
    resources = (
        _resource(name, resource, completes)
        for name, resource in resource_names(lists["resources"], lists["templates"]).items()
    )
    own = (as_openrpc(one) for one in method_table("mcp").offered(capabilities) if one.modern in (None, modern))
    title = as_text(info.get("title")) or as_text(info.get("name"))
    return Description.of_methods((*tools, *prompts, *resources, *own), title, as_text(info.get("version")))


def is_own_method(method: str) -> bool:
    """Whether this is a method of the protocol's own that needs no prefix: no tool is meant by it."""
    known = method in method_table("mcp").methods or method == "initialize"
    return known and not method.startswith(PROTOCOL)


def resource_names(resources: list[Any], templates: list[Any]) -> dict[str, Mapping[str, Any]]:
    """Resources and templates by what they are called behind the prefix: by their URIs where others have the name."""
    found: dict[str, Mapping[str, Any]] = {}
    for resource in (*_named(templates, "uriTemplate"), *_named(resources, "uri")):
        uri = resource["uriTemplate"] if "uriTemplate" in resource else resource["uri"]
        name = as_text(resource.get("name")) or uri
        found[uri if name in found else name] = resource
    return found


def shown(method: str, result: Mapping[str, Any], floats: Floats = "float") -> Any:
    """What people want to see of a result: of `tools/call`, `prompts/get` or `resources/read`, or else all of it."""
    match method:
        case "tools/call":
            return _of_tool(result)
        case "prompts/get":
            return _of_prompt(result)
        case "resources/read":
            return _of_resource(result, floats)
    return result


def error_of(result: Mapping[str, Any]) -> tuple[str, Any]:
    """What a tool says of its failure, and what else there is to it."""
    blocks = as_list(result.get("content"))
    texts = [block["text"] for block in blocks if _is_text(block)]
    rest = [block for block in blocks if not _is_text(block)] or None
    return "\n".join(texts) or "the tool has failed", result.get("structuredContent", rest)


def _of_tool(result: Mapping[str, Any]) -> Any:
    content = result.get("content")
    blocks = [_block(block) for block in content] if isinstance(content, list) else []
    if "structuredContent" not in result and content and not blocks:
        # In another form than it should have, it is shown as it is.
        return result
    if "structuredContent" not in result:
        return _one_or_all(blocks)
    structured = result["structuredContent"]
    # Where it is structured, texts say the same once more; pictures and links do not.
    more = [block for block in blocks if not isinstance(block, str)]
    return {"structuredContent": structured, "content": more} if more else structured


def _of_prompt(result: Mapping[str, Any]) -> Any:
    messages = result.get("messages")
    if not isinstance(messages, list):
        return result
    return [{**one, "content": _block(one.get("content"))} if isinstance(one, Mapping) else one for one in messages]


def _of_resource(result: Mapping[str, Any], floats: Floats) -> Any:
    contents = result.get("contents")
    if not isinstance(contents, list):
        return result
    return _one_or_all([_content(content, floats) for content in contents])


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values or None


def _block(block: Any) -> Any:
    return block["text"] if _is_text(block) else block


def _content(content: Any, floats: Floats) -> Any:
    if not isinstance(content, Mapping) or not isinstance(text := content.get("text"), str):
        return content
    kind = as_text(content.get("mimeType")).partition(";")[0].strip()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return decode_value(text.encode(), floats)
        except (MessageError, UnicodeEncodeError):
            return text
    return text


def _is_text(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _named(listed: list[Any], key: str) -> list[dict[str, Any]]:
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get(key), str) and one[key]]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    name = tool["name"]
    clashes = is_own_method(name) or name.startswith((TOOL, PROMPT, RESOURCE, PROTOCOL))
    hints = as_mapping(tool.get("annotations"))
    method: dict[str, Any] = {
        "name": f"{TOOL}{name}" if clashes else name,
        "description": _description(tool, hints),
        "x-idempotent": hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True,
        **_params(as_mapping(tool.get("inputSchema"))),
    }
    if isinstance(output := tool.get("outputSchema"), dict):
        method["result"] = {"name": "result", "schema": output}
    return method


def _params(schema: dict[str, Any]) -> dict[str, Any]:
    """Parameters one by one, and the schema of all where it says more than that."""
    required = as_list(schema.get("required"))
    params = [
        {"name": name, "schema": _with_definitions(one, schema), "required": name in required}
        for name, one in as_mapping(schema.get("properties")).items()
    ]
    if schema.get("additionalProperties", False) is False and schema.keys() <= _PLAIN_SCHEMA:
        return {"params": params, "paramStructure": "by-name"}
    return {"params": params, "paramStructure": "by-name", "x-params-schema": {"$schema": _DIALECT, **schema}}


def _prompt(prompt: dict[str, Any], completes: bool) -> dict[str, Any]:
    params = [
        {
            "name": argument["name"],
            "description": as_text(argument.get("description")) or as_text(argument.get("title")),
            "required": argument.get("required") is True,
            "schema": _TEXT,
            "x-completes": completes,
        }
        for argument in _named(as_list(prompt.get("arguments")), "name")
    ]
    name = f"{PROMPT}{prompt['name']}"
    return {"name": name, "description": _description(prompt), "params": params, "paramStructure": "by-name"}


def _resource(name: str, resource: Mapping[str, Any], completes: bool) -> dict[str, Any]:
    template = as_text(resource.get("uriTemplate"))
    params = [
        {"name": variable, "required": required, "schema": _TEXT, "x-completes": completes}
        for variable, required in variables(template).items()
    ]
    about = [_description(resource), f"{template or resource['uri']} {as_text(resource.get('mimeType'))}".strip()]
    return {
        "name": f"{RESOURCE}{name}",
        "description": "\n\n".join(filter(None, about)),
        "params": params,
        "paramStructure": "by-name",
        "x-idempotent": True,
    }


def _description(thing: Mapping[str, Any], hints: Mapping[str, Any] = {}) -> str:
    said = [words[0 if hints[hint] else 1] for hint, words in _HINTS.items() if isinstance(hints.get(hint), bool)]
    hinted = ", ".join(filter(None, said))
    text = cleandoc(as_text(thing.get("description"))) or as_text(thing.get("title"))
    return "\n\n".join(filter(None, (text, f"It says of itself: {hinted}." if hinted else "")))


def _with_definitions(schema: Any, whole: Mapping[str, Any]) -> Any:
    """A part of a schema as one of its own, with what it may refer to."""
    if not isinstance(schema, dict) or b'"$ref"' not in encode_value(schema):
        return schema
    kept = {key: whole[key] for key in ("$defs", "definitions", "additionalProperties") if key in whole}
    return {"$schema": whole.get("$schema", _DIALECT), **kept, **schema}
