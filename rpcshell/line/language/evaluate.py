"""From the tree of a call to the Python value of its params."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rpcshell.line.language.nodes import (
    ArrayNode,
    CallLine,
    KeywordNode,
    Node,
    NumberNode,
    ObjectNode,
    StringNode,
    TemplateNode,
    ValueLine,
    VariableNode,
    WordNode,
)
from rpcshell.line.language.tokens import LineError
from rpcshell.line.language.values import KEYWORDS, MAX_DIGITS, NUMBER
from rpcshell.line.language.variables import walk
from rpcshell.line.schema import allowed_types, property_schema, type_of

if TYPE_CHECKING:
    from rpcshell.line.catalog import Method


Lookup = Callable[[VariableNode], Any]
"""Gives the value of a variable; raises `LineError` where there is none."""


def no_variables(path: VariableNode) -> Any:
    """What a variable is where there are none: an error."""
    return walk({}, path)


def call_params(call: CallLine, schema: Method | None, lookup: Lookup = no_variables) -> Any:
    """The params of a call, ready to be sent.

    Args:
        call: A parsed call.
        schema: The method, if it is known: it types the values of `key=value` pairs, and decides what a call
            without params sends, `{}` where the method binds by name and None (null) elsewhere.
        lookup: Gives the values of variables.

    Raises:
        LineError: The call has a problem that leaves it without a meaning, or names a variable that is not there.
    """
    _refuse_problems(call)
    if call.params is None:
        return {} if schema is not None and not schema.whole else None
    if call.form == "pairs" and schema is not None:
        return pair_values(call.params, schema, lookup)
    return node_value(call.params, lookup)


def line_value(line: ValueLine, lookup: Lookup = no_variables) -> Any:
    """The value of a line that calls nothing.

    Args:
        line: A parsed line.
        lookup: Gives the values of variables.

    Raises:
        LineError: As `call_params`.
    """
    _refuse_problems(line)
    return node_value(line.value, lookup)


def _refuse_problems(line: CallLine | ValueLine) -> None:
    for problem in line.problems:
        if problem.blocks:
            raise LineError(problem.message, problem.start, problem.expected)


def pair_values(params: Node, method: Method, lookup: Lookup = no_variables) -> Any:
    """The value of the pairs of a call, the unquoted ones typed by the schema of the method."""
    if not isinstance(params, ObjectNode):
        return node_value(params, lookup)
    return {member.key: member_value(member.key, member.value, method, lookup) for member in params.members}


def member_value(key: str, node: Node, method: Method, lookup: Lookup = no_variables) -> Any:
    """The value of one pair."""
    if isinstance(node, WordNode):
        schema = property_schema(method.params_schema, key, method.resolve)
        return typed_word(node.text, allowed_types(schema, method.resolve) if schema is not None else frozenset())
    return node_value(node, lookup)


def typed_word(text: str, types: frozenset[str]) -> Any:
    """The value of an unquoted word where a schema allows only some JSON types; none given means all.

    A zip code stays a text although it looks like a number, if text is what the schema asks for.
    """
    value = word_value(text)
    found = type_of(value)
    fits = found in types or (found == "integer" and "number" in types)
    return value if fits or "string" not in types else text


def word_value(text: str) -> Any:
    """The value of an unquoted word: JSON if it is a JSON scalar, else the text."""
    if text in KEYWORDS:
        return KEYWORDS[text]
    if number := NUMBER.fullmatch(text):
        # An integer that Python will not read is a problem of the line; what is asked here is only its type.
        return float(text) if number[1] or number[2] or len(text) > MAX_DIGITS else int(text)
    return text


def node_value(node: Node, lookup: Lookup = no_variables) -> Any:
    """The value of a tree; its depth is bounded by the parser, one call of this function a level.

    Raises:
        LineError: There is a place without a value in it, or a variable that is not there.
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
            return "".join(part if isinstance(part, str) else text_of(lookup(part)) for part in node.parts)
    raise LineError("a value is missing", node.start, "a value")


def text_of(value: Any) -> str:
    """A value inside a text: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
