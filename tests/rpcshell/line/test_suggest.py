from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rpcshell.client.dialects.jsonrpc import JsonRpc1
from rpcshell.client.dialects.registry import prefixes
from rpcshell.line.catalog import EMPTY_CATALOG, Catalog
from rpcshell.line.language import parse
from rpcshell.line.reply_values import ReplyValues
from rpcshell.line.suggest import Suggestion, Surroundings, suggest
from rpcshell.view.settings import Settings
from tests.rpcshell.line.language.strategies import line_texts
from tests.rpcshell.line.test_catalog import ODD_METHODS, ODD_OBJECTS
from tests.rpcshell.shop import CATALOG, COMMANDS, DOCUMENT
from tests.steps import steps

REPLY_VALUES = ReplyValues()
REPLY_VALUES.remember("order.create", {"id": 7, "zip": "9711 AA", "item": {"sku": "TEA-42"}})
VARIABLES = {"_": [{"id": 1}, 2], "user": {"id": 7, "full name": "Ada", "tags": ["x"], "password": "hunter2"}, "n": 3}
AROUND = Surroundings(
    targets=lambda: ("local", "my shop", "unix:/run/x"),
    dialects=prefixes,
    aliases={"mk": "order.create color=red", "plus": "add", ":again": ":watch 2"},
    settings=Settings(),
)


def suggestions(marked: str, catalog: Catalog = CATALOG, around: Surroundings = AROUND) -> Iterator[Suggestion]:
    """Suggestions for a line whose cursor is at the `|`."""
    cursor = marked.index("|")
    line = parse(marked.replace("|", "", 1))
    return suggest(line, cursor, replace(around, catalog=catalog, commands=COMMANDS))


def texts(marked: str, around: Surroundings = AROUND) -> list[str]:
    return [suggestion.text for suggestion in suggestions(marked, around=around)]


def first_applied(marked: str) -> str:
    """The line after the first suggestion was taken."""
    line = marked.replace("|", "", 1)
    taken = next(suggestions(marked))
    return line[: taken.start] + taken.text + line[taken.end :]


def test_targets() -> None:
    offered = texts(":connect |")
    assert offered[:3] == ["local", "'my shop'", "unix:/run/x"]
    assert {"qmp:", "mcp:", "jsonrpc:"} <= set(offered[3:])
    assert texts(":connect jsonrpc1|") == ["jsonrpc1:", *(f"jsonrpc1+{one}:" for one in JsonRpc1.framings[1:])]
    assert texts(":connect jsonrpc+l|") == ["jsonrpc+line:"]
    assert texts(":connect qmp:|") == ["qmp:unix:", "qmp:tls://", "qmp:exec:"]
    assert texts(":connect mcp:h|") == ["mcp:https://"]
    assert texts(":connect jsonrpc+line:|") == [f"jsonrpc+line:{kind}" for kind in ("unix:", "tls://", "exec:")]
    assert texts(":connect native:|") == ["native:unix:", "native:tls://"]
    assert texts(":connect un|") == ["unix:/run/x", "unix:"]
    assert texts(":connect nope:|") == texts(":connect 127.0.0.1:|") == []


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("or|", ["order.create", "user.orders", "order.cancel"]),
        ("ocr|", ["order.create"]),
        ("orders|", ["user.orders"]),
        ("odd|", ['"odd name"']),
        ('"odd na|', ['"odd name"']),
        ("zzz|", []),
    ],
)
def test_methods(marked: str, expected: list[str]) -> None:
    assert texts(marked) == expected


def test_an_empty_line_offers_methods_then_commands() -> None:
    offered = texts("|")
    assert offered[:3] == ["mk", "plus", "add"]
    assert offered[-8:] == [":again", ":spawn", ":help", ":connect", ":describe", ":set", ":watch", ":drill"]


def test_a_method_comes_with_its_summary_and_the_deprecated_last() -> None:
    found = list(suggestions("or|"))
    assert found[0].meta == "Make an order."
    assert found[-1].meta == "deprecated · Cancel an order."


