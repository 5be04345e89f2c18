"""From the tree of a line to Python values: of the params of a call, and of the variables in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rpcshell.line.language.nodes import (
    ArrayNode,
    CallLine,
    KeywordNode,
    Member,
    Node,
    NumberNode,
    ObjectNode,
    PathStep,
    StringNode,
    TemplateNode,
    ValueLine,
    VariableNode,
    WordNode,
)
from rpcshell.line.language.tokens import LineError
from rpcshell.line.language.values import KEYWORDS, MAX_DIGITS, NUMBER
from rpcshell.line.near_names import near_names
from rpcshell.line.properties import property_schema
from rpcshell.line.schema import allowed_types, fits_type, type_of
from rpcwire import encode_value, read_float

if TYPE_CHECKING:
    from rpcshell.line.catalog import Method

_INDEX = re.compile(r"-?[0-9]{1,18}")
_LISTED = 5

Lookup = Callable[[VariableNode], Any]
"""Gives the value of a variable; raises `LineError` where there is none."""


def _no_variables(path: VariableNode) -> Any:
    return walk({}, path)


def call_params(call: CallLine, schema: Method | None, lookup: Lookup = _no_variables) -> Any:
    """The params of a call, ready to be sent; raises `LineError` where it has no meaning, or a variable is not there.

    The method, if it is known, types the values of `key=value` pairs. A call without params sends `{}` where the method
    binds by name, and None (null) elsewhere.
    """
    _refuse_problems(call)
    if call.params is None:
        return {} if schema is not None and not schema.whole else None
    if call.form == "pairs" and schema is not None and isinstance(call.params, ObjectNode):
        return {member.key: _pair_value(member, schema, lookup) for member in call.params.members}
    return node_value(call.params, lookup)


def line_value(line: ValueLine, lookup: Lookup = _no_variables) -> Any:
    """The value of a line that calls nothing; raises as `call_params` does."""
    _refuse_problems(line)
    return node_value(line.value, lookup)


def _refuse_problems(line: CallLine | ValueLine) -> None:
    for problem in line.problems:
        if problem.blocks:
            raise LineError(problem.message, problem.start, problem.expected)


def _pair_value(pair: Member, method: Method, lookup: Lookup) -> Any:
    """The value of a pair, typed by the schema where it has no quotes."""
    if isinstance(pair.value, WordNode):
        schema = property_schema(method.params_schema, pair.key, method.resolve)
        return typed_word(pair.value.text, frozenset() if schema is None else allowed_types(schema, method.resolve))
    return node_value(pair.value, lookup)


def typed_word(text: str, types: frozenset[str]) -> Any:
    """The value of an unquoted word where a schema allows only some JSON types; none given means all.

    A zip code stays a text although it looks like a number, if text is what the schema asks for.
    """
    value = word_value(text)
    return value if fits_type(type_of(value), types) or "string" not in types else text


def word_value(text: str) -> Any:
    """The value of an unquoted word: JSON if it is a JSON scalar, else the text."""
    if text in KEYWORDS:
        return KEYWORDS[text]
    if number := NUMBER.fullmatch(text):
        # An integer that Python will not read is a problem of the line; what is asked here is only its type. Of the
        # integers there is one whose sign it forgets.
        return read_float(text) if number[1] or number[2] or len(text) > MAX_DIGITS or text == "-0" else int(text)
    return text


def node_value(node: Node, lookup: Lookup = _no_variables) -> Any:
    """The value of a tree; its depth is bounded by the parser, one call of this function a level.

    Raises `LineError` where there is a place without a value, or a variable that is not there.
    """
    match node:
        case StringNode(value=value) | KeywordNode(value=value):
            return value
        case NumberNode(text=text) | WordNode(text=text):
            return word_value(text)
        case ObjectNode():
            members = {}
            for member in node.members:
                members[member.key] = node_value(member.value, lookup)
            return members
        case ArrayNode():
            items = []
            for item in node.items:
                items.append(node_value(item, lookup))  # noqa: PERF401  (a comprehension is a second frame per level)
            return items
        case VariableNode():
            return lookup(node)
        case TemplateNode():
            return "".join(part if isinstance(part, str) else _text_of(lookup(part)) for part in node.parts)
    raise LineError("a value is missing", node.start, "a value")


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else encode_value(value).decode()


def walk(values: Mapping[str, Any], path: VariableNode) -> Any:
    """What a path leads to; raises `LineError` where there is no such variable, or no such place in it."""
    if path.name not in values:
        raise _unknown(values, path)
    value = values[path.name]
    so_far = f"${path.name}"
    for step in path.steps:
        value = _enter(value, step, so_far)
        so_far += f"[{step.key}]" if isinstance(step.key, int) else f".{step.key}"
    return value


def _unknown(values: Mapping[str, Any], path: VariableNode) -> LineError:
    if path.name == "_":
        return LineError("there is no last result yet", path.start, hint="a call brings one")
    near = near_names(path.name, values, 2)
    message = f"no variable is called ${path.name}; `{path.name} = METHOD …` makes it"
    others = [name for name in values if name != "_"]
    return LineError(message, path.start, hint=_names([f"${name}" for name in near], [f"${name}" for name in others]))


def _enter(value: Any, step: PathStep, so_far: str) -> Any:
    key = step.key
    if isinstance(value, dict):
        name = str(key)
        if name in value:
            return value[name]
        found = f"{so_far} has no key {name}" if value else f"{so_far} is an empty object"
        raise LineError(found, step.start, hint=_names(near_names(name, value, 2), list(value)))
    if isinstance(value, list):
        if isinstance(key, str) and not _INDEX.fullmatch(key):
            raise LineError(f"{so_far} is an array and has no key {key}", step.start, hint="[0] is its first item")
        index = int(key)
        if not -len(value) <= index < len(value):
            size = f"{len(value)} item{'' if len(value) == 1 else 's'}"
            last = f"[{len(value) - 1}] is the last one" if value else None
            raise LineError(f"{so_far} has {size}, and none at {index}", step.start, hint=last)
        return value[index]
    shown = "null" if value is None else "a text" if isinstance(value, str) else f"{value}".lower()
    raise LineError(f"{so_far} is {shown} and has nothing inside", step.start)


def _names(near: Sequence[str], there: Sequence[str]) -> str | None:
    """What to say of a name that is not there: those that it may have been meant as, or else what there is."""
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = ", …" if len(there) > _LISTED else ""
    return f"there {'is' if len(there) == 1 else 'are'} {', '.join(there[:_LISTED])}{more}" if there else None
