"""Forms that servers send as JSON Schemas: fields, choices, and what typed texts mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.form import LEFT_OUT, FormProblem, fields_of

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "minLength": 2},
        "age": {"type": "integer", "minimum": 18, "default": 20},
        "size": {"enum": ["s", "m"], "enumNames": ["small", "medium"]},
        "colour": {"oneOf": [{"const": "#f00", "title": "Red"}, {"const": "#0f0", "title": "Green"}]},
        "news": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "default": ["a", "b"], "minItems": 1},
        "shared": {"$ref": "#/$defs/Level"},
        "rest": {},
    },
    "required": ["name", "age"],
    "$defs": {"Level": {"type": "string", "enum": ["low", "high"], "description": "how much"}},
}
FIELDS = {field.name: field for field in fields_of(SCHEMA)}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "Ada Lovelace", "Ada Lovelace"),
        ("name", "12", "12"),
        ("age", " 18 ", 18),
        ("size", "m", "m"),
        ("size", "small", "s"),
        ("size", "", LEFT_OUT),
        ("colour", "Green", "#0f0"),
        ("news", "yes", True),
        ("news", "false", False),
        ("tags", "c, a", ["c", "a"]),
        ("shared", "high", "high"),
        ("shared", "Hi", "high"),
        ("rest", '{"a": [1]}', {"a": [1]}),
        ("rest", "just a text", "just a text"),
    ],
)
def test_a_text_has_the_value_that_its_field_takes(name: str, text: str, value: Any) -> None:
    assert FIELDS[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("name", "", "has to be filled in"),
        ("name", "A", "at least 2"),
        ("name", "Ad\udcff", "no UTF-8"),
        ("age", "\udcff", "no UTF-8"),
        ("age", "x", "a number is wanted"),
        ("age", "1.5", "integer"),
        ("age", "17", "at least 18"),
        ("size", "l", "one of s, m is wanted"),
        ("news", "maybe", "one of true, false is wanted"),
        ("tags", "a, z", "one of a, b, c"),
    ],
)
def test_what_a_field_does_not_take_is_said(name: str, text: str, why: str) -> None:
    with pytest.raises(FormProblem, match=why):
        FIELDS[name].read(text)


def test_fields_begin_with_their_defaults_and_say_what_they_are() -> None:
    assert {name: field.default for name, field in FIELDS.items() if field.default} == {
        "age": "20",
        "news": "false",
        "tags": "a, b",
    }
    assert FIELDS["name"].title == "Your name"
    assert FIELDS["shared"].about == 'how much · "low" | "high" · optional'


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYWORDS = st.sampled_from(
    [
        "type",
        "enum",
        "enumNames",
        "oneOf",
        "anyOf",
        "items",
        "default",
        "title",
        "description",
        "$ref",
        "const",
        "minimum",
    ]
)
ODD = st.dictionaries(KEYWORDS, JSON | st.dictionaries(KEYWORDS, JSON, max_size=4), max_size=6)


@given(
    properties=st.dictionaries(st.text(max_size=5), ODD | JSON, max_size=4) | JSON,
    required=JSON,
    text=st.text(max_size=10) | JSON.map(str),
)
def test_any_schema_makes_a_form_and_any_text_has_a_meaning(properties: Any, required: Any, text: str) -> None:
    for field in fields_of({"properties": properties, "required": required}):
        assert isinstance(field.title + field.about + field.default, str)
        for choice in field.choices:
            assert isinstance(choice.text, str)
        try:
            field.read(text)
        except FormProblem as problem:
            assert str(problem)
