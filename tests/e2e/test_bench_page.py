"""The page of a benchmark in a real browser: loaded without a complaint, readable in any light, width and way."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.lab.bench import page
from tests.e2e.chromium import Chromium
from tests.rpcshell.lab.bench.measuring import measured

pytestmark = pytest.mark.thorough

HOSTILE = "</script><script>document.title='taken'</script><img src=http://192.0.2.1/x onerror=alert(1)>"
LOOKS = ((360, False), (800, True), (1600, False))
"""Widths, and whether it is dark: colours are the same in any width."""
TAB = ("Tab", 9)
ENTER = ("Enter", 13)

CONTRASTS = """
(() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const found = rgb(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const style = getComputedStyle(node);
    const words = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!words || !node.getClientRects().length || style.opacity === "0" || node.closest("title, desc")) continue;
    // A text on a bar is drawn over a shape, which is no ancestor.
    const bar = node.classList.contains("inside") && node.closest("svg").querySelector(".bar");
    const under = bar ? rgb(getComputedStyle(bar).fill) : ground(node);
    const over = rgb(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [a, b] = [light(over), light(under)].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) poor.push(`${node.outerHTML.slice(0, 90)} ${over} on ${under}`);
  }
  return poor;
})()
"""
OVERLAPS = """
[...document.querySelectorAll("svg")].filter(svg => svg.getClientRects().length).flatMap(svg => {
  const texts = [...svg.querySelectorAll("text.mark, text.key")];
  const boxes = texts.map(node => [node.textContent, node.getBoundingClientRect()]);
  const around = svg.closest("figure").getBoundingClientRect();
  const over = boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) =>
    p.left < q.right && q.left < p.right && p.top + 3 < q.bottom && q.top + 3 < p.bottom).map(([b]) => `${a} | ${b}`));
  const out = boxes.filter(([, p]) => p.left < around.left || p.right > around.right).map(([a]) => `${a} is cut`);
  return [...over, ...out].map(words => `${svg.querySelector("title").textContent}: ${words}`);
})
"""
SMALL_TEXTS = """
[...document.querySelectorAll("svg text")].filter(node => node.getClientRects().length)
  .filter(node => node.getScreenCTM().a * parseFloat(getComputedStyle(node).fontSize) < 10)
  .map(node => node.textContent)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page about one run, in which everything goes wrong that can, and one about models."""
    folder = tmp_path_factory.mktemp("pages")
    alone = measured(
        rates=[20_000.0] * 12 + [0.0] * 4 + [12_345.0] * 24,
        latencies={80e-6: 9000, 300e-6: 900, 4e-3: 90, 1.0: 9},
        plan={"connections": 12, "method": f"order.{HOSTILE}", "params": {"note": HOSTILE}},
        problems={"error -32000": 4711, "timed out": 3},
        examples={"error -32000": HOSTILE},
        use={"died": 1, "lost": 2},
    )
    models = [
        measured(
            rates=[rate * (1 + at % 3 / 50) for at in range(20)], model=model, latencies={rate * 1e-8: 99, 9e-3: 1}
        )
        for model, rate in (("sync", 15e3), ("thread", 14e3), ("pool", 12e3), ("fork", 11e3), ("async", 22e3))
    ]
    (folder / "alone.html").write_text(page.html([alone]), encoding="utf-8")
    (folder / "models.html").write_text(page.html(models), encoding="utf-8")
    return {"alone": folder / "alone.html", "models": folder / "models.html"}


@pytest.mark.parametrize("name", ["alone", "models"])
def test_a_page_is_readable_in_any_light_and_width(
    browser: Chromium, pages: dict[str, Path], name: str, tmp_path: Path
) -> None:
    browser.requests.clear()
    browser.open(pages[name])
    grounds = set()
    for width, dark in LOOKS:
        browser.look(width, dark=dark)
        grounds.add((dark, browser.run("getComputedStyle(document.body).backgroundColor")))
        assert browser.run(CONTRASTS) == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(OVERLAPS) == []
        assert browser.run(SMALL_TEXTS) == []
    assert grounds == {(False, "rgb(252, 251, 248)"), (True, "rgb(20, 23, 26)")}
    picture = browser.screenshot()
    (tmp_path / f"{name}.png").write_bytes(picture)
    columns, rows = struct.unpack(">II", picture[16:24])
    assert columns == LOOKS[-1][0]
    assert rows > 1000
    assert len(picture) > 50_000
    assert browser.complaints == []
    assert browser.requests == [pages[name].as_uri()]
    assert browser.run("document.title") != "taken"


def test_a_screen_reader_is_told_what_charts_show_and_tables_hold(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.open(pages["alone"])
    browser.look(1600)
    charts = browser.described("image")
    assert [chart["name"] for chart in charts] == [
        "Latency distribution",
        "Latency by percentile",
        "Rate over time",
        "Latency over time",
        "Share of the calls per worker",
    ]
    assert all(chart["description"].endswith(".") for chart in charts)
    assert "Half of them took at most 80." in charts[0]["description"]
    assert browser.run("document.querySelectorAll('details').forEach(each => each.open = true)") is None
    assert {table["name"] for table in browser.described("table")} >= {"Every figure", "Calls by latency", "Over time"}
    assert len(browser.described("columnheader")) > 10
    assert len(browser.described("rowheader")) > 50
    browser.look(360)
    assert [chart["name"] for chart in browser.described("image")] == [chart["name"] for chart in charts]


def test_a_page_is_used_with_the_keyboard(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.open(pages["alone"])
    browser.look(1600)
    browser.press(*TAB)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().top") >= 0
    browser.press(*ENTER)
    assert browser.run("document.activeElement.id") == "main"
    browser.press(*TAB)
    assert browser.run("document.activeElement.tagName") == "SUMMARY"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(*ENTER)
    browser.press(*TAB)
    assert browser.run("document.activeElement.getAttribute('aria-label')") == "Calls by latency"
