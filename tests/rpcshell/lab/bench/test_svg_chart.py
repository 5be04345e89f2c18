from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.bench.svg_chart import (
    Band,
    Curve,
    Rule,
    even_axis,
    even_marks,
    log_axis,
    log_marks,
    named_axis,
    xy,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**parts: object) -> list[ET.Element]:
    """A chart of two things from 0 to 100, as wide and as narrow pages have it."""
    text = xy("c", "Title", "Told.", named_axis(["a", "b"]), even_axis(100.0, "{:g}".format), **parts)  # type: ignore[arg-type]  # as tests say
    return list(ET.fromstring(f'<svg xmlns="{SVG[1:-1]}">{text}</svg>'))  # noqa: S314 - our own


def classed(chart: ET.Element, kind: str) -> list[ET.Element]:
    return [node for node in chart.iter() if kind in (node.get("class") or "").split()]


@given(st.floats(1e-9, 1e9), st.integers(2, 12))
def test_even_marks_are_round_and_reach_the_largest(high: float, most: int) -> None:
    marks = even_marks(high, most)
    assert len(marks) <= most
    assert marks[0] == 0
    assert marks[-1] >= high * (1 - 1e-6)


@given(st.floats(1e-9, 1e3), st.floats(1.5, 1e9), st.integers(2, 12))
def test_marks_of_a_logarithmic_axis_are_on_it(low: float, times: float, most: int) -> None:
    marks = log_marks(low, low * times, most)
    assert len(marks) <= most
    assert all(low * 0.99 <= mark <= low * times * 1.01 for mark in marks)


def test_an_axis_places_its_values() -> None:
    assert [even_axis(90.0, str).part(value) for value in (-5, 0, 50, 100)] == [0, 0, 0.5, 1]
    assert even_axis(90.0, str, up_to_mark=False).part(90) == 1
    assert [log_axis(1e-3, 1e1, str).part(value) for value in (0, 1e-3, 0.1, 10)] == pytest.approx([0, 0, 0.5, 1])
    assert named_axis(["a", "b", "c"]).marks(2) == [(0.5, "a"), (2.5, "c")]


def test_a_chart_says_what_it_shows_on_wide_and_on_narrow_pages() -> None:
    wide, narrow = drawn()
    assert (wide.get("class"), narrow.get("class")) == ("wide", "narrow")
    for chart in (wide, narrow):
        assert (chart.findtext(f"{SVG}title"), chart.findtext(f"{SVG}desc")) == ("Title", "Told.")
        assert {node.text for node in classed(chart, "mark")} >= {"a", "b", "0", "100"}


def test_bars_are_as_high_as_what_they_stand_for() -> None:
    bands = [Band(0, 1, "much", 100.0, (90.0, 100.0), "100"), Band(1, 2, "little", 0.001)]
    for chart in drawn(bands=bands):
        high, low = (float(node.get("height") or 0) for node in classed(chart, "bar"))
        assert high > 100
        assert 1 <= low < 2
        assert [node.text for node in classed(chart, "readout")] == ["much", "little"]
        assert [node.text for node in classed(chart, "value")] == ["100"]
        assert len(classed(chart, "spread")) == 1


def test_a_line_is_broken_where_there_is_no_value() -> None:
    points = [(0.0, 1.0), (0.5, 2.0), (1.0, None), (1.5, 3.0), (2.0, 4.0)]
    for chart in drawn(lines=[Curve(points, label="one"), Curve(points, "dot1", dots=True)]):
        assert len(chart.findall(f"{SVG}polyline")) == 2
        assert len(classed(chart, "dot1")) == 4
        assert [node.text for node in classed(chart, "key")] == ["one"]


def test_names_of_upright_rules_do_not_stand_in_each_other() -> None:
    for chart in drawn(rules=[Rule(1.0, "p50", upright=True), Rule(1.01, "p99", upright=True), Rule(50.0, "fair")]):
        tops = {node.text: float(node.get("y") or 0) for node in classed(chart, "mark")}
        assert tops["p99"] - tops["p50"] > 10
        assert len(classed(chart, "rule")) == 3


def test_a_text_in_a_chart_is_no_markup() -> None:
    text = xy("c", "<b>", "&", named_axis(["<i>"]), even_axis(1.0, str), bands=[Band(0, 1, "<u>", 1.0, label="<s>")])
    assert not re.search(r"<[bius]>|&(?!amp;|lt;|gt;|quot;|#)", text)
