"""Rows that end between words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.width import cells
from rpcshell.view.wrap import wrapped

TEXTS = st.text(alphabet="ab \n日", max_size=40)


def rows(text: str, columns: int) -> list[str]:
    return "".join(part for _, part in wrapped([("", text)], columns)).split("\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", ["one two", "three"]),
        ("one two\nthree", ["one two", "three"]),
        ("  in front of it", ["  in", "front of", "it"]),
        ("abcdefghijk lm", ["abcdefghijk", "lm"]),
        ("12345678 9", ["12345678", "9"]),
        ("", [""]),
    ],
)
def test_a_row_ends_before_the_word_that_has_no_room(text: str, expected: list[str]) -> None:
    assert rows(text, 8) == expected


@given(st.lists(st.tuples(st.sampled_from(["", "class:hint"]), TEXTS), max_size=5), st.integers(6, 20))
def test_no_word_is_cut_or_changed_and_no_row_is_too_wide(pieces: list[tuple[str, str]], columns: int) -> None:
    shown = list(wrapped(pieces, columns))
    text = "".join(part for _, part in shown)
    assert text.split() == "".join(part for _, part in pieces).split()
    styled = [(style, letter) for style, part in shown for letter in part if letter.strip()]
    assert styled == [(style, letter) for style, part in pieces for letter in part if letter.strip()]
    for row in text.split("\n"):
        assert cells(row.rstrip()) <= columns or len(row.split()) == 1
