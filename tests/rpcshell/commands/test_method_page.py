from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.commands.method_page import columns, describe_method, example_call
from rpcshell.line.catalog import Catalog, Method
from rpcshell.line.language import CallLine, call_params, parse


def method(**entry: Any) -> Method:
    schemas = {
        "Order": {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "next": {"$ref": "#/components/schemas/Order"}},
            "required": ["id", "next"],
        },
        "Colour": {"enum": ["red", "blue"], "description": "A colour."},
    }
    document = {"openrpc": "1.3.2", "components": {"schemas": schemas}, "methods": [{"name": "m", **entry}]}
    return Catalog.from_openrpc(document).methods["m"]


def param(name: str, schema: Any, *, required: bool = True, description: str = "") -> dict[str, Any]:
    return {"name": name, "schema": schema, "required": required, "description": description}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, '"text"'),
        ({"type": "integer"}, "1"),
        ({"type": "integer", "minimum": 5}, "5"),
        ({"type": "integer", "exclusiveMinimum": 5}, "6"),
        ({"type": "boolean"}, "true"),
        ({"type": "string", "default": "d"}, '"d"'),
        ({"type": "string", "examples": ["e"], "default": "d"}, '"e"'),
        ({"enum": ["x", "y"]}, '"x"'),
        ({"const": 0}, "0"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true"),
        ({"type": ["null", "string"]}, '"text"'),
        ({"type": "array", "items": {"type": "integer"}}, "[1]"),
        ({"type": "array"}, "[]"),
        ({"$ref": "#/components/schemas/Colour"}, '"red"'),
        ({}, "1"),
    ],
)
def test_values_are_made_up_from_the_schema(schema: Any, value: str) -> None:
    assert example_call(method(params=[param("p", schema)])) == f'm {{"p": {value}}}'


@pytest.mark.parametrize("kind", [Decimal, date, timedelta, UUID, bytes])
def test_text_of_a_format_is_made_up_so_that_it_is_taken(kind: type) -> None:
    line = example_call(method(params=[param("p", msgspec.json.schema(kind))]))
    made = msgspec.json.decode(line.removeprefix("m "))["p"]
    assert isinstance(msgspec.convert(made, kind, strict=False), kind)


def test_a_format_that_is_no_text_or_not_known_is_none() -> None:
    for named in (5, ["date"], "colour"):
        schema = {"type": "string", "format": named, "contentEncoding": named}
        assert example_call(method(params=[param("p", schema)])) == 'm {"p": "text"}'


def test_only_required_params_are_given_where_there_are_any() -> None:
    both = [param("a", {"type": "integer"}), param("b", {"type": "integer"}, required=False)]
    assert example_call(method(params=both)) == 'm {"a": 1}'
    assert example_call(method(params=both[1:])) == 'm {"b": 1}'


def test_a_type_that_contains_itself_ends() -> None:
    call = example_call(method(params=[param("p", {"$ref": "#/components/schemas/Order"})]))
    assert call.startswith('m {"p": {"id": 1, "next": {"id": 1,')
    assert not parse(call).problems


def test_a_method_without_params_is_its_name() -> None:
    assert example_call(method(params=[])) == "m"


def test_a_method_of_any_params_gets_some() -> None:
    assert example_call(method(params=[param("params", {})], **{"x-params": "whole"})) == 'm {"a": 1}'
    typed = method(params=[param("params", {"type": "integer"})], **{"x-params": "whole"})
    assert example_call(typed) == "m 1"


def test_a_method_of_whose_params_nothing_is_told_gets_none_made_up() -> None:
    untold = method(params=[], **{"x-params": "whole"})
    assert example_call(untold) == "m"
    text = describe_method(untold)
    assert text.splitlines()[2] == "The server does not tell what params it takes."
    assert "Example" not in text


def test_the_servers_own_example_comes_first() -> None:
    examples = [{"name": "x", "params": [{"name": "p", "value": {"deep": [None]}}], "result": {}}]
    assert example_call(method(params=[param("p", {})], examples=examples)) == 'm {"p": {"deep": [null]}}'


