from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from rpcshell.lab.bench import page
from rpcshell.lab.bench.measurement import Measurement
from tests.rpcshell.lab.bench.measuring import measured

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e\x1b"
SVG = "{http://www.w3.org/2000/svg}"


class Outline(HTMLParser):
    """What is in a page: its tags with their attributes, its texts, and the data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.data = ""
        self._in = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.data += data
        elif self._in != "style":
            self.words += data


def test_nothing_of_a_server_is_markup() -> None:
    one = measured(
        plan={"method": HOSTILE, "params": {HOSTILE: HOSTILE}, "target": HOSTILE},
        model=HOSTILE,
        problems={f"error {HOSTILE}": 3},
        examples={f"error {HOSTILE}": HOSTILE},
    )
    for text in (page.html([one]), page.html([one, measured()])):
        outline = Outline(text)
        assert [attributes for tag, attributes in outline.tags if tag == "script"] == [
            {"type": "application/json", "id": "data"}
        ]
        assert "img" not in {tag for tag, _ in outline.tags}
        assert not any(name.startswith("on") for _, attributes in outline.tags for name in attributes)
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert json.loads(outline.data)[0]["plan"]["method"] == HOSTILE


def test_the_page_needs_nothing_from_elsewhere() -> None:
    outline = Outline(page.html([measured(), measured(model="thread")]))
    names = {name for _, attributes in outline.tags for name in attributes}
    assert not names & {"src", "srcset", "action", "data"}
    assert {attributes["href"] for _, attributes in outline.tags if "href" in attributes} == {"#main"}


def test_secrets_stay_out_of_the_page() -> None:
    one = measured(
        plan={"params": {"password": "hunter22"}},
        problems={"error -32000": 3},
        examples={"error -32000": "hunter22 is wrong"},
    )
    assert "hunter22" not in page.html([one])


def test_every_name_in_the_page_is_there_once_and_found() -> None:
    outline = Outline(page.html([measured(), measured(model="thread"), measured(model="pool")]))
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    wanted = {
        name
        for _, attributes in outline.tags
        for key in ("aria-labelledby", "href")
        for name in (attributes.get(key) or "").replace("#", "").split()
    }
    assert wanted <= set(names)


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    "one",
    [
        measured(),
        measured(rates=(), latencies={}, workers={}, problems={"lost": 3}),
        measured(rates=[4.0]),
        measured(model=None, workers={}),
        measured(rates=[0.0] * 9 + [40.0] + [0.0] * 9),
        measured(rates=[1000.0] * 5000),
        measured(workers={worker: worker for worker in range(1, 200)}, model=None),
        measured(latencies={1e-6: 1}, plan={"rate": 10.0}),
        measured(problems={"error -32000": 5000}),
    ],
    ids=["usual", "empty", "one call", "unknown server", "silence", "long", "many workers", "all alike", "all wrong"],
)
def test_whatever_was_measured_makes_charts_that_are_well_formed(one: Measurement) -> None:
    for runs in ([one], [one, measured(model="thread")]):
        text = page.html(runs)
        charts = [part.partition("</svg>")[0] for part in text.split("<svg ")[1:]]
        for chart in charts:
            root = ET.fromstring(f'<svg xmlns="{SVG[1:-1]}" {chart}</svg>')  # noqa: S314 - our own
            assert root.findtext(f"{SVG}title")
            assert root.findtext(f"{SVG}desc")
            assert "nan" not in chart
        assert len("".join(charts)) < 500_000


def test_the_tables_have_every_figure() -> None:
    words = Outline(page.html([measured(unsent=7, plan={"rate": 1000.0})])).words
    for figure in ("1,000", "5,000", "7 (0.14 %)", "100 µs", "13.0 µs", "11.0 µs", "51.2 MB", "30 B", "20 B"):
        assert figure in words
