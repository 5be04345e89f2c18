"""How a method takes its params, by name or by position, as OpenRPC's `paramStructure` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rpcshell.commands.method_page import describe_method, example_call, own_examples
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings, suggest
from rpcshell.prompt.templates import call_template

if TYPE_CHECKING:
    from rpcshell.line.catalog import Method

PARAMS = [
    {"name": "a", "required": True, "schema": {"type": "integer"}},
    {"name": "b", "schema": {"type": "string"}},
    {"name": "c", "schema": {"enum": ["x", "y"], "default": "x"}},
]


def catalog(structure: str | None, **more: Any) -> Catalog:
    method = {"name": "m", "params": PARAMS, **more}
    return Catalog.from_openrpc({"methods": [method if structure is None else method | {"paramStructure": structure}]})


def made(structure: str | None, **more: Any) -> Method:
    return catalog(structure, **more).methods["m"]


def wrong(structure: str | None, text: str) -> list[str]:
    return [found.message for found in problems(parse(text), len(text), Surroundings(catalog(structure), ()))]


@pytest.mark.parametrize("structure", [None, "either", "by-name", "by-position", 1])
def test_pairs_fit_however_a_method_takes_its_params(structure: Any) -> None:
    assert wrong(structure, "m a=1 b=x ") == []


@pytest.mark.parametrize(
    ("structure", "text", "message"),
    [
        ("either", "m [1]", None),
        ("either", "m {a: 1}", None),
        ("by-name", "m {a: 1}", None),
        ("by-name", "m [1]", "its params go by name"),
        ("by-position", "m [1]", None),
        ("by-position", "m {a: 1}", "its params go by position"),
        ("by-position", 'm ["x"]', "expected integer, not a string"),
    ],
)
def test_what_a_method_does_not_take_is_wrong(structure: str, text: str, message: str | None) -> None:
    found = wrong(structure, text)
    assert found == [] if message is None else found[0].startswith(message)


@pytest.mark.parametrize(
    ("structure", "typed", "offered"),
    [
        ("by-position", "m [1, 'p', ", {'"x"', '"y"'}),
        ("by-name", "m [1, 'p', ", set()),
        ("by-name", "m {", {'"a": ', '"b": ', '"c": '}),
        ("by-position", "m {", set()),
        ("by-position", "m ", {"a=", "b=", "c=", "["}),
        ("by-name", "m ", {"a=", "b=", "c=", "{"}),
    ],
)
def test_completion_offers_what_a_method_takes(structure: str, typed: str, offered: set[str]) -> None:
    found = suggest(parse(typed), len(typed), Surroundings(catalog(structure), ()))
    assert {one.text for one in found} == offered


def test_a_template_is_a_list_where_params_go_by_position() -> None:
    template = call_template(made("by-position"))
    assert template is not None
    assert template.text == '[, "", "x"]'
    assert [field.shown for field in template.fields] == ["integer", "string", '"x"|"y"']
    named = call_template(made("by-name"))
    assert named is not None
    assert named.text == '{"a": , "c": "x"}'


def examples(*names: str) -> list[dict[str, Any]]:
    return [{"name": "one", "params": [{"name": name, "value": place} for place, name in enumerate(names)]}]


@pytest.mark.parametrize(
    ("structure", "names", "line"),
    [
        ("either", ("first number", "a text"), 'm {"a": 0, "b": 1}'),
        ("either", ("n", "n", "n"), 'm {"a": 0, "b": 1, "c": 2}'),
        ("either", ("a", "c"), 'm {"a": 0, "c": 1}'),
        ("by-position", ("first number", "a text"), "m [0, 1]"),
        ("by-position", ("a", "c"), "m [0, null, 1]"),
    ],
)
def test_the_names_of_examples_are_not_those_of_params(structure: str, names: tuple[str, ...], line: str) -> None:
    method = made(structure, examples=examples(*names))
    assert [example[0] for example in own_examples(method)] == [line]


def test_an_example_with_more_values_than_params_is_none() -> None:
    method = made("either", examples=examples("p", "q", "r", "s"))
    assert own_examples(method) == []
    assert example_call(method) == 'm {"a": 1}'


def test_the_page_of_a_method_says_that_its_params_go_by_position() -> None:
    page = describe_method(made("by-position"))
    assert "Params, by position:" in page
    assert "m [1]" in page
