"""Where references in schemas may point: into the document, or into a schema that was written as one of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.catalog import Catalog
from rpcshell.line.language import parse
from rpcshell.line.references import escaped_step, rebased, resolve_reference
from rpcshell.line.suggest import Surroundings, suggest

ITEM = {"type": "object", "properties": {"sku": {"type": "string"}, "parts": {"$ref": "#/$defs/Parts"}}}
PARTS = {"type": "array", "items": {"$ref": "#/$defs/Item"}}


def read(*methods: dict[str, Any], **rest: Any) -> Catalog:
    return Catalog.from_openrpc({"methods": list(methods), **rest})


def offered(catalog: Catalog, text: str) -> list[str]:
    return [found.display for found in suggest(parse(text), len(text), Surroundings(catalog))]


def param(schema: object, name: str = "item") -> dict[str, Any]:
    return {"name": name, "schema": schema}


@pytest.mark.parametrize("keyword", ["$defs", "definitions"])
def test_references_into_the_schema_of_a_param_are_followed(keyword: str) -> None:
    def moved(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: moved(value) for key, value in part.items()}
        return part.replace("$defs", keyword) if isinstance(part, str) else part

    schema = {"$ref": f"#/{keyword}/Item", keyword: {"Item": moved(ITEM), "Parts": moved(PARTS)}}
    catalog = read({"name": "m", "params": [param(schema)]})
    assert offered(catalog, 'm {"item": {') == ["sku", "parts"]
    assert offered(catalog, 'm {"item": {"parts": [{"parts": [{') == ["sku", "parts"]
    assert catalog.methods["m"].signature == "m(item?: Item)"


def test_definitions_of_the_document_are_followed_too() -> None:
    item = {"type": "object", "properties": {"sku": {"$ref": "#/components/schemas/Sku/anyOf/1"}}}
    catalog = read(
        {"name": "m", "params": [param({"$ref": "#/definitions/Item"})]},
        definitions={"Item": item},
        components={"schemas": {"Sku": {"anyOf": [{"type": "null"}, {"enum": ["a", "b"]}]}}},
    )
    assert offered(catalog, 'm {"item": {"sku": ') == ['"a"', '"b"']


def test_definitions_with_one_name_in_several_schemas_are_told_apart() -> None:
    def holding(key: str) -> dict[str, Any]:
        return {"$ref": "#/$defs/X", "$defs": {"X": {"type": "object", "properties": {key: {"type": "null"}}}}}

    catalog = read(
        {"name": "m", "params": [param(holding("one"), "a"), param(holding("two"), "b")]},
        {"name": "n", "params": [param({"$ref": "#/components/schemas/Own"}, "a")]},
        components={"schemas": {"Own": holding("three")}},
    )
    assert offered(catalog, 'm {"a": {') == ["one"]
    assert offered(catalog, 'm {"b": {') == ["two"]
    assert offered(catalog, 'n {"a": {') == ["three"]


def test_a_schema_that_is_taken_whole_may_refer_to_itself() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "name": {"type": "string"}, "title": {"$ref": "#/properties/name"}},
    }
    catalog = read({"name": "m", "params": [param(schema)], "x-params": "whole"})
    assert offered(catalog, 'm {"left": {"left": {') == ["left", "name", "title"]
    assert catalog.methods["m"].resolve(catalog.methods["m"].params_schema["properties"]["title"])["type"] == "string"


def test_the_schema_of_all_params_may_say_more_than_they_do_one_by_one() -> None:
    both = {
        "type": "object",
        "properties": {"a": {"enum": ["x"]}, "b": {"$ref": "#/$defs/B"}},
        "$defs": {"B": {"const": 1}},
    }
    catalog = read({"name": "m", "params": [param({}, "a")], "x-params-schema": both})
    assert offered(catalog, "m {") == ["a", "b"]
    assert offered(catalog, 'm {"b": ') == ["1"]
    assert catalog.methods["m"].signature == "m(a?: any)"


NAMES = st.sampled_from(
    ["$defs", "definitions", "a", "b/c", "%25", "~1", "~", "default", "properties", "x-own", "", "0"]
)
REFERENCES = st.lists(NAMES.map(escaped_step), max_size=4).map(lambda steps: "/".join(["#", *steps]))
SCHEMAS = st.recursive(
    REFERENCES | st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.just("$ref"), inner, max_size=4),
    max_leaves=20,
)


def referred(keys: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[dict[str, Any], str]]:
    """Schemas with these keys, each with a reference that may lead into it."""
    schemas = st.dictionaries(keys, SCHEMAS, min_size=1, max_size=5)
    return schemas.flatmap(
        lambda schema: st.tuples(
            st.just(schema), REFERENCES | st.sampled_from(list(schema)).map(lambda key: f"#/{escaped_step(key)}")
        )
    )


@example(({"$defs": {"b/c": {"const": 1}}}, "#/$defs/b~1c"))
@given(referred(NAMES) | referred(NAMES | st.just("$ref")))
def test_a_schema_of_its_own_leads_where_it_did(drawn: tuple[dict[str, Any], str]) -> None:
    schema, reference = drawn
    before = repr(schema)
    moved = rebased(schema, "#/x-own/0")
    assert repr(schema) == before
    assert moved.keys() == schema.keys()
    referring = {**schema, "$ref": reference}
    there = resolve_reference(referring, schema)
    here = resolve_reference(rebased(referring, "#/x-own/0"), {"x-own": [moved]})
    if reference != "#" and reference.split("/")[1] in map(escaped_step, schema) and "$ref" not in repr(schema):
        assert here == there


def test_a_default_is_no_schema_and_a_property_of_that_name_is() -> None:
    reference = {"$ref": "#/a"}
    schema = {"a": {}, "items": {"default": reference, "properties": {"default": reference}}}
    assert rebased(schema, "#/x")["items"] == {"default": reference, "properties": {"default": {"$ref": "#/x/a"}}}


@given(st.dictionaries(NAMES, st.integers(), min_size=1))
def test_whatever_a_definition_is_called_it_is_found(named: dict[str, int]) -> None:
    schema = {"$defs": {name: {"const": value} for name, value in named.items()}}
    for name, value in named.items():
        reference = {"$ref": f"#/$defs/{escaped_step(name)}"}
        catalog = read({"name": "m", "params": [param({**schema, **reference})]})
        method = catalog.methods["m"]
        assert method.resolve(method.params[0].schema) == {"const": value}


@pytest.mark.parametrize("reference", ["", "#/", "#x", "/$defs/A", "http://a/b#/c", "#/x-own/9", "#/x-own/-1"])
def test_what_leads_nowhere_allows_anything(reference: str) -> None:
    catalog = read({"name": "m", "params": [param({"$defs": {}, "properties": {"a": {"$ref": reference}}})]})
    method = catalog.methods["m"]
    assert method.resolve(method.params[0].schema["properties"]["a"]) == {}
