"""Kodi's JSON-RPC (https://kodi.wiki/view/JSON-RPC_API), over TCP and HTTP.

It is JSON-RPC 2.0 without anything between messages. Over TCP all notifications are told unless
JSONRPC.SetConfiguration says which. Discovery asks JSONRPC.Introspect, whose schemas are of a draft of Kodi's own: a
`required` in each property, `enums`, `extends` and a `type` that lists schemas, with `$ref` to types by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rpcshell.client.dialects import Ask, Description, Steps
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.recognition import Guess, Recognition, first_object
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT, granted

_DEEPEST: Final = 20
"""Schemas in each other; Kodi has five."""

_KEPT: Final = frozenset(
    ("description", "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems")
)
"""Keywords that mean the same in any draft."""

_VERSION: Final = b'{"jsonrpc":"2.0","id":1,"method":"JSONRPC.Version"}\n'
_Schema = dict[str, Any]


class Kodi(JsonRpc):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("stream",)
    absent_params: ClassVar[bool] = True
    guesses: ClassVar[tuple[Guess, ...]] = (Guess(_VERSION, "a question of Kodi", refines="jsonrpc"),)

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """The version of the protocol."""
        said = first_object(first, "stream") if guess.said == _VERSION else {}
        return Recognition("kodi") if "version" in as_mapping(said.get("result")) else None

    def describe(self) -> Steps[Description]:
        """Ask for methods, types and notifications, as far as this way to Kodi has them."""
        question = {"getdescriptions": True, "getmetadata": True, "filterbytransport": True}
        return described((yield from granted(Ask("JSONRPC.Introspect", question, timeout=DESCRIPTION_TIMEOUT))))


def described(told: object) -> Description:
    """What JSONRPC.Introspect has told."""
    if not isinstance(told, dict) or not isinstance(told.get("methods"), dict):
        return Description(missing="unknown", reason="JSONRPC.Introspect tells no methods")
    events = [{"name": name, "summary": one.get("description")} for name, one in _members(told, "notifications")]
    types = {name: schema(kind) for name, kind in _members(told, "types")}
    methods = (_method(name, method) for name, method in _members(told, "methods"))
    version = as_text(told.get("version"))
    return Description.of_methods(methods, "Kodi's JSON-RPC", version, schemas=types, events=events)


def _method(name: str, method: _Schema) -> _Schema:
    named = [one for one in as_list(method.get("params")) if isinstance(one, dict)]
    return {
        "name": name,
        "description": method.get("description"),
        "params": [
            {"name": one.get("name"), "required": one.get("required") is True, "schema": schema(one)} for one in named
        ],
        "result": {"name": "result", "schema": schema(method.get("returns"))},
        "x-out": "result",
    }


def schema(told: object, depth: int = 0) -> _Schema:
    """A schema of Kodi's as JSON Schema; what is not as it should be allows anything."""
    if isinstance(told, str):
        told = {"type": told}
    if not isinstance(told, dict) or depth > _DEEPEST:
        return {}
    made: _Schema = {key: told[key] for key in _KEPT & told.keys()}
    if isinstance(reference := told.get("$ref"), str):
        return {**made, **_ref(reference)}
    made |= _typed(told.get("type"), depth)
    made |= {ours: told[theirs] for theirs, ours in (("enum", "enum"), ("enums", "enum")) if theirs in told}
    if "divisibleBy" in told:
        made["multipleOf"] = told["divisibleBy"]
    if isinstance(told.get("properties"), dict):
        named = dict(_members(told, "properties"))
        made["properties"] = {name: schema(one, depth + 1) for name, one in named.items()}
        made["required"] = [name for name, one in named.items() if one.get("required") is True]
    match told.get("items"):
        case list() as items:
            made["prefixItems"] = [schema(one, depth + 1) for one in items]
        case dict() as items:
            made["items"] = schema(items, depth + 1)
    match told.get("additionalProperties"):
        case False:
            made["additionalProperties"] = False
        case dict() as rest:
            made["additionalProperties"] = schema(rest, depth + 1)
    extended = told.get("extends")
    names = extended if isinstance(extended, list) else [extended]
    if parents := [_ref(name) for name in names if isinstance(name, str)]:
        made["allOf"] = parents
    return made


def _typed(kind: object, depth: int) -> _Schema:
    """What a `type` says: a name, of which any is one, or a list of names and schemas."""
    if isinstance(kind, list):
        if all(isinstance(one, str) for one in kind):
            return {} if "any" in kind else {"type": kind}
        return {"anyOf": [schema(one, depth + 1) for one in kind]}
    return {"type": kind} if isinstance(kind, str) and kind != "any" else {}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name.replace('~', '~0').replace('/', '~1')}"}


def _members(told: Mapping[str, Any], key: str) -> list[tuple[str, _Schema]]:
    return [(name, one) for name, one in as_mapping(told.get(key)).items() if isinstance(one, dict)]
