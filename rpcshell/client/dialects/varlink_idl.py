"""Varlink's interface definitions (https://varlink.org/Interface-Definition), as the parts of an OpenRPC document.

A comment documents what comes after it: a member, a field or a value of an enum. Half a definition
is better than none: a member that cannot be read is left out, and the next one is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_TOKEN: Final = re.compile(
    r"""
      (?P<comment> \#[^\n]* (?: \n[^\S\n]* \#[^\n]* )* )
    | (?P<word> [A-Za-z0-9] [A-Za-z0-9_.-]* )
    | (?P<mark> -> | \[ \s* \w* \s* \] | [(),:?] )
    | (?P<blank> \s+ )
    | (?P<other> . )
    """,
    re.VERBOSE,
)
_MEMBERS: Final = frozenset(("type", "method", "error"))
_BUILTIN: Final[Mapping[str, Mapping[str, Any]]] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "string": {"type": "string"},
    "object": {"type": "object"},
    "any": {},
}
_LONGEST: Final = 1_000_000
"""Characters of a definition; systemd's longest has some 20,000."""

_DEEPEST: Final = 40
"""Types in each other."""

_MOST_DOCUMENTED: Final = 60
"""Values of an enum that are told apart by what is said of each."""

_Schema = dict[str, Any]


class Interface(msgspec.Struct):
    """What an interface defines: JSON Schemas by the names of types, and methods and errors as OpenRPC has them.

    Before the names of these is the interface's. Any method may have any error.
    """

    types: dict[str, _Schema] = {}
    methods: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []


def parse(name: str, text: str, types_at: str) -> Interface:
    """Read the definition of an interface, whose types are put in the document at `types_at`, as `#/place`."""
    return _Parser(name, text[:_LONGEST], types_at).interface()


class _Unreadable(Exception):
    """The text is no definition here."""


class _Parser:
    def __init__(self, name: str, text: str, types_at: str) -> None:
        self._name = name
        self._types_at = types_at
        self._tokens: list[tuple[str, str]] = []
        """Each token with the comment that documents it."""
        self._next = 0
        self._tokenize(text)

    def _tokenize(self, text: str) -> None:
        comment, row_begins = "", True
        for found in _TOKEN.finditer(text):
            match found.lastgroup:
                case "comment":
                    # What stands behind something in its row is about that, and documents nothing.
                    comment = found[0] if row_begins else ""
                case "blank":
                    row_begins = row_begins or "\n" in found[0]
                case _:
                    self._tokens.append(("".join(found[0].split()), comment))
                    comment, row_begins = "", False
        self._tokens.append(("", ""))

    def interface(self) -> Interface:
        interface = Interface()
        while self._seen:
            at = self._next
            description = self._description()
            kind = self._take()
            try:
                if kind in _MEMBERS:
                    self._member(interface, kind, description)
            except _Unreadable:
                # A field may be called as a kind of member is, but no type is named like one.
                self._next = at + 1
                while self._seen and not (self._seen in _MEMBERS and self._tokens[self._next + 1][0][:1].isupper()):
                    self._next += 1
        return interface

    def _member(self, interface: Interface, kind: str, description: str) -> None:
        name = self._take()
        if not name[:1].isupper():
            raise _Unreadable
        full_name = f"{self._name}.{name}"
        if kind == "type":
            schema = self._struct(0)
            interface.types[name] = {**schema, "description": description} if description else schema
        elif kind == "error":
            data = {} if self._seen != "(" else self._struct(0)
            interface.errors.append({"code": -32000, "message": full_name, "data": data, "description": description})
        else:
            taken = self._struct(0)
            self._expect("->")
            given = self._struct(0)
            interface.methods.append(_method(full_name, description, taken, given))

    def _type(self, depth: int) -> _Schema:
        if depth > _DEEPEST:
            raise _Unreadable
        match self._seen:
            case "?":
                self._take()
                return {"anyOf": [self._type(depth + 1), {"type": "null"}]}
            case "[]":
                self._take()
                return {"type": "array", "items": self._type(depth + 1)}
            case "[string]":
                self._take()
                return {"type": "object", "additionalProperties": self._type(depth + 1)}
            case "(":
                return self._struct(depth + 1)
        name = self._take()
        if name in _BUILTIN:
            return dict(_BUILTIN[name])
        if not name[:1].isupper():
            raise _Unreadable
        return {"$ref": f"{self._types_at}/{name}"}

    def _struct(self, depth: int) -> _Schema:
        """A struct, or an enum: which one it is shows behind the first name."""
        self._expect("(")
        fields: dict[str, _Schema] = {}
        values: dict[str, str] = {}
        while self._seen != ")":
            description, name = self._description(), self._take()
            if not name[:1].isalnum():
                raise _Unreadable
            if self._seen == ":":
                self._take()
                schema = self._type(depth)
                fields[name] = {**schema, "description": description} if description else schema
            else:
                values[name] = description
            if self._seen != ")":
                self._expect(",")
        self._take()
        if bool(fields) and bool(values):
            raise _Unreadable
        return _enum(values) if values else _object(fields)

    @property
    def _seen(self) -> str:
        """The token that is next; nothing at the end."""
        return self._tokens[self._next][0]

    def _description(self) -> str:
        """What is said of the token that is next."""
        rows = self._tokens[self._next][1].split("\n")
        return "\n".join(row.strip().removeprefix("#").strip() for row in rows)

    def _take(self) -> str:
        token = self._seen
        if not token:
            raise _Unreadable
        self._next += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise _Unreadable


def _method(name: str, description: str, taken: _Schema, given: _Schema) -> dict[str, Any]:
    properties, required = taken.get("properties", {}), taken.get("required", ())
    return {
        "name": name,
        "description": description,
        "paramStructure": "by-name",
        "params": [
            {"name": field, "schema": schema, "required": field in required} for field, schema in properties.items()
        ],
        "result": {"name": "parameters", "schema": given},
        "x-out": "parameters",
    }


def _object(fields: dict[str, _Schema]) -> _Schema:
    optional = [name for name, schema in fields.items() if {"type": "null"} in schema.get("anyOf", ())]
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _enum(values: dict[str, str]) -> _Schema:
    if any(values.values()) and len(values) <= _MOST_DOCUMENTED:
        return {"anyOf": [{"const": name, "description": said} for name, said in values.items()]}
    return {"type": "string", "enum": list(values)}
