from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.catalog import EMPTY_CATALOG, Catalog, CatalogError
from tests.rpcshell.line.language.strategies import json_values
from tests.rpcshell.shop import CATALOG, SCHEMAS

ODD_KEYS = st.sampled_from(
    ["name", "params", "schema", "summary", "type", "enum", "anyOf", "allOf", "properties", "items", "$ref", "default"]
)
ODD_VALUES = st.one_of(
    json_values,
    st.sampled_from(["object", "array", "string", "#/components/schemas/A", "a", "whole"]),
)
ODD_OBJECTS: st.SearchStrategy[Any] = st.recursive(
    ODD_VALUES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD_KEYS, inner, max_size=4)),
    max_leaves=30,
)
ODD_METHODS = st.lists(
    st.one_of(ODD_OBJECTS, st.fixed_dictionaries({"name": st.just("m"), "params": st.lists(ODD_OBJECTS, max_size=3)})),
    max_size=3,
)


def test_a_document_gives_title_version_and_methods() -> None:
    assert (CATALOG.title, CATALOG.version) == ("shop", "2.1")
    assert list(CATALOG.methods) == [
        "add",
        "order.create",
        "order.cancel",
        "user.orders",
        "ping",
        "mood",
        "odd name",
    ]


def test_a_method_has_what_the_document_says_of_it() -> None:
    add = CATALOG.methods["add"]
    assert (add.summary, add.out, add.idempotent, add.deprecated, add.whole) == (
        "Add two numbers.",
        "sum",
        True,
        False,
        False,
    )
    assert [(param.name, param.required, param.description) for param in add.params] == [
        ("a", True, "The first."),
        ("b", False, ""),
    ]
    assert add.params_schema["required"] == ["a"]
    assert CATALOG.methods["ping"].whole
    assert CATALOG.methods["order.cancel"].deprecated


def test_the_first_line_of_the_description_stands_in_for_a_summary() -> None:
    assert CATALOG.methods["order.create"].summary == "Make an order."


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("add", "add(a: number, b: number = 0) -> number"),
        (
            "order.create",
            (
                "order.create(item: Item, items?: Item[], express: boolean = false, zip: string | null = null, "
                'pet?: Pet, color?: "red" | "dark green", tree?: Tree, loop?: Loop, sizes?: object) -> string'
            ),
        ),
        ("mood", 'mood(params: "good" | "bad")'),
        ("user.orders", "user.orders()"),
    ],
)
def test_a_signature_is_one_line(name: str, signature: str) -> None:
    assert CATALOG.methods[name].signature == signature


def test_long_lists_of_values_and_types_are_cut_short_in_a_signature() -> None:
    params = [
        {"name": "n", "schema": {"enum": list(range(100))}, "required": True},
        {"name": "u", "schema": {"anyOf": [{"const": n} for n in range(100)]}, "required": True},
    ]
    catalog = Catalog.from_openrpc({"methods": [{"name": "m", "params": params}]})
    shown = "0 | 1 | 2 | 3 | 4 | 5 | …"
    assert catalog.methods["m"].signature == f"m(n: {shown}, u: {shown})"


def test_a_signature_knows_where_its_parameters_stand() -> None:
    method = CATALOG.methods["order.create"]
    for index, param in enumerate(method.params):
        signature, span = method.signature_about(index)
        assert signature == method.signature
        assert span is not None
        assert signature[slice(*span)] == param.signature


def test_references_are_followed_and_what_stands_beside_them_wins() -> None:
    reference = {"$ref": "#/components/schemas/Item"}
    assert CATALOG.methods["add"].resolve(reference) == SCHEMAS["Item"]
    assert CATALOG.methods["add"].resolve({**reference, "title": "x"}) == {**SCHEMAS["Item"], "title": "x"}
    assert CATALOG.methods["add"].resolve({"$ref": "#/components/schemas/Item/properties/qty"})["type"] == "integer"


@pytest.mark.parametrize("target", ["#/components/schemas/Loop", "#/components/schemas/None", "#/x", "http://x/y"])
def test_circles_and_loose_ends_allow_anything(target: str) -> None:
    assert CATALOG.methods["add"].resolve({"$ref": target}) == {}


@pytest.mark.parametrize("document", [None, 1, [], {}, {"methods": {}}, "methods"])
def test_what_is_no_openrpc_document_is_refused(document: object) -> None:
    with pytest.raises(CatalogError, match="no list of methods"):
        Catalog.from_openrpc(document)


def test_content_descriptors_may_be_references() -> None:
    document = {
        "methods": [{"name": "m", "params": [{"$ref": "#/components/contentDescriptors/A"}]}],
        "components": {"contentDescriptors": {"A": {"name": "a", "required": True, "schema": {"type": "string"}}}},
    }
    assert Catalog.from_openrpc(document).methods["m"].signature == "m(a: string)"


def test_methods_that_cannot_be_read_are_left_out() -> None:
    document = {"methods": [1, {}, {"name": 2}, {"name": "m", "params": 3, "result": 4, "examples": 5}]}
    assert list(Catalog.from_openrpc(document).methods) == ["m"]


@given(ODD_METHODS, ODD_OBJECTS)
def test_no_document_with_a_list_of_methods_makes_it_raise(methods: list[Any], components: Any) -> None:
    catalog = Catalog.from_openrpc({"methods": methods, "info": components, "components": {"schemas": components}})
    for method in catalog.methods.values():
        assert method.name in method.signature


def test_the_empty_catalog_has_no_methods() -> None:
    assert not EMPTY_CATALOG.methods
    assert EMPTY_CATALOG.index.search("", 10) == []


@pytest.mark.parametrize(
    ("given", "arranged"),
    [
        ({"a": 1, "b": 2}, [1, 2]),
        ({"b": 2}, [None, 2]),
        ({"c": 3}, [None, 7, 3]),
        ({}, []),
        ({"d": 4}, {"d": 4}),
        ([2, 1], [2, 1]),
        (None, None),
    ],
)
def test_params_by_name_become_a_list_where_the_method_takes_no_others(given: object, arranged: object) -> None:
    params = [{"name": "a"}, {"name": "b", "schema": {"default": 7}}, {"name": "c"}]
    methods = [{"name": "list", "params": params, "paramStructure": "by-position"}, {"name": "any", "params": params}]
    catalog = Catalog.from_openrpc({"methods": methods})
    assert catalog.methods["list"].arranged(given) == arranged
    assert catalog.methods["any"].arranged(given) == given


def test_the_signature_of_a_method_of_which_only_the_name_is_known_promises_nothing() -> None:
    named = {"name": "m", "params": [], "x-params": "whole"}
    assert Catalog.from_openrpc({"methods": [named]}).methods["m"].signature == "m(…)"
    assert Catalog.from_openrpc({"methods": [{**named, "x-params": None}]}).methods["m"].signature == "m()"
