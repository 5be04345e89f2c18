"""What a server offers: an immutable snapshot of its methods, read from an OpenRPC document. No I/O."""

import types
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeGuard

import msgspec

from rpcshell.line.brief import LONGEST_NAME, brief, brief_json, first_line
from rpcshell.line.method_index import MethodIndex
from rpcshell.line.references import escaped_step, is_own_document, rebased, resolve_reference
from rpcshell.line.schema import ANYTHING, Schema, as_schema, is_modern
from rpcshell.line.schema_text import type_text

_LONGEST_TEXT = 20_001
"""Characters of a description that are kept: one more than are ever shown."""

_LONGEST_METHOD = 1000
_LONGEST_NOUN = 20
_LONGEST_DEFAULT = 60
_MOST_SIGNED = 40
"""Parameters in a signature, before and behind the one that it is about."""

_OWN = "x-own"
"""Where in a document the schemas of params and results are kept that are documents of their own."""

_NOTHING: Mapping[str, Any] = types.MappingProxyType({})


class CatalogError(Exception):
    """A document that is no OpenRPC document at all."""


class Param(msgspec.Struct, frozen=True):
    """A parameter of a method that binds by name; `completes` means that the server says what it may be."""

    name: str
    schema: Schema
    required: bool
    description: str = ""
    completes: bool = False

    @property
    def signature(self) -> str:
        """`name: type`, with ` = default` or a `?` where it may be left out."""
        name = brief(self.name, LONGEST_NAME)
        if "default" in self.schema:
            return f"{name}: {type_text(self.schema)} = {brief_json(self.schema['default'], _LONGEST_DEFAULT)}"
        return f"{name}{'' if self.required else '?'}: {type_text(self.schema)}"


