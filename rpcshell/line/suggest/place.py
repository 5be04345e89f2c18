"""Where in the params of a call a cursor is: at a key or at a value, and under which schema."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import msgspec

from rpcshell.line.catalog import Method
from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    Line,
    Member,
    MissingNode,
    Node,
    ObjectNode,
    TokenKind,
    WordNode,
    scalar_items,
    scalars,
)
from rpcshell.line.properties import Properties, property_schema
from rpcshell.line.schema import ANYTHING, Resolver, Schema, item_schema

_NO_TOKENS = frozenset({TokenKind.WHITESPACE, TokenKind.COMMENT})


class KeyPlace(msgspec.Struct, frozen=True):
    """A key is, or could be, typed here.

    `typed` is the key left of the cursor, an opening quote included, and `start` to `end` the text to be replaced.
    `others` are the keys that are there besides, `present` the scalar values of those. `quoting` is the first character
    of the key nearest to it. `followed` means that its `:` or `=` is there already.
    """

    schema: Schema
    start: int
    end: int
    typed: str
    others: frozenset[str]
    present: Mapping[str, Any]
    quoting: str
    pair: bool
    followed: bool


class ValuePlace(msgspec.Struct, frozen=True):
    """A value is, or could be, typed here; the fields are those of `KeyPlace`.

    `field` is the name nearest to it: its key, or that of the list it is in; empty if there is none.
    """

    schema: Schema
    start: int
    end: int
    typed: str
    pair: bool
    field: str


Place = KeyPlace | ValuePlace


def find_places(line: Line, call: CallLine, cursor: int, method: Method) -> tuple[Place, ...]:
    """The places that a cursor right of the method's name may be taken for, the likelier first."""
    finder = _Finder(line, cursor, method.resolve)
    params = call.params
    if params is None or (isinstance(params, WordNode) and finder.touches(params)):
        node = params or MissingNode(cursor, cursor)
        key = finder.new_key(method.params_schema, node)
        schema = method.positional_schema if method.by_position else method.params_schema
        return (key, ValuePlace(schema, node.start, node.end, key.typed, pair=False, field=""))
    if call.form == "pairs" and isinstance(params, ObjectNode):
        place = finder.in_pairs(params, method.params_schema)
    else:
        listed = isinstance(params, ArrayNode)
        by_position = listed and not method.whole
        schema = method.positional_schema if by_position else method.params_schema
        names = tuple(param.name for param in method.params) if by_position else ()
        if method.by_name if listed else method.by_position:
            # What it does not take has no places of its own.
            schema, names = ANYTHING, ()
        place = finder.in_value(params, schema, names=names)
    return () if place is None else (place,)


class Spot(msgspec.Struct, frozen=True):
    """The innermost object a cursor is in whose keys are known.

    `trail` has the names that lead to it, with `[]` for an item of a list; it is empty for the params themselves. `key`
    is the key that the cursor is at, or at the value of.
    """

    trail: tuple[str, ...]
    schema: Schema
    present: Mapping[str, Any]
    key: str


def find_spot(call: CallLine, cursor: int, method: Method) -> Spot:
    """Where in the params of a call a cursor is, as a reader of its documentation needs to know."""
    spot = Spot((), method.params_schema, {}, "")
    node: Node | None = call.params
    schema = method.positional_schema if isinstance(node, ArrayNode) else method.params_schema
    trail: tuple[str, ...] = ()
    while node is not None:
        inner: Node | None = None
        if isinstance(node, ObjectNode):
            at = next((one for one in reversed(node.members) if one.start <= cursor), None)
            if at is not None and cursor > at.value.end and (node.closed or not isinstance(at.value, MissingNode)):
                at = None
            present = scalars(tuple(one for one in node.members if one is not at))
            if not trail or Properties(schema, method.resolve, present):
                spot = Spot(trail, schema, present, "" if at is None else at.key)
            if at is not None:
                schema = property_schema(schema, at.key, method.resolve, present) or ANYTHING
                trail, inner = (*trail, at.key), at.value
        elif isinstance(node, ArrayNode):
            index = sum(item.end < cursor for item in node.items)
            inner = node.items[index] if index < len(node.items) else None
            if node is call.params and not method.whole and index < len(method.params):
                spot = Spot((), method.params_schema, {}, method.params[index].name)
                trail = (method.params[index].name,)
            else:
                trail = (*trail[:-1], f"{trail[-1] if trail else ''}[]")
            before = scalar_items(node.items[:index])
            schema = item_schema(schema, index, method.resolve, before) or ANYTHING
        node = inner if isinstance(inner, ObjectNode | ArrayNode) and _around(inner, cursor) else None
    return spot


def _around(node: ObjectNode | ArrayNode, cursor: int) -> bool:
    return node.start < cursor and (cursor < node.end or not node.closed)


