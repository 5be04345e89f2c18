"""What `query-qmp-schema` tells (QEMU's qapi/introspect.json), as an OpenRPC document.

QEMU hides the names of its types behind numbers. Built-in types, enums, arrays and alternates need no names: they stand
where they are used. An object is called after the first command that leads to it: `blockdev-add` is what that takes,
`query-block.result` what that returns, `nbd-server-start.addr` a member of that name, `blockdev-add:qcow2` a variant of
a union.

A union becomes an object with the members that all variants have, and a `discriminator` that leads from each value of
its tag to the object of that variant. Half a schema is better than none: what is not as it should be allows anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rpcshell.client.dialects import Description
from rpcshell.client.dialects.lenient import as_list

_OPEN: Final = frozenset(("device_add", "netdev_add"))
"""Commands that take more members than the schema has, where they take no union."""

_JSON_TYPES: Final = {"int": "integer"}
_DEEPEST: Final = 20
"""Arrays and alternates in each other; QAPI has two."""

_DEEPEST_VARIANT: Final = 3
_MOST_VARIANTS: Final = 5_000

_Schema = dict[str, Any]


def described(entries: object, title: str, version: str = "") -> Description:
    """What a server's schema says of its commands."""
    if not isinstance(entries, list):
        return Description(missing="unknown", reason="its schema is no list")
    types = {name: entry for entry in entries if isinstance(entry, dict) and isinstance(name := entry.get("name"), str)}
    return _Reader(types).description(title, version)


class _Reader:
    def __init__(self, types: Mapping[str, _Schema]) -> None:
        self._types = types
        self._commands = [entry for entry in types.values() if entry.get("meta-type") == "command"]
        self._names: dict[str, str] = {}
        self._schemas: dict[str, _Schema] = {}
        self._known: dict[str, _Schema] = {}
        self._variants_left = _MOST_VARIANTS
        self._name_objects()

    def description(self, title: str, version: str) -> Description:
        for type_name, name in self._names.items():
            self._schemas[name] = self._object(name, self._types[type_name])
        events = [self._event(entry) for entry in self._types.values() if entry.get("meta-type") == "event"]
        methods = map(self._method, self._commands)
        return Description.of_methods(methods, title, version, "command", schemas=self._schemas, events=events)

    def _name_objects(self) -> None:
        """Give every object the name of the shortest way to it, from arguments first."""
        todo = deque((command.get("arg-type"), command["name"]) for command in self._commands)
        todo += ((command.get("ret-type"), f"{command['name']}.result") for command in self._commands)
        seen: set[str] = set()
        taken: set[str] = set()
        while todo:
            type_name, name = todo.popleft()
            if not isinstance(type_name, str) or type_name in seen:
                continue
            seen.add(type_name)
            entry = self._types.get(type_name, {})
            match entry.get("meta-type"):
                case "array":
                    todo.append((entry.get("element-type"), name))
                case "alternate":
                    todo += ((member.get("type"), name) for member in _listed(entry, "members"))
                case "object" if not _is_empty(entry):
                    while name in taken:
                        name += "'"
                    taken.add(name)
                    self._names[type_name] = name
                    todo += _parts(entry, name)
                    for case, variant in self._variants(entry):
                        todo += _parts(variant, f"{name}:{case}")

    def _method(self, command: _Schema) -> dict[str, Any]:
        taken = self._types.get(str(command.get("arg-type")), {})
        schema = self._schema(command.get("arg-type"))
        if command["name"] in _OPEN and not _is_union(taken):
            schema = self._object(command["name"], taken)
            del schema["additionalProperties"]
        return {
            "name": command["name"],
            "paramStructure": "by-name",
            "params": [
                {"name": member["name"], "schema": self._member(member), "required": not _is_optional(member)}
                for member in _named(taken, "members")
            ],
            "x-params-schema": schema,
            "result": {"name": "return", "schema": self._schema(command.get("ret-type"))},
            "x-out": "return",
            **_features(command, "summary"),
        }

    def _event(self, entry: _Schema) -> dict[str, Any]:
        data = self._types.get(str(entry.get("arg-type")), {})
        names = [member["name"] + "?" * _is_optional(member) for member in _named(data, "members")]
        return {"name": entry["name"], "summary": ", ".join(names)}

    def _schema(self, type_name: object, depth: int = 0) -> _Schema:
        """A type, where it is used."""
        if isinstance(type_name, str) and (known := self._known.get(type_name)) is not None:
            return known
        schema = self._new_schema(type_name, depth)
        if isinstance(type_name, str) and not depth:
            self._known[type_name] = schema
        return schema

    def _new_schema(self, type_name: object, depth: int) -> _Schema:
        entry = self._types.get(type_name, {}) if isinstance(type_name, str) else {}
        if depth > _DEEPEST:
            return {}
        match entry.get("meta-type"):
            case "builtin" if (found := entry.get("json-type")) != "value":
                return {"type": _JSON_TYPES.get(str(found), found)}
            case "enum":
                return {"type": "string", "enum": [one for one in _values(entry) if isinstance(one, str)]}
            case "array":
                return {"type": "array", "items": self._schema(entry.get("element-type"), depth + 1)}
            case "alternate" if members := _listed(entry, "members"):
                return {"anyOf": [self._schema(member.get("type"), depth + 1) for member in members]}
            case "object" if _is_empty(entry):
                return {"type": "object", "additionalProperties": False}
            case "object" if (name := self._names.get(str(type_name))) is not None:
                return {"$ref": f"#/components/schemas/{_step(name)}"}
        return {}

    def _member(self, member: _Schema) -> _Schema:
        schema, features = self._schema(member.get("type")), _features(member, "description")
        return {**schema, **features} if features else schema

    def _object(self, name: str, entry: _Schema, outer: _Schema | None = None, depth: int = 0) -> _Schema:
        """An object; of a variant also with what the union has around it."""
        members = sorted(_named(entry, "members"), key=_is_optional)
        properties = {member["name"]: self._member(member) for member in members}
        required = [member["name"] for member in members if not _is_optional(member)]
        if outer is not None:
            properties |= outer["properties"]
            required += outer["required"]
        schema: _Schema = {"type": "object", "properties": properties, "required": required}
        if not _is_union(entry):
            return {**schema, "additionalProperties": False}
        if depth >= _DEEPEST_VARIANT:
            return schema
        mapping: dict[str, str] = {}
        for case, variant in self._variants(entry):
            self._variants_left -= 1
            if self._variants_left < 0:
                break
            inner = f"{name}:{case}"
            self._schemas[inner] = self._object(inner, variant, schema, depth + 1)
            mapping[case] = f"#/components/schemas/{_step(inner)}"
        return {**schema, "discriminator": {"propertyName": entry["tag"], "mapping": mapping}}

    def _variants(self, entry: _Schema) -> Iterator[tuple[str, _Schema]]:
        """Each value of the tag with its object; what has no variant of its own has no members of its own."""
        if not _is_union(entry):
            return
        objects = {
            str(one.get("case")): self._types.get(str(one.get("type")), {}) for one in _listed(entry, "variants")
        }
        tag = next((member for member in _named(entry, "members") if member["name"] == entry["tag"]), {})
        for value in _values(self._types.get(str(tag.get("type")), {})):
            objects.setdefault(str(value), {})
        yield from objects.items()


