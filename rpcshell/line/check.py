"""A structural check of typed params against a JSON Schema, for advice while typing; the server is the judge.

It knows the keywords that type annotations turn into: types, fixed values, properties, items, bounds, alternatives and
references. Others are taken as met.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpcshell.line.brief import few
from rpcshell.line.language import (
    ArrayNode,
    LineError,
    Member,
    MissingNode,
    Node,
    ObjectNode,
    Problem,
    StringNode,
    TemplateNode,
    VariableNode,
    WordNode,
    node_value,
    scalar_items,
    scalars,
    typed_word,
    walk,
)
from rpcshell.line.near_names import near_names
from rpcshell.line.schema import (
    Resolver,
    Schema,
    allowed_types,
    as_schema,
    declared_types,
    exact,
    fits_type,
    fixed_values,
    is_foreign,
    is_number,
    is_whole,
    type_of,
    unfolded,
)
from rpcshell.line.schema_text import number_text, type_text

# Deeper params are the server's to judge; the bound also ends a schema that describes itself without end.
MAX_DEPTH = 40
# With alternatives inside alternatives the same value is looked at again and again; a key press has no time for that.
MAX_VALUES = 2_000
MOST_MISSING = 10
_KEYWORDS = (("boolean", "true"), ("boolean", "false"), ("null", "null"))
_BEGUN_NUMBER = re.compile(r"[-+]?\d*\.?\d*(?:[eE][-+]?)?")
_MOST_NEAR = 3
"""Keys that are not known and whose near names are looked for: only the first problem is told."""


def check(
    node: Node,
    schema: Schema,
    resolve: Resolver,
    *,
    editing: int | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Iterator[Problem]:
    """What a schema does not allow in a value, in the order of the text; lazily, so that the first is cheap.

    An object that `editing`, the place of a cursor in the line, is in may still get what it lacks. A variable whose
    value is not known fits everywhere.
    """
    yield from _Check(resolve, editing, variables or {}).value(node, schema, 0)


class _Check:
    def __init__(self, resolve: Resolver, editing: int | None, variables: Mapping[str, Any]) -> None:
        self._resolve = resolve
        self._editing = editing
        self._variables = variables
        self._left = MAX_VALUES
        self._near = _MOST_NEAR

    def value(self, node: Node, schema: Schema, depth: int) -> Iterator[Problem]:
        self._left -= 1
        if isinstance(node, MissingNode) or depth > MAX_DEPTH or self._left < 0:
            return
        if isinstance(node, VariableNode):
            yield from self._variable(node, schema)
            return
        branches, steps = unfolded(schema, self._resolve, _present(node))
        self._left -= steps - 1
        if any(map(is_foreign, branches)):
            return
        if len(branches) == 1:
            yield from self._against(node, branches[0], depth)
            return
        fitting: list[Problem] = []
        for branch in branches:
            first = next(self._against(node, branch, depth), None)
            if first is None:
                return
            if next(self._shape(node, branch), None) is None:
                fitting.append(first)
        if len(fitting) == 1:
            yield fitting[0]
        else:
            yield Problem(f"expected {type_text(schema)}", node.start, node.end)

    def _variable(self, node: VariableNode, schema: Schema) -> Iterator[Problem]:
        """The type of what a variable stands for; what is inside is the server's to judge."""
        try:
            found = type_of(walk(self._variables, node))
        except LineError:
            return
        types = allowed_types(schema, self._resolve)
        numbers = {"integer", "number"}
        if types and found not in types and not (found in numbers and types & numbers):
            yield Problem(f"expected {type_text(schema)}, not {_article(found)}", node.start, node.end)

    def _against(self, node: Node, schema: Schema, depth: int) -> Iterator[Problem]:
        shape = next(self._shape(node, schema), None)
        if shape is not None:
            yield shape
        elif isinstance(node, ObjectNode):
            yield from self._object(node, schema, depth)
        elif isinstance(node, ArrayNode):
            yield from self._array(node, schema, depth)
        elif not isinstance(node, TemplateNode):
            yield from self._scalar(node, schema)

    def _shape(self, node: Node, schema: Schema) -> Iterator[Problem]:
        """The type, and a tag that belongs to another alternative."""
        types = declared_types(schema)
        found = _type(node, types)
        fits = fits_type(found, types)
        if found == "number" and "integer" in types and not fits:
            fits = is_whole(node_value(node))
        if self._still_typed(node) and _may_become(node, types):
            return
        if schema.get("not") == {}:
            yield Problem("no value is allowed here", node.start, node.end)
        elif not fits:
            yield Problem(f"expected {type_text(schema)}, not {_article(found)}", node.start, node.end)
        if isinstance(node, ObjectNode) and isinstance(named := schema.get("properties"), Mapping):
            for member in node.members:
                if member.key in named and isinstance(member.value, StringNode):
                    self._left -= 1
                    fixed = fixed_values(self._resolve(as_schema(named[member.key])))
                    if fixed and member.value.value not in fixed:
                        yield from self._fixed(member.value, member.value.value, fixed)

    def _scalar(self, node: Node, schema: Schema) -> Iterator[Problem]:
        value = _scalar_value(node, allowed_types(schema, self._resolve))
        fixed = fixed_values(schema)
        if fixed:
            yield from self._fixed(node, value, fixed)
        elif isinstance(value, str):
            least = "" if self._still_typed(node) else "minLength"
            yield from _bounds(node, len(value), schema, least, "maxLength", "character")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _bounds(node, value, schema, "minimum", "maximum")
            yield from _exclusive_bounds(node, value, schema)

    def _fixed(self, node: Node, value: Any, fixed: Sequence[Any]) -> Iterator[Problem]:
        begun = node.text if isinstance(node, WordNode) and self._still_typed(node) else None
        if begun and any(isinstance(allowed, str) and allowed.startswith(begun) for allowed in fixed):
            return
        # Python takes True for 1; JSON does not.
        if not any(value == allowed and isinstance(value, bool) is isinstance(allowed, bool) for allowed in fixed):
            schema = {"enum": list(fixed)}
            yield Problem(f"expected {type_text(schema)}", node.start, node.end)

    def _object(self, node: ObjectNode, schema: Schema, depth: int) -> Iterator[Problem]:
        listed = schema.get("properties")
        named = listed if isinstance(listed, Mapping) else {}
        rest = schema.get("additionalProperties")
        for member in node.members:
            if member.key in named:
                yield from self.value(member.value, as_schema(named[member.key]), depth + 1)
            elif "patternProperties" in schema:
                # The key may fit one; they are not tried, as a server's may take for ever.
                continue
            elif rest is False:
                if not _is_unfinished_key(member, node):
                    yield Problem(self._unknown(member.key, named), member.start, member.end)
            elif isinstance(rest, Mapping):
                yield from self.value(member.value, rest, depth + 1)
        if node.closed and not self._edited(node) and isinstance(required := schema.get("required"), list):
            present = {member.key for member in node.members}
            absent = [name for name in required if isinstance(name, str) and name not in present]
            if absent:
                at = max(node.end - 1, node.start)
                yield Problem(f"missing {few(absent, MOST_MISSING)}", at, node.end)

    def _unknown(self, key: str, named: Mapping[str, Any]) -> str:
        self._near -= 1
        close = near_names(key, named) if self._near >= 0 else []
        return f"unknown parameter {key}" + (f"; did you mean {close[0]}?" if close else "")

    def _still_typed(self, node: Node) -> bool:
        return isinstance(node, WordNode) and self._editing == node.end

    def _edited(self, node: ObjectNode) -> bool:
        return self._editing is not None and node.start < self._editing < node.end

    def _array(self, node: ArrayNode, schema: Schema, depth: int) -> Iterator[Problem]:
        leading = schema.get("prefixItems")
        tuple_schemas = leading if isinstance(leading, list) else []
        items = schema.get("items")
        for index, item in enumerate(node.items):
            if index < len(tuple_schemas):
                yield from self.value(item, as_schema(tuple_schemas[index]), depth + 1)
            elif items is False:
                yield Problem(f"at most {_count(len(tuple_schemas), 'item')}", item.start, item.end)
                return
            elif isinstance(items, Mapping):
                yield from self.value(item, items, depth + 1)
        if node.closed:
            yield from _bounds(node, len(node.items), schema, "minItems", "maxItems", "item")


