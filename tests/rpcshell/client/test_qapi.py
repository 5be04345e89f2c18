"""QEMU's schema as methods: by what is typed, offered and found wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.dialects.qapi import described
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings, suggest

SCHEMA: list[dict[str, Any]] = [
    {"name": "str", "meta-type": "builtin", "json-type": "string"},
    {"name": "int", "meta-type": "builtin", "json-type": "int"},
    {"name": "bool", "meta-type": "builtin", "json-type": "boolean"},
    {"name": "any", "meta-type": "builtin", "json-type": "value"},
    {"name": "null", "meta-type": "builtin", "json-type": "null"},
    {"name": "0", "meta-type": "object", "members": []},
    {"name": "1", "meta-type": "enum", "values": ["nbd", "null-co", "qcow2"]},
    {"name": "2", "meta-type": "enum", "members": [{"name": "inet"}, {"name": "unix"}]},
    {
        "name": "10",
        "meta-type": "object",
        "tag": "driver",
        "members": [
            {"name": "driver", "type": "1"},
            {"name": "read-only", "type": "bool", "default": None},
            {"name": "old", "type": "int", "default": None, "features": ["deprecated", "unstable"]},
        ],
        "variants": [{"case": "nbd", "type": "11"}, {"case": "qcow2", "type": "12"}],
    },
    {"name": "11", "meta-type": "object", "members": [{"name": "server", "type": "13"}]},
    {
        "name": "12",
        "meta-type": "object",
        "members": [{"name": "backing", "type": "21", "default": None}, {"name": "file", "type": "20"}],
    },
    {
        "name": "13",
        "meta-type": "object",
        "tag": "type",
        "members": [{"name": "type", "type": "2"}],
        "variants": [{"case": "inet", "type": "14"}, {"case": "unix", "type": "15"}],
    },
    {
        "name": "14",
        "meta-type": "object",
        "members": [
            {"name": "host", "type": "str"},
            {"name": "port", "type": "str"},
            {"name": "keep-alive", "type": "bool", "default": None},
        ],
    },
    {"name": "15", "meta-type": "object", "members": [{"name": "path", "type": "str"}]},
    {"name": "20", "meta-type": "alternate", "members": [{"type": "10"}, {"type": "str"}]},
    {"name": "21", "meta-type": "alternate", "members": [{"type": "10"}, {"type": "str"}, {"type": "null"}]},
    {"name": "[str]", "meta-type": "array", "element-type": "str"},
    {"name": "[30]", "meta-type": "array", "element-type": "30"},
    {"name": "30", "meta-type": "object", "members": [{"name": "file", "type": "20"}, {"name": "x", "type": "any"}]},
    {
        "name": "31",
        "meta-type": "object",
        "members": [{"name": "paths", "type": "[str]"}, {"name": "force", "type": "bool", "default": None}],
    },
    {"name": "32", "meta-type": "object", "members": [{"name": "driver", "type": "str"}]},
    {"name": "33", "meta-type": "object", "members": [{"name": "addr", "type": "13"}]},
    {"name": "blockdev-add", "meta-type": "command", "arg-type": "10", "ret-type": "0"},
    {"name": "query-block", "meta-type": "command", "arg-type": "0", "ret-type": "[30]"},
    {"name": "x-open", "meta-type": "command", "arg-type": "31", "ret-type": "str", "features": ["unstable"]},
    {"name": "device_add", "meta-type": "command", "arg-type": "32", "ret-type": "0", "features": ["deprecated"]},
    {"name": "nbd-server-start", "meta-type": "command", "arg-type": "33", "ret-type": "0"},
    {"name": "STOP", "meta-type": "event", "arg-type": "0"},
    {"name": "ADDED", "meta-type": "event", "arg-type": "31"},
]


def read(schema: object) -> Catalog:
    return Catalog.from_openrpc(described(schema, "QEMU").document)


CATALOG = read(SCHEMA)
INET = 'blockdev-add {"driver":"qcow2","file":{"driver":"nbd","server":{"type":"inet",'


def offered(text: str) -> list[str]:
    return [found.display for found in suggest(parse(text), len(text), Surroundings(CATALOG))]


def wrong(text: str) -> list[str]:
    return [found.message for found in problems(parse(text), len(text), Surroundings(CATALOG))]


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (
            "blockdev-add",
            'blockdev-add(driver: "nbd" | "null-co" | "qcow2", read-only?: boolean, old?: integer) -> object',
        ),
        ("query-block", "query-block() -> query-block.result[]"),
        ("x-open", "x-open(paths: string[], force?: boolean) -> string"),
        ("nbd-server-start", "nbd-server-start(addr: blockdev-add:nbd.server) -> object"),
    ],
)
def test_commands_are_methods_and_types_have_names(name: str, signature: str) -> None:
    assert CATALOG.methods[name].signature == signature


def test_what_goes_away_is_said_where_it_is_offered() -> None:
    line = 'blockdev-add {"driver":"nbd","ol'
    assert [found.meta for found in suggest(parse(line), len(line), Surroundings(CATALOG))] == [
        "integer · unstable · deprecated"
    ]


def test_only_commands_are_methods() -> None:
    assert CATALOG.events == {"STOP": "", "ADDED": "paths, force?"}
    assert list(CATALOG.methods) == ["blockdev-add", "query-block", "x-open", "device_add", "nbd-server-start"]
    assert (CATALOG.methods["device_add"].deprecated, CATALOG.methods["x-open"].deprecated) == (True, False)
    assert CATALOG.methods["x-open"].summary == "unstable"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("blockdev-add {", ["driver", "read-only", "old"]),
        ('blockdev-add {"driver":', ['"nbd"', '"null-co"', '"qcow2"']),
        ('blockdev-add {"driver":"qcow2",', ["file", "backing", "read-only", "old"]),
        ('blockdev-add {"driver":"null-co",', ["read-only", "old"]),
        ('blockdev-add {"driver":"who",', ["read-only", "old"]),
        ("blockdev-add driver=nbd ", ["server", "read-only", "old"]),
        (INET, ["host", "port", "keep-alive"]),
        (INET.replace("inet", "unix"), ["path"]),
        (INET + '"host":"h","keep-alive":', ["true", "false"]),
        (
            'blockdev-add {"driver":"qcow2","backing":{"driver":"qcow2","file":{"driver":"nbd",',
            ["server", "read-only", "old"],
        ),
        ("x-open ", ["paths", "force", "{…}"]),
    ],
)
def test_what_is_offered_depends_on_what_is_there(line: str, names: list[str]) -> None:
    assert offered(line) == names


@pytest.mark.parametrize(
    "line",
    [
        INET + '"host":"h","port":"1","keep-alive":true}}}',
        'blockdev-add {"driver":"qcow2","file":"disk"}',
        'blockdev-add {"file":"disk","driver":"qcow2","backing":null}',
        "blockdev-add driver=qcow2 file=disk",
        'blockdev-add {"file":"disk","driver":$name}',
        "blockdev-add {",
        'device_add {"driver":"virtio-net","netdev":"n"}',
        "query-block",
        "query-block {}",
        'x-open paths=["a"]',
    ],
)
def test_what_fits_is_not_called_wrong(line: str) -> None:
    found = [problem for problem in wrong(line) if "$name" not in problem]
    assert not found


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (INET + '"hots":"h"}}}', "unknown parameter hots; did you mean host?"),
        (INET + '"host":"h"}}}', "missing port"),
        (INET + '"host":1}}}', "expected string, not an integer"),
        ('blockdev-add {"driver":"qcow2","server":{}}', "unknown parameter server"),
        ('blockdev-add {"driver":"null-co","file":"x"}', "unknown parameter file"),
        ('blockdev-add {"driver":"qcow3"}', 'expected "nbd" | "null-co" | "qcow2"'),
        ('blockdev-add {"read-only":true}', "missing driver"),
        ("blockdev-add [1]", "its params go by name"),
        ('query-block {"a":1}', "unknown parameter a"),
    ],
)
def test_what_does_not_fit_is_said(line: str, says: str) -> None:
    assert wrong(f"{line} ")[0].startswith(says)


NAMES = st.sampled_from(["1", "2", "3", "c", "d", "str", ""])
VALUES = NAMES | st.none() | st.integers() | st.just("object") | st.just("array")
PARTS = st.lists(
    st.dictionaries(st.sampled_from(["name", "type", "case", "default", "features"]), VALUES, max_size=4) | VALUES,
    max_size=3,
)
KINDS = st.sampled_from(["command", "object", "array", "alternate", "enum", "builtin", "event"])
ENTRIES = st.fixed_dictionaries(
    {"name": NAMES, "meta-type": KINDS},
    optional={
        "arg-type": VALUES,
        "ret-type": VALUES,
        "element-type": VALUES,
        "members": PARTS | VALUES,
        "variants": PARTS | VALUES,
        "tag": VALUES,
        "values": PARTS | VALUES,
        "json-type": VALUES,
        "features": PARTS | VALUES,
    },
)


@given(st.lists(ENTRIES | VALUES, max_size=8))
def test_whatever_a_schema_says_it_can_be_read_and_typed_by(schema: list[Any]) -> None:
    catalog = read(schema)
    for name in catalog.methods:
        for text in (f'{name} {{"1": {{"2": [', f"{name} ", f'{name} {{"1": "c", "'):
            list(suggest(parse(text), len(text), Surroundings(catalog)))
            list(problems(parse(text), len(text), Surroundings(catalog)))


def test_a_schema_without_end_has_one() -> None:
    cases = [{"case": str(number), "type": "u"} for number in range(200)]
    union = {"name": "u", "meta-type": "object", "tag": "t", "members": [{"name": "t", "type": "e"}], "variants": cases}
    members = [{"type": "a"}, {"type": "b"}, {"type": "u"}]
    loops: list[dict[str, Any]] = [
        {"name": "a", "meta-type": "array", "element-type": "b"},
        {"name": "b", "meta-type": "alternate", "members": members},
    ]
    chain = [{"name": f"c{n}", "meta-type": "array", "element-type": f"c{n + 1}"} for n in range(5000)]
    commands = [
        {"name": f"m{number}", "meta-type": "command", "arg-type": kind, "ret-type": kind}
        for number, kind in enumerate("aub")
    ]
    catalog = read([union, *loops, *chain, *commands, {"name": "m", "meta-type": "command", "ret-type": "c0"}])
    assert list(catalog.methods) == ["m0", "m1", "m2", "m"]