def _is_union(entry: _Schema) -> bool:
    return isinstance(entry.get("tag"), str)


def _is_empty(entry: _Schema) -> bool:
    return not (_listed(entry, "members") or _is_union(entry))


def _is_optional(member: _Schema) -> bool:
    return "default" in member


def _values(enum: _Schema) -> list[Any]:
    """The values of an enum; members have them too, with more to say, from QEMU 6.2 on."""
    values = enum.get("values")
    return values if isinstance(values, list) else [member["name"] for member in _named(enum, "members")]


def _listed(entry: _Schema, key: str) -> list[_Schema]:
    return [one for one in as_list(entry.get(key)) if isinstance(one, dict)]


def _named(entry: _Schema, key: str) -> list[_Schema]:
    return [one for one in _listed(entry, key) if isinstance(one.get("name"), str)]


def _parts(entry: _Schema, name: str) -> Iterator[tuple[object, str]]:
    """The types of the members of an object, and what they would be called."""
    return ((member.get("type"), f"{name}.{member['name']}") for member in _named(entry, "members"))


def _features(entry: _Schema, text: str) -> dict[str, Any]:
    """What is special about a command or a member: whether it goes away, and the rest as a text."""
    names = [name for name in as_list(entry.get("features")) if isinstance(name, str)]
    rest = ", ".join(name for name in names if name != "deprecated")
    return {**({"deprecated": True} if "deprecated" in names else {}), **({text: rest} if rest else {})}


def _step(name: str) -> str:
    return name.replace("%", "%25").replace("~", "~0").replace("/", "~1")