class Method(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A method of a server.

    `whole` means that it takes params as one value instead of binding them by name; its only param stands for that
    value. `by_position` means that it takes params as a list only, `by_name` as an object only. `params_schema` is the
    schema of the object by name, or of that value. `examples` and `errors` are as the document has them, into
    which references lead. `modern` schemas say that they are of draft 2019-09 or newer.
    """

    name: str
    summary: str = ""
    description: str = ""
    params: tuple[Param, ...] = ()
    params_schema: Schema = ANYTHING
    whole: bool = False
    by_position: bool = False
    by_name: bool = False
    result_schema: Schema = ANYTHING
    out: str = ""
    idempotent: bool = False
    deprecated: bool = False
    examples: tuple[Mapping[str, Any], ...] = ()
    document: Mapping[str, Any] = _NOTHING
    result_description: str = ""
    errors: tuple[Mapping[str, Any], ...] = ()
    modern: bool = False

    @property
    def signature(self) -> str:
        """How it is called, in one line: `add(a: number, b: number = 0) -> number`."""
        return self.signature_about(None)[0]

    def signature_about(self, index: int | None) -> tuple[str, tuple[int, int] | None]:
        """The signature, and where in it the parameter with this index stands; of very many, those around it.

        Of params of which nothing is known there is a mark alone, of such a result nothing.
        """
        first = max(0 if index is None else index - _MOST_SIGNED, 0)
        last = (first if index is None else index) + _MOST_SIGNED
        texts = [param.signature for param in self.params[first:last]]
        shown = ["…"] * (first > 0) + texts + [f"… {len(self.params) - last:,} more"] * (last < len(self.params))
        if self.untold:
            shown = ["…"]
        name = brief(self.name, LONGEST_NAME)
        text = f"{name}({', '.join(shown)}){self.result_text}"
        if index is None:
            return text, None
        place = index - first + (first > 0)
        start = len(name) + 1 + sum(len(one) + 2 for one in shown[:place])
        return text, (start, start + len(shown[place]))

    @property
    def untold(self) -> bool:
        """Whether nothing is known of its params, not even whether it takes any."""
        return self.whole and not self.params and not self.params_schema

    @property
    def result_text(self) -> str:
        """What a signature ends in: ` -> number`, or nothing where nothing is known of the result."""
        return f" -> {type_text(self.result_schema)}" if self.result_schema else ""

    @cached_property
    def positional_schema(self) -> Schema:
        """The schema of params given by position; of a method that takes them whole, that of the one value."""
        if self.whole:
            return self.params_schema
        needed = [index for index, param in enumerate(self.params, 1) if param.required]
        return {
            "type": "array",
            "prefixItems": [param.schema for param in self.params],
            "items": False,
            "minItems": max(needed, default=0),
            "maxItems": len(self.params),
        }

    def arranged(self, params: object) -> object:
        """Params as the method takes them: those by name as a list, where it takes no others and knows the names.

        What is left out before the last one is its default, or null.
        """
        names = [param.name for param in self.params]
        if not self.by_position or not isinstance(params, dict) or not params.keys() <= set(names):
            return params
        last = max((names.index(name) for name in params), default=-1)
        return [params.get(param.name, param.schema.get("default")) for param in self.params[: last + 1]]

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, or what its `$ref` leads to."""
        return resolve_reference(schema, self.document, modern=self.modern)


class Catalog:
    """The methods of one server at one time; `index` finds them by what a user typed.

    `events` are the names of what it may say unasked, with one line on each. `method_noun` is what it calls a method.
    """

    def __init__(
        self,
        title: str = "",
        version: str = "",
        methods: Mapping[str, Method] = _NOTHING,
        events: Mapping[str, str] = _NOTHING,
        method_noun: str = "method",
    ) -> None:
        self.title: Final = title
        self.version: Final = version
        self.methods: Final = methods
        self.events: Final = events
        self.method_noun: Final = method_noun
        # Not when it is first searched: a key press has no time for that.
        self.index: Final = MethodIndex(methods)

    @classmethod
    def from_openrpc(cls, document: object) -> "Catalog":
        """Read an OpenRPC 1.x document (https://spec.open-rpc.org).

        Half a catalog is better than none: what cannot be read is as if it were not there. Only what is no object with
        a list of methods raises `CatalogError`.
        """
        if not isinstance(document, Mapping) or not isinstance(document.get("methods"), list):
            message = "the server's description of itself is no OpenRPC document: it has no list of methods"
            raise CatalogError(message)
        return _Reader(document).catalog()

    def param_names(self, method: str) -> tuple[str, ...]:
        """The names of a method's params by position; none where the method is not known."""
        found = self.methods.get(method)
        return () if found is None else tuple(param.name for param in found.params)


EMPTY_CATALOG = Catalog()


class _Reader:
    """Reads a document whose schemas may be documents of their own."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._info = _mapping(document.get("info"))
        self._entries = document["methods"]
        self._named_events = document.get("x-events")
        self._components = _mapping(document.get("components"))
        self._own: list[Schema] = []
        schemas = {
            name: rebased(schema, f"#/components/schemas/{escaped_step(name)}") if is_own_document(schema) else schema
            for name, given in _mapping(self._components.get("schemas")).items()
            for schema in (as_schema(given),)
        }
        self._document = {**document, "components": {**self._components, "schemas": schemas}, _OWN: self._own}
        self._modern = any(map(is_modern, schemas.values()))

    def catalog(self) -> Catalog:
        methods = {
            name: self._method(name, entry)
            for entry in self._entries
            if isinstance(entry, Mapping) and _is_name(name := entry.get("name"))
        }
        title, version = _text(self._info.get("title")), _text(self._info.get("version"))
        noun = brief(_text(self._info.get("x-method-noun")), _LONGEST_NOUN) or "method"
        return Catalog(title, version, types.MappingProxyType(methods), self._events(), noun)

    def _events(self) -> Mapping[str, str]:
        events = (_mapping(event) for event in _listed(self._named_events, {}))
        return types.MappingProxyType(
            {
                name: first_line(event.get("summary")) or first_line(event.get("description"))
                for event in events
                if _is_name(name := event.get("name"))
            }
        )

    def _method(self, name: str, entry: Mapping[str, Any]) -> Method:
        listed = entry.get("params")
        params = tuple(
            param
            for item in (listed if isinstance(listed, list) else ())
            if (param := self._param(self._descriptor(item))) is not None
        )
        whole = entry.get("x-params") == "whole"
        description = _text(entry.get("description"))
        result = self._descriptor(entry.get("result"))
        result_schema = self._schema(result.get("schema"))
        params_schema = self._schema(entry["x-params-schema"]) if "x-params-schema" in entry else None
        schemas = (result_schema, params_schema or ANYTHING, *(param.schema for param in params))
        return Method(
            name=name,
            summary=first_line(entry.get("summary")) or first_line(description),
            description=description,
            params=params,
            params_schema=_params_schema(params, whole=whole) if params_schema is None else params_schema,
            whole=whole,
            by_position=not whole and entry.get("paramStructure") == "by-position",
            by_name=not whole and entry.get("paramStructure") == "by-name",
            result_schema=result_schema,
            out=_text(entry.get("x-out")),
            idempotent=entry.get("x-idempotent") is True,
            deprecated=entry.get("deprecated") is True,
            examples=_listed(entry.get("examples"), _mapping(self._components.get("examplePairings"))),
            document=self._document,
            result_description=_text(result.get("description")),
            errors=_listed(entry.get("errors"), _mapping(self._components.get("errors"))),
            modern=self._modern or any(map(is_modern, schemas)),
        )

    def _descriptor(self, item: object) -> Mapping[str, Any]:
        return _followed(item, _mapping(self._components.get("contentDescriptors")))

    def _param(self, descriptor: Mapping[str, Any]) -> Param | None:
        name = descriptor.get("name")
        if not isinstance(name, str):
            return None
        schema = self._schema(descriptor.get("schema"))
        description = _text(descriptor.get("description")) or _text(descriptor.get("summary"))
        description = description or _text(schema.get("description"))
        completes = descriptor.get("x-completes") is True
        return Param(name, schema, descriptor.get("required") is True, description, completes)

    def _schema(self, given: object) -> Schema:
        schema = as_schema(given)
        if is_own_document(schema):
            schema = rebased(schema, f"#/{_OWN}/{len(self._own)}")
            self._own.append(schema)
        return schema


def _listed(listed: object, components: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The objects of a list, references among them followed; what leads nowhere is left out."""
    found = (_followed(item, components) for item in (listed if isinstance(listed, list) else ()))
    return tuple(one for one in found if one)


def _followed(item: object, components: Mapping[str, Any]) -> Mapping[str, Any]:
    part = _mapping(item)
    reference = part.get("$ref")
    if isinstance(reference, str):
        return _mapping(components.get(reference.rsplit("/", 1)[-1]))
    return part


def _params_schema(params: tuple[Param, ...], *, whole: bool) -> Schema:
    if whole:
        return params[0].schema if params else {}
    return {
        "type": "object",
        "properties": {param.name: _described(param) for param in params},
        "required": [param.name for param in params if param.required],
        "additionalProperties": False,
    }


def _described(param: Param) -> Schema:
    if param.description and "description" not in param.schema:
        return {**param.schema, "description": param.description}
    return param.schema


def _is_name(name: object) -> TypeGuard[str]:
    """Whether it can be typed: what is longer than that is left out."""
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_METHOD


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else _NOTHING


def _text(value: object) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