def test_the_whole_name_is_replaced_when_the_cursor_is_inside_it() -> None:
    assert first_applied("or|xx {}") == "order.create {}"


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("add |", ["a=", "b=", "{"]),
        ("add b|", ["b="]),
        ("add a=1 |", ["b="]),
        ("add a=1 b|", ["b="]),
        ("add a|=1", ["a"]),
        ("add | a=1", ["b="]),
        ("add a=1|", []),
        ("add {|", ['"a": ', '"b": ']),
        ("add <|", ['"a": ', '"b": ']),
        ('add {"|', ['"a": ', '"b": ']),
        ("add {'|", ["'a': ", "'b': "]),
        ("add {b|", ["b: "]),
        ("add {a: 1, |", ["b: "]),
        ("add {'a': 1, |", ["'b': "]),
        ('add {"a": 1, |}', ['"b": ']),
        ('add {|, "b": 1}', ['"a": ']),
        ('add {"a|": 1}', ['"a"']),
        ('add {"a": 1 |}', []),
        ('add {"a": 1}|', []),
        ('add {"a": 1} |', []),
        ("add [|", []),
        ("order.create item={|", ['"sku": ', '"qty": ', '"color": ']),
        ("order.create items=[{sku: 'x', |", ["qty: ", "color: "]),
        ('order.create {"items": [{}, {"|"}]}', ['"sku": ', '"qty": ', '"color": ']),
        ('order.create [{"|', ['"sku": ', '"qty": ', '"color": ']),
        ('order.create {"pet": {"type": "dog", |', ['"good": ']),
        ('order.create {"pet": {"type": "cat", |', ['"lives": ']),
        ('order.create {"tree": {"kids": [{"kids": [{|', ['"kids": ']),
        ('order.create {"loop": {|', []),
        ("ping |", []),
        ("nope {|", []),
        ("add # |", []),
    ],
)
def test_parameter_names(marked: str, expected: list[str]) -> None:
    assert texts(marked) == expected


def test_what_is_required_comes_first_until_something_is_typed() -> None:
    names = ("after", "at", "always", "also")
    schema = {"type": "object", "properties": {name: {} for name in names}, "required": ["always", "also"]}
    catalog = Catalog.from_openrpc({"methods": [{"name": "m", "params": [{"name": "p", "schema": schema}]}]})
    assert [found.display for found in suggestions("m p={|", catalog)] == ["always", "also", "after", "at"]
    assert [found.display for found in suggestions("m p={a|", catalog)] == list(names)


def test_a_parameter_comes_with_its_type_and_description() -> None:
    assert [found.meta for found in suggestions("add {|")] == ["number · required · The first.", "number · default 0"]
    assert next(suggestions("order.create item={|")).meta == "string · required · What it is."
    assert next(suggestions("order.create item={'q|")).meta == "integer · default 1 · at least 1"


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("order.create color=|", ["red", '"dark green"']),
        ("order.create color=d|", ['"dark green"']),
        ("order.create color='|", ["'red'", "'dark green'"]),
        ('order.create {"color": |', ['"red"', '"dark green"']),
        ('order.create {"color": "|', ['"red"', '"dark green"']),
        ('order.create {"color": "r|"}', ['"red"']),
        ('order.create {"color": r|}', ['"red"']),
        ("order.create express=|", ["false", "true"]),
        ("order.create express=t|", ["true"]),
        ("order.create zip=|", ["null"]),
        ('order.create zip="|', []),
        ("add b=|", ["0"]),
        ("order.create item=|", ["{"]),
        ("order.create items=|", ["["]),
        ("order.create items=[|", ["{"]),
        ('order.create {"pet": {"type": |', ['"cat"', '"dog"']),
        ('order.create [{"sku": "x"}, [{"color": |', ['"red"', '"dark green"']),
        ("mood |", ['"good"', '"bad"']),
        ("mood b|", ['"bad"']),
        ('mood "|', ['"good"', '"bad"']),
        ("order.create color=ee|", ['"dark green"']),
        ('order.create {"sizes": {|', ['"small": ', '"large": ']),
        ('order.create {"sizes": {"small": |', ["1", "2"]),
    ],
)
def test_values(marked: str, expected: list[str]) -> None:
    assert texts(marked) == expected


