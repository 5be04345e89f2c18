"""Varlink's interface definitions: what is read, offered and found wrong, and what no definition is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.client.dialects.varlink import described
from rpcshell.client.dialects.varlink_idl import parse
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse as parse_line
from rpcshell.line.suggest import Surroundings, suggest
from tests.rpcshell.varlink_peer import DEFINITION

STATES = """\
# A licence, which is about nothing here

# What an interface says of itself
interface io.example.states

# Where something is
type State(
    # It has not begun
    idle,
    # It goes on
    running
)
type Tree (
    children: []Tree, # behind it
    state: ?State,
    limits: [string](soft: int, hard: ?int),
    names: [string](),
    anything: any,
    whatever: object,
    list: ?[]string,
    type: string
)
# Change it

# [Supports 'more' flag]
# Row two
method Set(tree: Tree, force: ?bool) -> (done: (yes, no))
method Watch() -> (state: State)
error Busy (state: State)
error Gone
"""


def catalog(**definitions: str) -> Catalog:
    named = {name.replace("_", "."): text for name, text in definitions.items()}
    return Catalog.from_openrpc(described({"product": "p", "version": "1"}, named).document)


CATALOG = catalog(io_example_states=STATES, org_example_music=DEFINITION)
SET = CATALOG.methods["io.example.states.Set"]


def offered(marked: str) -> list[str]:
    cursor = marked.index("|")
    line = parse_line(marked.replace("|", "", 1))
    return [found.display for found in suggest(line, cursor, Surroundings(CATALOG, ()))]


def wrong(text: str) -> list[str]:
    return [found.message for found in problems(parse_line(text), len(text), Surroundings(CATALOG, ()))]


def test_comments_are_what_is_said_of_what_follows_them() -> None:
    assert SET.description == "[Supports 'more' flag]\nRow two"
    types = parse("a.b", STATES, "#/t").types
    assert types["State"]["description"] == "Where something is"
    assert types["State"]["anyOf"] == [
        {"const": "idle", "description": "It has not begun"},
        {"const": "running", "description": "It goes on"},
    ]
    assert "description" not in types["Tree"]["properties"]["state"]


def test_types_are_json_schemas() -> None:
    integer, text = {"type": "integer"}, {"type": "string"}
    tree: dict[str, Any] = parse("a.b", STATES, "#/t").types["Tree"]
    properties = tree["properties"]
    assert properties["children"] == {"type": "array", "items": {"$ref": "#/t/Tree"}}
    assert properties["state"] == {"anyOf": [{"$ref": "#/t/State"}, {"type": "null"}]}
    limits = properties["limits"]["additionalProperties"]
    assert limits["properties"] == {"soft": integer, "hard": {"anyOf": [integer, {"type": "null"}]}}
    assert limits["required"] == ["soft"]
    assert properties["names"]["additionalProperties"]["properties"] == {}
    assert (properties["anything"], properties["whatever"]) == ({}, {"type": "object"})
    assert properties["list"] == {"anyOf": [{"type": "array", "items": text}, {"type": "null"}]}
    assert tree["required"] == ["children", "limits", "names", "anything", "whatever", "type"]


def test_methods_errors_and_flags_are_in_the_catalog() -> None:
    assert (CATALOG.title, CATALOG.version) == ("p", "1")
    assert SET.signature == "io.example.states.Set(tree: Tree, force?: boolean | null) -> object"
    assert [error["message"] for error in SET.errors] == ["io.example.states.Busy", "io.example.states.Gone"]
    assert [name for name in CATALOG.methods if name.endswith(":more")] == ["io.example.states.Set:more"]
    alone = catalog(org_example_music=DEFINITION, org_varlink_service="method GetInfo() -> ()")
    assert "org.example.music.Watch:more" in alone.methods
    assert "org.varlink.service.GetInfo:more" not in alone.methods


def test_what_is_nested_is_offered_and_found_wrong() -> None:
    assert offered("io.example.states.Set tree={|")[:3] == ["children", "limits", "names"]
    assert offered("io.example.states.Set:more tree={'children':[{'state':|")[:3] == ['"idle"', '"running"', "null"]
    assert offered("org.example.music.Play order=|")[:2] == ["straight", "shuffled"]
    assert offered("org.example.music.Play volume={|") == ["level", "muted"]
    assert wrong('org.example.music.Play {"track": {"title": 1, "tags": {}}}') == ["expected string, not an integer"]
    assert wrong('org.example.music.Play {"track": {"title": "a", "tags": {"b": "c"}}, "order": null}') == []
    assert wrong("io.example.states.Set tree=1 by=2") != []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("interface a.b", []),
        ("method A(x: int -> ()\nmethod B() -> ()", ["B"]),
        ("method A(x: int) -> (y: ??) method B() -> ()", ["B"]),
        ("method A(x: <new>) -> ()\n\nmethod B(type: string, method: int) -> ()", ["B"]),
        ("future Thing(a, b) method B()->()", ["B"]),
        ("method a() -> () method B() -> ()", ["B"]),
        ("method A(a, b: int) -> () method B() -> ()", ["B"]),
        ("method A(a: " + "(a: " * 500 + "int" + ")" * 500 + ") -> ()\nmethod B() -> ()", ["B"]),
        ("method A(a: " + "[]" * 5000 + "int) -> ()\nmethod B() -> ()", ["B"]),
        ("method A(" * 5000 + "method B() -> ()", ["B"]),
        ("method B(a: int,) -> () method", ["B"]),
        ("type", []),
    ],
)
def test_a_member_that_cannot_be_read_takes_no_other_with_it(text: str, names: list[str]) -> None:
    assert [method["name"] for method in parse("a.b", text, "#/t").methods] == [f"a.b.{name}" for name in names]


WORDS = ["interface", "type", "method", "error", "->", "(", ")", ",", ":", "?", "[]", "[string]", "[ ", "Name", "name"]
WORDS += ["int", "any", "# said\n", "\n", " ", "a.b", "[Supports 'more' flag]", "\x00", "ß"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=60)


HALVES = st.lists(st.integers(0, len(STATES)), min_size=2, max_size=2).map(sorted)


@given(TEXTS | HALVES.map(lambda places: STATES[: places[0]] + STATES[places[1] :]))
def test_whatever_a_definition_is_it_makes_a_catalog(text: str) -> None:
    for method in Catalog.from_openrpc(described({}, {"a.b": text}).document).methods.values():
        assert method.signature


@example([len(STATES), len(STATES)])
@given(HALVES)
def test_half_a_definition_is_better_than_none(places: list[int]) -> None:
    first, last = places
    found = [method["name"] for method in parse("a.b", STATES[:first] + STATES[last:], "#/t").methods]
    assert found[: len(names_in(first))] == names_in(first)


def names_in(size: int) -> list[str]:
    """The methods that end in the first so many characters."""
    return [method["name"] for method in parse("a.b", STATES[:size], "#/t").methods]
