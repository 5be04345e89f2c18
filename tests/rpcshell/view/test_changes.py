from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.changes import CHANGED, first_rows, mark_changes
from rpcshell.view.pretty import Fragment, render_json


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