@pytest.mark.parametrize(
    ("marked", "line"),
    [
        ('order.create {"co|', 'order.create {"color": '),
        ('order.create {"col|or": "red"}', 'order.create {"color": "red"}'),
        ('order.create {"color": "r|"}', 'order.create {"color": "red"}'),
        ("order.create col|", "order.create color="),
        ("order.create color=r| zip=1", "order.create color=red zip=1"),
        (":sp|", ":spawn"),
        (":spawn --mo| x", ":spawn --model x"),
        (":spawn --model=th|", ":spawn --model=thread"),
        (':connect "my|', ":connect 'my shop'"),
    ],
)
def test_a_suggestion_replaces_what_was_begun(marked: str, line: str) -> None:
    assert first_applied(marked) == line


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (":|", [":again", ":spawn", ":help", ":connect", ":describe", ":set", ":watch", ":drill"]),
        (":s|", [":set", ":spawn", ":describe"]),
        (":spawn -|", ["--workers", "--model", "--keep"]),
        (":spawn -w 3 --|", ["--model", "--keep"]),
        (":spawn -w |", []),
        (":spawn -m |", ["sync", "thread"]),
        (":spawn --model=s|", ["sync"]),
        (":spawn -- -|", []),
        (":help c|", ["connect", "describe", "watch"]),
        (":help serv|", ["server"]),
        (":help order.c|", ["order.create", "order.cancel"]),
        (":connect local |", []),
        (":describe order.c|", ["order.create", "order.cancel"]),
        (":describe ping add|", ["add"]),
        (":set f|", ["format"]),
        (":set format |", ["auto", "json", "table", "raw"]),
        (":set format t|", ["table", "auto"]),
        (":set format=r|", ["raw"]),
        (":set nope |", []),
        (":watch |", ["--count"]),
        (":watch 2 user|", ["user.orders"]),
        (":watch -2 user|", ["user.orders"]),
        (":watch -n 3 2 add |", ["a=", "b=", "{"]),
        (":w 2 add {|", ['"a": ', '"b": ']),
        (":again add a=1 |", ["b="]),
        (":nope |", []),
        (":dri|", [":drill", ":drill kill"]),
        (":kil|", [":drill kill"]),
        (":drill |", ["kill", "hold"]),
        (":drill ki|", ["kill"]),
        (":drill kill|", ["kill"]),
        (":drill kill -|", ["--yes"]),
        (":kill -|", ["--yes"]),
    ],
)
def test_commands(marked: str, expected: list[str]) -> None:
    assert texts(marked) == expected


def test_commands_and_options_come_with_their_help() -> None:
    assert next(suggestions(":sp|")).meta == "Start a server."
    option = next(suggestions(":spawn -|"))
    assert (option.display, option.meta) == ("-w, --workers", "How many workers.")
    assert next(suggestions(":drill |")).meta == "Kill one."
    assert [found.meta for found in suggestions(":|")][-1] == "Break it · Break it."


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("$|", ["n", "user", "_"]),
        ("$u|", ["user"]),
        ("add a=$|", ["n", "user", "_"]),
        ("add a=$use|", ["user"]),
        ("add a=$user.|", [".id", '["full name"]', ".tags", ".password"]),
        ("add a=$user.i|", [".id"]),
        ("add a=$user.tags|", [".tags", "[0]"]),
        ("add a=$user[|", ['["id"]', '["full name"]', '["tags"]', '["password"]']),
        ("add a=$_|", ["_", "[0]", "[1]"]),
        ("add a=$_[|", ["[0]", "[1]"]),
        ("add a=$_[0].|", [".id"]),
        ("add a=$_[0]|", [".id"]),
        ('add {"a": $_[0].|', [".id"]),
        ("add [$us|, 1]", ["user"]),
        ('mood $"for ${us|', ["user"]),
        ('mood $"for ${user.i|}"', [".id"]),
        ("add a=$nope.|", []),
        ("add a=$_[9].|", []),
        ("mood '$us|", []),
        ("add # $us|", []),
        ("copy = $us|", ["user"]),
    ],
)
def test_variables(marked: str, expected: list[str]) -> None:
    assert texts(marked, Surroundings(variables=VARIABLES)) == expected


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("add a=|", ["$_", "$user", "$n"]),
        ("order.create express=|", ["false", "true", "$_", "$user"]),
        ("add [1, |", ["0", "$_", "$user", "$n"]),
        ("mood g|", ['"good"']),
    ],
)
def test_variables_come_after_the_values_that_the_schema_knows(marked: str, expected: list[str]) -> None:
    assert texts(marked, Surroundings(variables=VARIABLES)) == expected