def _type(node: Node, types: frozenset[str]) -> str:
    match node:
        case ObjectNode():
            return "object"
        case ArrayNode():
            return "array"
        case TemplateNode():
            return "string"
    return type_of(_scalar_value(node, types))


def _scalar_value(node: Node, types: frozenset[str]) -> Any:
    return typed_word(node.text, types) if isinstance(node, WordNode) else node_value(node)


def _may_become(node: Node, types: frozenset[str]) -> bool:
    """Whether a word that is still typed may become a value of some types."""
    if not isinstance(node, WordNode):
        return False
    keywords = [keyword for kind, keyword in _KEYWORDS if kind in types]
    is_number = bool(types & {"integer", "number"}) and _BEGUN_NUMBER.fullmatch(node.text) is not None
    return is_number or any(keyword.startswith(node.text) for keyword in keywords)


def _present(node: Node) -> Mapping[str, Any]:
    """The values in it that a `discriminator` may go by."""
    match node:
        case ObjectNode():
            return scalars(node.members)
        case ArrayNode():
            return scalar_items(node.items)
    return {}


def _bounds(node: Node, size: float, schema: Schema, low: str, high: str, noun: str = "") -> Iterator[Problem]:
    least, most = schema.get(low), schema.get(high)
    if is_number(least) and exact(size) < exact(least):
        yield Problem(f"at least {_count(least, noun)}", node.start, node.end)
    elif is_number(most) and exact(size) > exact(most):
        yield Problem(f"at most {_count(most, noun)}", node.start, node.end)


def _exclusive_bounds(node: Node, value: float, schema: Schema) -> Iterator[Problem]:
    least, most = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if is_number(least) and exact(value) <= exact(least):
        yield Problem(f"more than {number_text(least)}", node.start, node.end)
    elif is_number(most) and exact(value) >= exact(most):
        yield Problem(f"less than {number_text(most)}", node.start, node.end)


def _is_unfinished_key(member: Member, node: ObjectNode) -> bool:
    return not node.closed and isinstance(member.value, MissingNode) and member is node.members[-1]


def _article(type_name: str) -> str:
    if type_name == "null":
        return "null"
    return f"{'an' if type_name[0] in 'aio' else 'a'} {type_name}"


def _count(number: float, noun: str) -> str:
    if not noun:
        return number_text(number)
    return f"{number_text(number)} {noun}{'' if number == 1 else 's'}"
