import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.differences import (
    CHANGED,
    MISSING,
    Difference,
    Variant,
    differences,
    first_rows,
    group,
    mark_changes,
)
from rpcshell.view.pretty import Fragment, render_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab."),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d", ""]), inner),
    max_leaves=8,
)


def at(value: Any, path: str) -> Any:
    for name, number, quoted in re.findall(r'\.([\w-]+)|\[(\d+)\]|\["([^"]*)"\]', path[1:]):
        try:
            value = value[int(number)] if number else value[name or quoted]
        except (KeyError, IndexError):
            return MISSING
    return value


def test_places_are_named_with_who_has_what() -> None:
    values = [
        {"version": 7, "keys": ["a"], "same": 1},
        {"version": 6, "keys": ["a", "b"], "same": 1},
        {"version": 7, "keys": ["a"], "same": 1},
    ]
    assert differences(values, 10) == [
        Difference("$.version", (Variant(7, (0, 2)), Variant(6, (1,)))),
        Difference("$.keys[1]", (Variant(MISSING, (0, 2)), Variant("b", (1,)))),
    ]
    assert [found.path for found in differences(values, 1)] == ["$.version"]


def test_kinds_are_told_apart_and_the_order_of_keys_is_not() -> None:
    assert [variant.places for variant in group([1, 1.0, True, 1])] == [(0, 3), (1,), (2,)]
    assert len(group([{"a": 1, "b": 2}, {"b": 2, "a": 1}])) == 1
    assert differences([{"a b": [1]}, {"a b": {}}], 9)[0].path == '$["a b"]'


def test_values_that_are_nested_deeply_are_compared() -> None:
    deep: list[Any] = [1]
    other: list[Any] = [2]
    for _ in range(300):
        deep, other = [deep], [other]
    (found,) = differences([deep, other], 9)
    assert found.path == "$" + "[0]" * 301


@given(st.lists(JSON, min_size=1, max_size=4))
def test_what_is_listed_differs_and_nothing_else_does(values: list[Any]) -> None:
    found = differences(values, 1000)
    assert bool(found) is (len(group(values)) > 1)
    for difference in found:
        assert sorted(place for variant in difference.variants for place in variant.places) == [*range(len(values))]
        for variant in difference.variants:
            for place in variant.places:
                here = at(values[place], difference.path)
                assert here is variant.value or group([here, variant.value])[0].places == (0, 1)


def drawn(value: Any) -> list[Fragment]:
    return list(render_json(value, 40))


def marked(before: Any, after: Any) -> list[str]:
    return [text for style, text in mark_changes(drawn(before), drawn(after)) if CHANGED in style.split()]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, []),
        ({"a": 1, "b": 2}, {"a": 2, "b": 3}, ["2", "3"]),
        ({"a": 1}, {"a": 1, "new": None}, ['"new"', "null"]),
        ([1, 2, 3], [0, 1, 2, 3], ["0"]),
        ([{"n": number} for number in range(30)], [{"n": number} for number in range(29)] + [{"n": 99}], ["99"]),
        ({"a": 1, "b": 2}, {"a": 1}, []),
    ],
)
def test_what_is_new_or_different_is_marked(before: Any, after: Any, expected: list[str]) -> None:
    assert marked(before, after) == expected


def test_the_first_drawing_has_no_marks() -> None:
    assert mark_changes([], drawn({"a": 1})) == drawn({"a": 1})


def test_very_many_pieces_are_compared_by_place() -> None:
    assert marked(list(range(3000)), [*range(1500), -1, *range(1501, 3000)]) == ["-1"]


@given(st.lists(st.tuples(st.sampled_from(["", "class:a"]), st.text("ab\n", max_size=5))), st.integers(1, 5))
def test_the_first_rows_are_the_beginning(pieces: list[Fragment], rows: int) -> None:
    whole = "".join(text for _, text in pieces)
    text = "".join(text for _, text in first_rows(pieces, rows))
    assert whole.startswith(text)
    assert text == whole if whole.count("\n") < rows else text.count("\n") == rows
    assert text.count("\n") <= rows


def test_no_more_than_the_first_rows_is_asked_for() -> None:
    pieces = iter([("", "1\n"), ("", "2\n"), ("", "3\n")])
    assert first_rows(pieces, 2) == [("", "1\n"), ("", "2\n")]
    assert next(pieces) == ("", "3\n")
