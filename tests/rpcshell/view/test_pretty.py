import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.pretty import HIGHLIGHT_LIMIT, render_json
from rpcshell.view.width import cells
from tests.steps import steps

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def text_of(value: Any, width: int = 80, column: int = 0) -> str:
    return "".join(text for _, text in render_json(value, width, column=column))


@given(JSON, st.integers(20, 120), st.integers(0, 15))
def test_what_is_shown_is_the_value_as_json(value: Any, width: int, column: int) -> None:
    assert json.loads(text_of(value, width, column)) == value


@given(st.lists(st.text("ab 日", max_size=5) | st.integers(0, 999)), st.integers(30, 100))
def test_lines_fit_the_width(value: list[Any], width: int) -> None:
    assert all(cells(line) <= width for line in text_of({"key": [value]}, width).splitlines())


def test_what_fits_on_one_line_stays_on_it() -> None:
    assert text_of({"a": 1, "b": [True, None, "ü"], "c": {}}) == '{"a": 1, "b": [true, null, "ü"], "c": {}}'


def test_what_does_not_fit_is_indented_with_its_small_parts_kept_together() -> None:
    value = {"name": "x" * 24, "items": [{"id": 1}, {"id": 2}], "empty": []}
    assert text_of(value, 36) == (
        '{\n  "name": "xxxxxxxxxxxxxxxxxxxxxxxx",\n  "items": [{"id": 1}, {"id": 2}],\n  "empty": []\n}'
    )


def test_the_column_of_the_first_line_counts() -> None:
    assert "\n" not in text_of([1, 2, 3], 30, column=19)
    assert "\n" in text_of([1, 2, 3], 30, column=21)


@pytest.mark.parametrize("number", [2**64, -(10**300), 0.1, 1e300])
def test_numbers_keep_their_digits(number: float) -> None:
    assert text_of(number) == str(number)


@pytest.mark.parametrize("value", [[], {}, "", None])
def test_what_is_empty_is_shown_whole_at_any_depth(value: Any) -> None:
    nested = value
    for _ in range(30):
        nested = [nested]
    assert json.loads(text_of(nested, 20)) == nested


def test_controls_are_escaped_as_json_does_in_keys_and_values() -> None:
    assert text_of({"\x1b": "\x9b\u202e\x7f\n"}) == r'{"\u001b": "\u009b\u202e\u007f\n"}'


def test_wide_characters_count_twice() -> None:
    assert cells("日本") == 4
    assert "\n" in text_of(["日本" * 6], 27)
    assert "\n" not in text_of(["ab" * 6], 27)


def test_parts_have_styles() -> None:
    styles = {text: style for style, text in render_json({"k": ["s", 1, None]}, 80)}
    assert len({styles['"k"'], styles['"s"'], styles["1"], styles["null"]}) == 4


@pytest.mark.thorough
def test_nothing_beyond_the_limit_is_highlighted() -> None:
    value = [{"id": number, "text": "x" * 100} for number in range(3 * HIGHLIGHT_LIMIT // 100)]
    styled = sum(len(text) for style, text in render_json(value, 80) if style)
    assert HIGHLIGHT_LIMIT * 0.9 < styled <= HIGHLIGHT_LIMIT


def test_the_first_page_of_a_huge_value_does_not_wait_for_the_rest() -> None:
    value = {"items": [{"id": number, "name": f"name {number}"} for number in range(400_000)]}
    assert steps(lambda: list(islice(render_json(value, 80), 500))) < 20_000


def test_a_huge_text_comes_in_pieces() -> None:
    first = list(islice(render_json("x" * 10_000_000, 80), 3))
    assert sum(len(text) for _, text in first) < 1_000_000


def test_nesting_deeper_than_python_recurses_is_shown() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    shown = text_of(value)
    assert shown.count("[") == shown.count("]") == 5001
