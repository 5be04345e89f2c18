"""OVSDB's schemas as methods: what is offered and found wrong inside transactions and monitors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.dialects.ovsdb_schema import described
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings, suggest

SWITCH: dict[str, Any] = {
    "name": "Open_vSwitch",
    "version": "8.3.1",
    "tables": {
        "Bridge": {
            "columns": {
                "name": {"type": "string", "mutable": False},
                "fail_mode": {"type": {"min": 0, "key": {"type": "string", "enum": ["set", ["standalone", "secure"]]}}},
                "ports": {"type": {"min": 0, "max": "unlimited", "key": {"type": "uuid", "refTable": "Port"}}},
                "other_config": {"type": {"min": 0, "max": "unlimited", "key": "string", "value": "string"}},
                "mcast_snooping_enable": {"type": "boolean"},
                "flood_vlans": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 4095}}},
            }
        },
        "Port": {"columns": {"tag": {"type": {"key": "integer", "min": 0}}, "cost": {"type": "real"}}},
    },
}
SERVER: dict[str, Any] = {
    "version": "1.2.0",
    "tables": {"Database": {"columns": {"model": {"type": {"key": {"type": "string", "enum": "clustered"}}}}}},
}


def catalog(**schemas: Any) -> Catalog:
    return Catalog.from_openrpc(described(schemas).document)


CATALOG = catalog(Open_vSwitch=SWITCH, _Server=SERVER)


def offered(marked: str) -> list[str]:
    cursor = marked.index("|")
    line = parse(marked.replace("|", "", 1))
    return [found.display for found in suggest(line, cursor, Surroundings(CATALOG, ()))]


def wrong(text: str) -> list[str]:
    return [found.message for found in problems(parse(text), len(text), Surroundings(CATALOG, ()))]


IN = 'transact ["Open_vSwitch", '


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("transact [|", ['"Open_vSwitch"', '"_Server"']),
        (IN + '{"op": |', ['"select"', '"insert"', '"update"', '"mutate"', '"delete"', '"wait"']),
        (IN + '{"op": "insert", |', ["table", "row", "uuid-name"]),
        (IN + '{"op": "insert", "table": |', ['"Bridge"', '"Database"', '"Port"']),
        (IN + '{"op": "insert", "table": "Bridge", "row": {|', ["fail_mode", "flood_vlans", "mcast_snooping_enable"]),
        (IN + '{"op": "insert", "table": "Port", "row": {|', ["cost", "tag"]),
        (IN + '{"op": "insert", "table": "Bridge", "row": {"fail_mode": |', ['"standalone"', '"secure"']),
        (IN + '{"op": "insert", "table": "Bridge", "row": {"fail_mode": "s|', ['"standalone"', '"secure"']),
        (IN + '{"op": "update", "table": "Bridge", "where": [[|', ['"fail_mode"', '"flood_vlans"']),
        (IN + '{"op": "update", "table": "Bridge", "where": [["name", |', ['"=="', '"!="', '"<"']),
        (IN + '{"op": "delete", "table": "Bridge", "where": [["fail_mode", "==", |', ['"standalone"', '"secure"']),
        (
            IN + '{"op": "delete", "table": "Bridge", "where": [["name", "==", "a"], ["fail_mode", "==", "|',
            ['"standalone"'],
        ),
        (IN + '{"op": "mutate", "table": "Port", "where": [], "mutations": [["cost", |', ['"+="', '"-="']),
        (IN + '{"op": "select", "table": "Port", "where": [], "columns": [|', ['"cost"', '"tag"', '"_uuid"']),
        (IN + '{"op": "insert", "table": "Database", "row": {"model": |', ['"clustered"']),
        (IN + '{"op": "comment", |', ["comment"]),
        ("get_schema db=|", ["Open_vSwitch", "_Server"]),
        ("monitor db=_Server requests={|", ["Bridge", "Database", "Port"]),
        ('monitor requests={"Port": {"columns": [|', ['"cost"', '"tag"', '"_uuid"']),
        ('monitor_cond requests={"Port": [{"where": [[|', ['"cost"', '"tag"', '"_uuid"']),
    ],
)
def test_what_may_stand_at_a_place_is_offered(marked: str, expected: list[str]) -> None:
    assert offered(marked)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"op": "insert", "table": "Bridge", "row": {"name": "a", "fail_mode": "secure"}}', None),
        ('{"op": "insert", "table": "Bridge", "row": {"fail_mode": ["set", []]}}', None),
        ('{"op": "insert", "table": "Bridge", "row": {"ports": ["named-uuid", "p"]}}', None),
        ('{"op": "insert", "table": "Bridge", "row": {"other_config": ["map", [["a", "b"]]]}}', None),
        ('{"op": "wait", "table": "Port", "where": [], "columns": [], "until": "==", "rows": []}', None),
        ('{"op": "select", "table": "Bridge"}', "missing where"),
        ('{"op": "insert", "table": "Bridge", "row": {"fail_mode": "open"}}', "expected"),
        ('{"op": "insert", "table": "Bridge", "row": {"fail_mod": "secure"}}', "did you mean fail_mode?"),
        ('{"op": "insert", "table": "Bridge", "row": {"flood_vlans": 4096}}', "at most 4095"),
        ('{"op": "insert", "table": "Bridge", "row": {"other_config": ["map", [["a"]]]}}', "at least 2 items"),
        ('{"op": "delete", "table": "Nope", "where": []}', 'expected "Bridge" | "Database" | "Port"'),
        (
            '{"op": "delete", "table": "Bridge", "where": [["flood_vlans", "<", 10], ["_uuid", "==", ["uuid", "a"]]]}',
            None,
        ),
        ('{"op": "delete", "table": "Bridge", "where": [["flood_vlans", "<", 4096]]}', "at most 4095"),
        ('{"op": "delete", "table": "Bridge", "where": [["fail_mode", "==", "open"]]}', "expected"),
        ('{"op": "delete", "table": "Bridge", "where": [["fail_mod", "==", "secure"]]}', 'expected "fail_mode"'),
        ('{"op": "delete", "table": "Bridge", "where": [["name", "like", "a"]]}', 'expected "=="'),
        ('{"op": "drop"}', 'expected "select"'),
    ],
)
def test_what_does_not_fit_the_schema_is_wrong(text: str, message: str | None) -> None:
    found = wrong(f"{IN}{text}]")
    assert found == [] if message is None else message in found[0]


def test_the_catalog_says_which_database_it_is_and_takes_params_by_position() -> None:
    assert (CATALOG.title, CATALOG.version) == ("Open_vSwitch", "8.3.1")
    assert CATALOG.methods["monitor"].arranged({"monitor": 1, "db": "d", "requests": {}}) == ["d", 1, {}]
    assert catalog(a=SWITCH, b=SERVER).version == ""
    assert {"update", "update2", "update3", "locked", "stolen"} <= set(CATALOG.events)


def test_columns_of_a_table_that_several_databases_have_are_those_of_all() -> None:
    other = {"tables": {"Port": {"columns": {"speed": {"type": "integer"}}}}}
    both = described({"a": SWITCH, "b": other}).document
    assert set(both["components"]["schemas"]["row of Port"]["properties"]) == {"tag", "cost", "speed"}


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "uuid", "unlimited", "set", "a b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["tables", "columns", "type", "key", "value", "min", "max", "enum", "refTable", "a", "/~%"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text(max_size=3), ODD | st.fixed_dictionaries({"tables": ODD}), max_size=2))
def test_whatever_a_schema_is_it_makes_a_catalog(schemas: dict[str, Any]) -> None:
    made = catalog(**schemas)
    for method in made.methods.values():
        assert method.signature
        text = f'{method.name} ["a", {{"op": "insert", "table": "a", "row": {{'
        list(suggest(parse(text), len(text), Surroundings(made, ())))
        list(problems(parse(text), len(text), Surroundings(made, ())))