def test_a_variable_comes_with_its_value_but_no_secrets() -> None:
    def metas(marked: str) -> list[str]:
        return [found.meta for found in suggestions(marked, around=Surroundings(variables=VARIABLES))]

    assert metas("$user.|") == ["7", '"Ada"', "[1 item]", "***"]
    assert metas("$|") == ["3", "{id, full name, tags, …}", "[2 items]"]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("m|", ["mk", "mood"]),
        ("mk |", ["item=", "items=", "express=", "zip=", "pet=", "tree=", "loop=", "sizes="]),
        ("mk express=t|", ["true"]),
        ("plus {'a': 1, |", ["'b': "]),
        (":ag|", [":again"]),
    ],
)
def test_what_an_alias_stands_for_is_completed(marked: str, expected: list[str]) -> None:
    assert texts(marked)[: len(expected)] == expected
    assert all(found.start >= marked.index("|") - 7 for found in suggestions(marked))


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("order.create zip=|", ["null", '"9711 AA"']),
        ("order.create zip=9|", ['"9711 AA"']),
        ('order.create {"zip": "aa|', ['"9711 AA"']),
        ("order.create item={'sku': |", ['"TEA-42"']),
        ("order.create [{sku: |", ['"TEA-42"']),
        ("order.create color=|", ["red", '"dark green"']),
        ("order.create express=|", ["false", "true"]),
    ],
)
def test_values_of_earlier_replies_are_offered_where_they_fit(marked: str, expected: list[str]) -> None:
    found = list(suggestions(marked, around=Surroundings(reply_values=REPLY_VALUES)))
    assert [one.text for one in found] == expected


def test_a_value_of_a_reply_says_where_it_is_from() -> None:
    found = list(suggestions("order.create zip=9|", around=Surroundings(reply_values=REPLY_VALUES)))
    assert [one.meta for one in found] == ["from order.create"]


def test_a_name_with_blanks_that_is_typed_without_its_quotes_gets_them() -> None:
    catalog = Catalog.from_openrpc({"methods": [{"name": f"resource:Dynamic {kind}", "params": []} for kind in "BT"]})

    found = [(one.text, one.start, one.end) for one in suggestions("r = Resource:dynamic b| {}", catalog)]

    assert found == [('"resource:Dynamic B"', 4, 22)]
    assert len(list(suggestions("resource:Dynamic |", catalog))) == 2
    assert list(suggestions("resource:Dynamic B {|", catalog)) == []


@given(line_texts, st.integers(-2, 60))
def test_no_line_makes_it_raise_and_all_spans_are_within_the_line(text: str, cursor: int) -> None:
    for catalog in (CATALOG, EMPTY_CATALOG):
        for found in suggest(
            parse(text), cursor, replace(AROUND, catalog=catalog, commands=COMMANDS, variables=VARIABLES)
        ):
            assert 0 <= found.start <= found.end <= len(text)


@given(line_texts, st.integers(0, 60))
def test_the_same_line_is_always_answered_the_same(text: str, cursor: int) -> None:
    line = parse(text)
    first = list(suggest(line, cursor, Surroundings(CATALOG, COMMANDS)))
    assert list(suggest(line, cursor, Surroundings(Catalog.from_openrpc(DOCUMENT), COMMANDS))) == first


@given(ODD_METHODS, ODD_OBJECTS, st.sampled_from(["m |", "m {|", 'm {"a": |', "m a=|", "m [|", "m [{|", "m {a: [{|"]))
def test_no_schema_makes_it_raise(methods: list[object], schemas: object, marked: str) -> None:
    catalog = Catalog.from_openrpc({"methods": methods, "components": {"schemas": {"A": schemas}}})
    list(suggestions(marked, catalog))


def test_a_key_press_takes_few_steps_for_each_of_ten_thousand_methods() -> None:
    words = ("user", "order", "item", "report", "audit", "billing", "cart", "index")
    names = [f"{words[i % 8]}.{words[i // 8 % 8]}.{words[i // 64 % 8]}{i}" for i in range(10_000)]
    catalog = Catalog.from_openrpc({"methods": [{"name": name, "params": []} for name in names]})

    def suggested(typed: str) -> None:
        list(suggest(parse(typed), len(typed), Surroundings(catalog, COMMANDS)))

    for typed in ("", "u", "order.cart", "uoi9", "zzzz"):
        assert steps(partial(suggested, typed)) < 100_000
