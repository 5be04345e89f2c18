"""The structural check agrees with a full implementation of JSON Schema wherever it claims to know the keywords."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rpcshell.line.catalog import Catalog
from rpcshell.line.check import MAX_DEPTH, check
from rpcshell.line.language import CallLine, parse
from rpcshell.line.references import resolve_reference
from rpcshell.line.schema import Resolver, Schema, as_schema
from tests.rpcshell.shop import SCHEMAS

DOCUMENT: Schema = {"components": {"schemas": SCHEMAS}}

_LEAVES: list[dict[str, Any]] = [
    {},
    {"type": "string"},
    {"type": "integer"},
    {"type": "number", "minimum": 1},
    {"type": "number", "exclusiveMaximum": 2},
    {"type": ["string", "null"]},
    {"type": "boolean"},
    {"type": "string", "minLength": 1, "maxLength": 1},
    {"enum": ["a", 1, None]},
    {"const": True},
    {"$ref": "#/components/schemas/Item"},
    {"$ref": "#/components/schemas/Pet"},
    {"$ref": "#/components/schemas/Tree"},
]
schemas: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)},
            optional={
                "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
                "additionalProperties": st.one_of(st.just(False), inner),
            },
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 2)}),
        st.fixed_dictionaries({"type": st.just("array"), "prefixItems": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
    ),
    max_leaves=6,
)
values: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["a", "", "cat", "ab", 0, 1, 1.0, 1.5, 3, True, False, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "c", "sku", "qty", "type", "kids", "lives"]), inner, max_size=3),
    ),
    max_leaves=8,
)


def resolve(schema: Schema) -> Schema:
    return resolve_reference(schema, DOCUMENT)


def findings(text: str, schema: Schema, resolve: Resolver = resolve) -> list[str]:
    body = parse(f"m {text}").body
    assert isinstance(body, CallLine)
    assert body.params is not None
    return [found.message for found in check(body.params, schema, resolve)]


@given(schemas, values)
def test_it_finds_something_exactly_where_json_schema_is_not_met(schema: dict[str, Any], value: Any) -> None:
    document = {**schema, "components": {"schemas": SCHEMAS}}
    valid = jsonschema.Draft202012Validator(document).is_valid(value)
    assert (findings(json.dumps(value), schema) == []) is valid


_KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["object", "array", "string", "integer", ["number", "null"]]),
    "enum": st.lists(st.sampled_from(["a", 1, None, 1.5, True]), min_size=1, max_size=2),
    "minimum": st.sampled_from([0, 1.5]),
    "maxLength": st.just(1),
    "minItems": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
    "$ref": st.sampled_from(["#/components/schemas/Item", "#/components/schemas/Tree"]),
    "title": st.just("x"),
}
mixed: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries({}, optional=_KEYWORDS) | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional=_KEYWORDS
        | {
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=8,
)


@given(mixed, values)
@pytest.mark.parametrize(
    ("validator", "modern"), [(jsonschema.Draft7Validator, False), (jsonschema.Draft202012Validator, True)]
)
def test_it_finds_nothing_where_json_schema_is_met(validator: Any, modern: bool, schema: Any, value: Any) -> None:
    # Whoever writes `prefixItems` means it, although draft 7 does not know it.
    assume(modern or "prefixItems" not in json.dumps(schema))
    root = {"allOf": [schema], "components": {"schemas": SCHEMAS}}
    if validator(root).is_valid(value):
        text = json.dumps(value)
        assert findings(text, as_schema(schema), lambda part: resolve_reference(part, DOCUMENT, modern=modern)) == []


ODD_NUMBERS = [
    ({"type": "integer"}, "1E400"),
    ({"type": "integer"}, "1.0"),
    ({"exclusiveMinimum": 0}, "1e-400"),
    ({"exclusiveMaximum": 0.1}, "0.09999999999999999999"),
    ({"maximum": 0.3}, "0.30"),
    ({"enum": [0.1]}, "0.10"),
    ({"maximum": 10**400}, "1E400"),
]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        *ODD_NUMBERS,
        ({"type": "float"}, "1.5"),
        ({"type": ["integer", {"type": "string"}]}, '"a"'),
        ({"type": "any"}, "null"),
        ({"$schema": "https://example.com/of-our-own", "type": "integer"}, '"a"'),
        ({"anyOf": [{"const": number} for number in range(100)]}, "99"),
        ({"properties": {"a": {"type": "integer"}}}, '"a"'),
        ({"properties": {"a": {}}, "patternProperties": {"b": {}}, "additionalProperties": {"type": "null"}}, "{b: 1}"),
        ({"additionalProperties": False, "properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]}, '{"a": 1}'),
        ({"$ref": "#/components/schemas/Item", "maxProperties": 0, "type": "string"}, '{"sku": "x"}'),
    ],
)
def test_what_is_right_or_beyond_its_knowledge_is_not_called_wrong(schema: dict[str, Any], text: str) -> None:
    assert findings(text, schema) == []


def test_what_stands_beside_a_reference_counts_where_the_schemas_are_of_a_draft_that_says_so() -> None:
    param = {"name": "a", "schema": {"$ref": "#/components/schemas/List", "maxItems": 1}}
    for draft, found in (
        ("http://json-schema.org/draft-07/schema#", []),
        ("https://json-schema.org/draft/2020-12/schema", ["at most 1 item"]),
        (None, []),
    ):
        target = {"type": "array"} | ({"$schema": draft} if draft else {})
        document = {"methods": [{"name": "m", "params": [param]}], "components": {"schemas": {"List": target}}}
        method = Catalog.from_openrpc(document).methods["m"]
        assert findings('{"a": [1, 2]}', method.params_schema, method.resolve) == found


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        ({"not": {}}, "1", "no value is allowed here"),
        ({"type": "object", "properties": {"a": False}}, '{"a": 1}', "no value is allowed here"),
        ({"type": "string", "maxLength": 1}, '"ab"', "at most 1 character"),
        ({"exclusiveMinimum": 1}, "1", "more than 1"),
        ({"exclusiveMaximum": 1}, "1", "less than 1"),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, "{}", "missing a"),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "1", "expected string | null"),
    ],
)
def test_messages(schema: dict[str, Any], text: str, message: str) -> None:
    assert findings(text, schema) == [message]


def test_findings_come_in_the_order_of_the_text() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "null"}}, "required": ["c"]}
    assert findings('{"b": 1, "a": 2}', schema) == [
        "expected null, not an integer",
        "expected string, not an integer",
        "missing c",
    ]


def test_what_is_deeper_than_it_looks_is_left_to_the_server() -> None:
    schema = {"$ref": "#/components/schemas/Tree"}
    deep = '{"kids": [' * (MAX_DEPTH // 2 + 1) + "1" + "]}" * (MAX_DEPTH // 2 + 1)
    assert findings(deep, schema) == []
    assert findings('{"kids": [{"kids": [1]}]}', schema) == ["expected object, not an integer"]


def test_of_several_alternatives_the_one_that_fits_in_kind_says_what_is_wrong() -> None:
    nested: dict[str, Any] = {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}}]}
    assert findings('["a", 1]', nested) == ["expected string, not an integer"]


def test_alternatives_inside_alternatives_take_bounded_time() -> None:
    def branch(name: str) -> dict[str, Any]:
        return {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Either"}, name: {"const": 1}}}

    components = {"Either": {"anyOf": [branch("a"), branch("b"), {"type": "null"}]}}
    body = parse("m " + '{"next": ' * (MAX_DEPTH - 1) + '"wrong"' + "}" * (MAX_DEPTH - 1)).body
    assert isinstance(body, CallLine)
    assert body.params is not None
    list(
        check(
            body.params,
            components["Either"],
            lambda schema: resolve_reference(schema, {"components": {"schemas": components}}),
        )
    )
    # Without a bound this would be two to the power of the depth, and never end.