class _Finder:
    def __init__(self, line: Line, cursor: int, resolve: Resolver) -> None:
        self._line = line
        self._text = line.text
        self._cursor = cursor
        self._resolve = resolve

    def touches(self, node: Node | Member) -> bool:
        return node.start <= self._cursor <= node.end

    def _replaced(self, start: int, end: int) -> tuple[int, int]:
        """The span to replace: an open string runs to the end of the line, but only up to the cursor is it meant."""
        if not self._line.complete and end == len(self._text) and self._text[start] in "\"'":
            return start, self._cursor
        return start, end

    def new_key(self, schema: Schema, node: Node) -> KeyPlace:
        """The key of a first pair, at a word that is nothing else yet."""
        typed = self._text[node.start : self._cursor]
        return KeyPlace(schema, node.start, node.end, typed, frozenset(), {}, "", pair=True, followed=False)

    def in_pairs(self, params: ObjectNode, schema: Schema) -> Place | None:
        for member in params.members:
            if self.touches(member):
                return self._key(params, member, schema, pair=True)
            if self.touches(member.value):
                return self.in_value(member.value, self._property(params, member, schema), pair=True, field=member.key)
        if self._cursor > 0 and self._text[self._cursor - 1].isspace():
            return self._key(params, None, schema, pair=True)
        return None

    def in_value(
        self, node: Node, schema: Schema, *, pair: bool = False, field: str = "", names: tuple[str, ...] = ()
    ) -> Place | None:
        """The place in a value, whose depth is bounded by the parser: two calls a level."""
        if not isinstance(node, ObjectNode | ArrayNode):
            return self._value(node, schema, pair=pair, field=field) if self.touches(node) else None
        if not _around(node, self._cursor):
            return None
        if isinstance(node, ObjectNode):
            return self._in_object(node, schema)
        return self._in_array(node, schema, field, names)

    def _in_object(self, node: ObjectNode, schema: Schema) -> Place | None:
        before: Member | None = None
        for member in node.members:
            if member.start > self._cursor:
                break
            before = member
            if self.touches(member) and member.start < member.end:
                return self._key(node, member, schema, pair=False)
            if self.touches(member.value) and not isinstance(member.value, MissingNode):
                return self.in_value(member.value, self._property(node, member, schema), field=member.key)
        match self._mark_before():
            case "{" | "<" | ",":
                return self._key(node, None, schema, pair=False)
            case ":" | "=" if before is not None:
                inner = self._property(node, before, schema)
                return ValuePlace(inner, self._cursor, self._cursor, "", pair=False, field=before.key)
        return None

    def _in_array(self, node: ArrayNode, schema: Schema, field: str, names: tuple[str, ...]) -> Place | None:
        index = 0
        for item in node.items:
            if self.touches(item) and not isinstance(item, MissingNode):
                field = names[index] if index < len(names) else field
                return self.in_value(item, self._item(node, schema, index), field=field)
            if item.end > self._cursor:
                break
            index += 1
        if self._mark_before() in ("[", ","):
            field = names[index] if index < len(names) else field
            return ValuePlace(self._item(node, schema, index), self._cursor, self._cursor, "", pair=False, field=field)
        return None

    def _key(self, node: ObjectNode, member: Member | None, schema: Schema, *, pair: bool) -> KeyPlace:
        others = tuple(other for other in node.members if other is not member)
        start, end = (self._cursor, self._cursor) if member is None else self._replaced(member.start, member.end)
        near = next((other for other in reversed(others) if other.start < self._cursor), None)
        return KeyPlace(
            schema,
            start,
            end,
            self._text[start : self._cursor],
            frozenset(other.key for other in others),
            scalars(others),
            self._text[near.start] if near is not None else "",
            pair,
            followed=member is not None and self._text[end:].lstrip()[:1] in (":", "="),
        )

    def _value(self, node: Node, schema: Schema, *, pair: bool, field: str) -> ValuePlace:
        start, end = self._replaced(node.start, node.end) if node.start < node.end else (node.start, node.end)
        return ValuePlace(schema, start, end, self._text[start : self._cursor], pair, field)

    def _property(self, node: ObjectNode, member: Member, schema: Schema) -> Schema:
        present = scalars(tuple(other for other in node.members if other is not member))
        found = property_schema(schema, member.key, self._resolve, present)
        return ANYTHING if found is None else found

    def _item(self, node: ArrayNode, schema: Schema, index: int) -> Schema:
        return item_schema(schema, index, self._resolve, scalar_items(node.items[:index])) or ANYTHING

    def _mark_before(self) -> str:
        """The last token left of the cursor that is neither blank nor comment."""
        tokens = self._line.tokens
        at = bisect_left(tokens, self._cursor, key=lambda token: token.start)
        while at > 0:
            at -= 1
            if tokens[at].kind not in _NO_TOKENS:
                return self._text[tokens[at].start : min(tokens[at].end, self._cursor)]
        return ""
