from itertools import accumulate, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.escape import visible
from rpcshell.view.pretty import HIGHLIGHT_LIMIT
from rpcshell.view.table import is_tabular, render_table
from rpcshell.view.width import cells
from tests.steps import steps

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aé日👩\n\x1b ", max_size=30)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
rows = st.lists(st.dictionaries(st.text("ab日", max_size=6), values, max_size=5), min_size=1, max_size=5)

PEOPLE = [
    {"id": 1, "name": "Zoë", "tags": ["a", "b"], "ok": True},
    {"id": 22, "name": "日本語", "tags": [], "ok": None},
    {"id": 333, "name": "", "note": "two\nlines\x1b"},
]


def table(value: Any, width: int | None = 80, max_rows: int = 0) -> str:
    return "".join(text for _, text in render_table(value, width, max_rows=max_rows))


def test_a_list_of_objects_is_aligned_by_what_is_seen() -> None:
    assert table(PEOPLE).splitlines() == [
        " id  name    tags       ok    note",
        "───  ──────  ─────────  ────  ──────────────",
        '  1  Zoë     ["a","b"]  true',
        " 22  日本語  []         null",
        r'333  ""                       two\nlines\x1b',
    ]


def test_cells_are_cut_from_the_widest_and_numbers_never() -> None:
    lines = table([{"id": 12345678901, "a": "x" * 50, "b": "日" * 30, "c": {"k": list(range(99))}}], 50).splitlines()
    assert [cells(line) for line in lines[1:]] == [50, 50]
    assert lines[2].startswith("12345678901  xxxxx")
    assert lines[2].count("…") == 3
    assert '  {"k":[0,' in lines[2]


def test_on_a_narrow_screen_every_row_is_a_table_of_its_own() -> None:
    people = [{"id": 1, "name": "Zoë", "email": "zoe@example.org", "city": "Zürich an der Limmat", "x": 2**70}]
    assert table(people * 2, 40).splitlines()[:6] == [
        "── 1 ──",
        "id     1",
        "name   Zoë",
        "email  zoe@example.org",
        "city   Zürich an der Limmat",
        "x      1180591620717411303424",
    ]


def test_an_object_has_a_line_for_each_key_and_its_lists_of_objects_are_tables() -> None:
    value = {"total": 2, "page": {"next": None}, "items": [{"id": 1}, {"id": 2}]}
    assert table(value).splitlines() == [
        "total  2",
        'page   {"next":null}',
        "",
        "items 2 rows",
        "id",
        "──",
        " 1",
        " 2",
    ]


def test_lists_of_other_things_have_columns_too() -> None:
    assert table([1, "a", [2], None]).splitlines()[:3] == ["value", "─────", "1"]
    assert table([[1, "a"], [22, "b", True]]).splitlines()[2:] == [" 1  a", "22  b  true"]


def test_rows_beyond_the_limit_are_counted() -> None:
    lines = table([{"n": n} for n in range(10)], max_rows=3).splitlines()
    assert lines[2:] == ["0", "1", "2", "… 7 more; :set max_rows 0 shows all"]


@pytest.mark.parametrize(
    ("value", "tabular"), [([], False), ({}, False), ("a", False), (1, False), ([1], True), ({"a": 1}, True)]
)
def test_only_what_holds_something_is_tabular(value: Any, tabular: bool) -> None:
    assert is_tabular(value) == tabular


@given(rows | st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=4), st.integers(20, 120))
def test_lines_fit_the_screen_and_say_no_control(value: Any, width: int) -> None:
    shown = table(value, width)
    assert shown.endswith("\n") or shown == ""
    assert all(cells(line) <= width for line in shown.splitlines())
    assert visible(shown, newlines=True) == shown


@given(rows)
def test_columns_begin_in_every_line_where_their_rules_do(value: list[dict[str, Any]]) -> None:
    keys = dict.fromkeys(key for row in value for key in row)
    lines = table(value, None).split("\n")[:-1]
    if not keys:
        return
    heading, rule, *below = lines
    assert len(below) == len(value)
    assert len(rule.split("  ")) == len(keys)
    assert cells(heading) <= cells(rule)
    edges = list(accumulate((cells(part) + 2 for part in rule.split("  ")), initial=0))
    for line, row in zip(below, value, strict=True):
        used = [place for place, key in enumerate(keys) if key in row]
        if not used:
            assert line == ""
            continue
        last = used[-1]
        assert edges[last] <= cells(line) <= edges[last + 1] - 2


def test_the_first_page_of_a_huge_list_does_not_wait_for_the_rest() -> None:
    value = [{"id": n, "name": f"name {n}", "tags": ["a", {"b": n}]} for n in range(50_000)]
    assert steps(lambda: list(islice(render_table(value, 80), 500))) < 120_000


def test_huge_and_deep_cells_cost_no_more_than_what_is_shown() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    value = [{"text": "x" * 10_000_000, "deep": deep, "wide": {"a": [0] * 1_000_000}}]
    assert steps(lambda: table(value, 2000)) < 1_000_000
    shown = table(value, 2000)
    assert len(shown) < 10_000
    assert shown.count("…") == 3


def test_nothing_beyond_the_limit_is_highlighted() -> None:
    value = [{"id": n, "text": "x" * 100} for n in range(2 * HIGHLIGHT_LIMIT // 100)]
    assert sum(len(text) for style, text in render_table(value, 200) if style) <= HIGHLIGHT_LIMIT