@pytest.mark.parametrize("example", [None, {}, {"params": 5}, {"params": [5]}, {"params": [{"name": 5, "value": 1}]}])
def test_an_example_that_makes_no_sense_is_passed_over(example: Any) -> None:
    assert example_call(method(params=[param("p", {"type": "integer"})], examples=[example])) == 'm {"p": 1}'


SCHEMAS = st.recursive(
    st.sampled_from(
        [{}, {"type": "string"}, {"type": "integer"}, {"$ref": "#/components/schemas/Order"}, {"enum": []}]
    ),
    lambda inner: (
        st.builds(lambda one: {"type": "array", "items": one}, inner)
        | st.builds(lambda many: {"anyOf": many}, st.lists(inner, max_size=3))
        | st.builds(
            lambda named: {"type": "object", "properties": named, "required": list(named)},
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
        )
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_every_example_can_be_typed(schema: Any) -> None:
    described = method(params=[param("p", schema)], summary="s", result={"name": "r", "schema": schema})
    line = parse(example_call(described))
    assert isinstance(line.body, CallLine)
    assert not line.problems
    assert "p" in call_params(line.body, described)
    assert describe_method(described).startswith("m(p")


def test_the_documentation_has_everything() -> None:
    shown = describe_method(
        method(
            summary="Do it.",
            description="Do it.\n\nTwice, if need be, " + "and more often than that " * 5,
            params=[
                param("a", {"type": "integer", "minimum": 1, "maximum": 5000}, description="How often\nto do it."),
                param("b", {"$ref": "#/components/schemas/Colour"}, required=False),
                param("c", {"type": "string", "maxLength": 9, "default": "x"}, required=False),
            ],
            result={"name": "r", "schema": {"$ref": "#/components/schemas/Order"}, "description": "What came of it."},
            errors=[{"code": 404, "message": "Nothing to do."}, "odd"],
            deprecated=True,
            **{"x-out": "done", "x-idempotent": True},
        )
    )
    sections = dict(part.split(":\n", 1) for part in shown.split("\n\n") if ":\n" in part)
    assert shown.splitlines()[0] == 'm(a: integer, b?: Colour, c: string = "x") -> Order'
    assert "Deprecated: it may go away." in shown
    assert shown.count("Do it.") == 1
    assert sections["Params"].splitlines() == [
        "  a  integer  required     How often to do it. (1 to 5000)",
        "  b  Colour   optional",
        '  c  string   default "x"  at most 9 characters',
    ]
    assert sections["Result"] == "  done  Order  What came of it."
    assert sections["Colour"] == '  "red" | "blue"  A colour.'
    assert sections["Order"] == "  id    integer  required\n  next  Order    required"
    assert sections["Errors"] == "  404  Nothing to do."
    assert "safe to call again" in shown
    assert sections["Example"] == '  m {"a": 1}'
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_servers_own_examples_are_shown_with_what_they_bring() -> None:
    examples = [
        {"name": "example 1", "params": [{"name": "p", "value": 1}], "result": {"name": "r", "value": [2]}},
        {"name": "more", "params": [{"name": "p", "value": 2}], "result": {"name": "r", "value": None}},
        {"params": "odd"},
    ]
    shown = describe_method(method(params=[param("p", {})], examples=examples))
    assert shown.endswith('Examples:\n  m {"p": 1}\n    → [2]\n  # more\n  m {"p": 2}\n    → null')


def test_a_table_too_narrow_for_its_last_column_has_it_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert columns([("a" * 20, "a type", "what it is, in so many words"), ("x" * 38, "t", "more")]) == [
        f"  {'a' * 20}",
        "      a type",
        "      what it is, in so many",
        "      words",
        f"  {'x' * 38}",
        "      t",
        "      more",
    ]
    assert columns([("name", "a type", "what it is, in so many words"), ("x", "", "more")]) == [
        "  name  a type  what it is, in so many",
        "                words",
        "  x             more",
    ]


def test_the_documentation_is_escaped() -> None:
    evil = "\x1b[2J\u202e"
    shown = describe_method(
        method(
            summary=evil,
            description=evil,
            params=[param(evil, {"type": evil}, description=evil)],
            result={"name": "r", "schema": {"$ref": f"#/components/schemas/{evil}"}},
            **{"x-out": evil},
        )
    )
    assert not set(evil) & set(shown) - set("[2J")
