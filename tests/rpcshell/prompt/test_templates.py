"""Templates: what a method's params look like before they are filled in, and going through their places."""

from __future__ import annotations

from typing import Any

import pytest

from rpcshell.line.catalog import Catalog, Method
from rpcshell.prompt.templates import Template, call_template
from rpcshell.shell.session import Session
from tests.rpcshell.prompt.test_prompt import typed

SHIFT_TAB = "\x1b[Z"

SCHEMAS = {
    "Colour": {"enum": ["red", "green"]},
    "Point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["x"]},
    "Tree": {
        "type": "object",
        "properties": {"next": {"$ref": "#/components/schemas/Tree"}, "name": {"type": "string"}},
        "required": ["next", "name"],
    },
}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def param(name: str, schema: Any, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "schema": schema, "required": required}


def catalog(**methods: list[dict[str, Any]]) -> Catalog:
    entries = [{"name": name, "params": params} for name, params in methods.items()]
    return Catalog.from_openrpc({"openrpc": "1.3.2", "components": {"schemas": SCHEMAS}, "methods": entries})


def template(*params: dict[str, Any], **options: Any) -> Template | None:
    document = {"name": "m", "params": list(params), **options}
    methods = Catalog.from_openrpc(
        {"openrpc": "1.3.2", "components": {"schemas": SCHEMAS}, "methods": [document]}
    ).methods
    return call_template(methods["m"])


def marked(found: Template | None) -> str:
    """The text with its places in guillemets: the default, or else what is shown."""
    assert found is not None
    text = found.text
    for place in reversed(found.fields):
        text = f"{text[: place.start]}«{text[place.start : place.end] or place.shown}»{text[place.end :]}"
    return text


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "number"}, '{"p": «number»}'),
        ({"type": "number", "default": 0}, '{"p": «0»}'),
        ({"type": "string"}, '{"p": "«string»"}'),
        ({"type": "string", "format": "date"}, '{"p": "«date»"}'),
        ({"type": "string", "default": 'a"b'}, '{"p": "«a\\"b»"}'),
        ({"type": "boolean"}, '{"p": «true|false»}'),
        ({"type": "boolean", "default": False}, '{"p": «false»}'),
        (ref("Colour"), '{"p": «"red"|"green"»}'),
        ({**ref("Colour"), "default": "green"}, '{"p": «"green"»}'),
        (ref("Point"), '{"p": {"x": «number»}}'),
        ({"type": "array", "items": {"type": "string"}}, '{"p": [«string»]}'),
        ({"type": "array", "items": ref("Point")}, '{"p": [{"x": «number»}]}'),
        ({"type": "array"}, '{"p": [«any»]}'),
        ({"type": "object"}, '{"p": {«…»}}'),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, '{"p": «null | integer»}'),
        ({}, '{"p": «any»}'),
    ],
)
def test_each_kind_of_value_has_a_place(schema: Any, text: str) -> None:
    assert marked(template(param("p", schema))) == text


def test_what_is_required_or_has_a_plain_default_is_asked_for() -> None:
    params = (
        param("a", {"type": "number"}),
        param("b", {"type": "number", "default": 0}, required=False),
        param("c", {"type": "string"}, required=False),
        param("d", {"type": "array", "default": []}, required=False),
    )
    assert marked(template(*params)) == '{"a": «number», "b": «0»}'
    assert marked(template(*params[2:])) == "{«…»}"


def test_a_method_with_many_params_asks_for_those_it_needs() -> None:
    optional = [param(f"o{n}", {"type": "number", "default": n}, required=False) for n in range(9)]
    assert marked(template(param("a", {"type": "number"}), *optional)) == '{"a": «number»}'


def test_a_long_template_has_a_row_for_each_param() -> None:
    found = template(*(param(f"parameter_{n}", ref("Point")) for n in range(3)))
    assert found is not None
    assert found.text.splitlines()[:4] == ["{", '  "parameter_0": {', '    "x": ', "  },"]


def test_a_type_that_contains_itself_ends() -> None:
    assert len(marked(template(param("p", ref("Tree"))))) < 500


def test_nothing_to_fill_in_is_no_template() -> None:
    assert template() is None
    assert template(param("p", {"const": 1})) is None
    assert template(param("params", {}), **{"x-params": "whole"}) is None


def test_params_taken_whole_have_places_where_their_type_is_known() -> None:
    assert marked(template(param("params", ref("Point")), **{"x-params": "whole"})) == '{"x": «number»}'


METHODS = catalog(
    add=[param("a", {"type": "number"}), param("b", {"type": "number", "default": 0}, required=False)],
    paint=[param("colour", ref("Colour")), param("what", {"type": "string"}), param("wet", {"type": "boolean"})],
    now=[],
    nowhere=[],
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.rpcshell.prompt.test_prompt.KnownSession.known", METHODS)

    def method(_self: Session, name: str) -> Method | None:
        return METHODS.methods.get(name)

    monkeypatch.setattr(Session, "method", method)


@pytest.mark.samples(4)
@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("add \t1\r", 'add {"a": 1, "b": 0}'),
        ("add\t1\r", 'add {"a": 1, "b": 0}'),
        ("x = add \t1\r", 'x = add {"a": 1, "b": 0}'),
        ("add \t1\t2\r", 'add {"a": 1, "b": 2}'),
        ("add \t1\t23\r", 'add {"a": 1, "b": 23}'),
        ("add \t1\t\x7f2\r", 'add {"a": 1, "b": 2}'),
        ("add \t1\t2\x1b[D\x1b[D\x1b[Dx\t5\r", 'add {"a": 1, "b"x5: 2}'),
        (f"add \t1\t2{SHIFT_TAB}3\r", 'add {"a": 13, "b": 2}'),
        ("add \t1\t\t # all\r", 'add {"a": 1, "b": 0} # all'),
        # Enter goes to what is still lacking, once.
        ("add \t\t5\r1\r", 'add {"a": 1, "b": 5}'),
        # Changing the template itself ends it: Tab completes as ever.
        ("add \t1\x05, c: 3\r", 'add {"a": 1, "b": 0}, c: 3'),
        ("now\t\r", "now"),
    ],
)
def test_tab_goes_through_the_places(keys: str, line: str) -> None:
    assert typed(keys) == line


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("paint \tr\twall\tf\t\r", 'paint {"colour": "red", "what": "wall", "wet": false}'),
        ("paint \tr\t$x.y\ttrue\r", 'paint {"colour": "red", "what": $x.y, "wet": true}'),
        ("add \t1\t$x\r", 'add {"a": 1, "b": $x}'),
        ('paint \t"g\t"wall"\ttrue\r', 'paint {"colour": "green", "what": "wall", "wet": true}'),
    ],
)
def test_a_value_of_few_is_completed_and_quotes_are_as_they_should_be(keys: str, line: str) -> None:
    assert typed(keys) == line


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("recalled", "keys", "line"),
    [
        ('login user=bob password="***"', "hunter2", 'login user=bob password="hunter2"'),
        ('a {"pw": "***", "url": "http://***@h"}', "one\tu:two", 'a {"pw": "one", "url": "http://u:two@h"}'),
        ("login password=***", "x", "login password=x"),
    ],
)
def test_a_line_that_was_kept_without_its_secret_asks_for_it(recalled: str, keys: str, line: str) -> None:
    assert typed(f"\x1b[A\r{keys}\r", history=(recalled,)) == line


def test_asterisks_that_are_no_secret_are_sent_as_they_are() -> None:
    assert typed("\x1b[A\r", history=('note text="***"',)) == 'note text="***"'
