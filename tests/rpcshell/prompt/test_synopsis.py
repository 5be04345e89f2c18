import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.catalog import Catalog
from rpcshell.line.language import CallLine, parse
from rpcshell.prompt.synopsis import Row, command_synopsis, method_synopsis
from rpcshell.view.width import cells
from tests.rpcshell.line.language.strategies import line_texts
from tests.rpcshell.line.test_catalog import ODD_METHODS, ODD_OBJECTS
from tests.rpcshell.shop import CATALOG


def synopsis(marked: str, rows: int = 8, columns: int = 79, catalog: Catalog = CATALOG) -> list[Row]:
    cursor = marked.index("|")
    body = parse(marked.replace("|", "", 1)).body
    assert isinstance(body, CallLine)
    return method_synopsis(catalog.methods[body.method], body, cursor, rows, columns)


def shown(rows: list[Row]) -> list[str]:
    return ["".join(text for _, text in row).rstrip() for row in rows]


def at_cursor(rows: list[Row]) -> list[str]:
    return [text.strip() for row in rows for style, text in row if style.endswith(".here")]


def test_it_says_what_a_method_does_what_it_takes_and_what_comes_back() -> None:
    assert shown(synopsis("add |")) == [
        "── add · idempotent ───────────────────────────────────────────────────────────",
        "Add two numbers.",
        "a   number  The first.",
        "b?  number  default 0",
        "→ sum: number",
    ]


SKU = ["sku", "qty?", "color?"]


@pytest.mark.parametrize(
    ("marked", "title", "fields", "here"),
    [
        ("add a=1|", "add", ["a", "b?"], ["a"]),
        ("add [1, |2]", "add", ["a", "b?"], ["b?"]),
        ("order.create item={|", "order.create · item", SKU, []),
        ("order.create item={'sku': 'x', 'qty': |", "order.create · item", SKU, ["qty?"]),
        ('order.create {"items": [{}, {"color": "r|"}]}', "order.create · items[]", SKU, ["color?"]),
        ("order.create [{sku|: 'x'}]", "order.create · item", SKU, ["sku"]),
        ('order.create {"pet": {"type": "dog", |', "order.create · pet", ["type", "good?"], []),
        ('order.create {"tree": {"kids": [{|', "order.create · tree · kids[]", ["kids?"], []),
    ],
)
def test_it_follows_the_cursor_into_nested_params(marked: str, title: str, fields: list[str], here: list[str]) -> None:
    rows = synopsis(marked)
    texts = shown(rows)
    assert texts[0].split("──")[1].strip().removesuffix(" · idempotent") == title
    assert [text.split()[0] for text in texts if text.split()[0] in fields] == fields
    assert at_cursor(rows) == here


def test_what_the_cursor_is_at_is_shown_even_where_there_is_little_room() -> None:
    rows = synopsis("order.create item={'sku': 'x'} loop=|", rows=4)
    assert len(rows) == 4
    assert at_cursor(rows) == ["loop?"]
    assert shown(rows)[-1].startswith("… ")


def test_a_wide_screen_is_used() -> None:
    kinds = {"description": "which", "enum": [f"quite a long kind {n}" for n in range(5)]}
    method = {"name": "m", "description": "word " * 30, "params": [{"name": "kind", "schema": kinds}]}
    catalog = Catalog.from_openrpc({"methods": [method]})
    assert any("…" in row for row in shown(synopsis("m |", columns=79, catalog=catalog)))
    wide = shown(synopsis("m |", columns=150, catalog=catalog))
    assert not any("…" in row for row in wide)
    assert len(wide[1]) > 140


def test_a_command_is_shown_by_its_help() -> None:
    rows = shown(command_synopsis("x", "Usage: :x\n\n  Does it.\n\n" + "\n".join(map(str, range(20))), 5, 40))
    assert rows[0].startswith("── :x ──")
    assert rows[1:] == ["  Does it.", "0", "1", "… :help x says more"]


@given(line_texts, st.integers(0, 60), st.integers(3, 12), st.integers(10, 120))
def test_it_fits_whatever_is_typed(text: str, cursor: int, rows: int, columns: int) -> None:
    body = parse(text).body
    call = body if isinstance(body, CallLine) else None
    for method in CATALOG.methods.values():
        found = method_synopsis(method, call, cursor, rows, columns)
        assert 2 <= len(found) <= rows
        assert all(sum(cells(part) for _, part in row) <= columns for row in found)


@given(ODD_METHODS, ODD_OBJECTS, st.sampled_from(["m |", 'm {"a": |', "m a=|", "m [{|", "m {a: [{|"]))
def test_no_schema_makes_it_raise_or_reach_the_terminal(methods: list[object], schemas: object, marked: str) -> None:
    catalog = Catalog.from_openrpc({"methods": methods, "components": {"schemas": {"A": schemas}}})
    if "m" in catalog.methods:
        for row in synopsis(marked, catalog=catalog):
            assert all(text.isprintable() for _, text in row)
