from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.guides import GUIDES, read_guide
from rpcshell.guides.markdown import Code, Heading, Item, Paragraph, Span, Table, read_markdown, spans
from rpcshell.view.guide_page import guide_page, guide_text
from rpcshell.view.width import cells

PAGE = """# A page

![a picture](of.svg)

It has `some code`, **what
counts**, and [a guide](deploy/a.md).

- one point, which is longer than others
- two

| key | value |
|---|---|
| `a\\|b` | [c](c.md) |

```sh
run   --it
```
"""


def test_a_page_is_read_as_blocks() -> None:
    assert list(read_markdown(PAGE)) == [
        Heading(1, "A page"),
        Paragraph("It has `some code`, **what counts**, and [a guide](deploy/a.md)."),
        Item("-", "one point, which is longer than others"),
        Item("-", "two"),
        Table((("key", "value"), ("`a|b`", "[c](c.md)"))),
        Code(("run   --it",)),
    ]


def test_a_text_has_pieces() -> None:
    assert list(spans("a `b c` **d** [e](https://x.org/)")) == [
        *(Span("a "), Span("b c", code=True), Span(" "), Span("d", strong=True), Span(" e (https://x.org/)"))
    ]


def test_a_link_to_a_part_of_a_guide_names_the_guide() -> None:
    assert guide_text("[here](#here) [there](there.md#part)", 80) == "here :help there"


def test_a_page_is_drawn() -> None:
    assert guide_text(PAGE, 30).splitlines() == [
        "A page",
        "",
        "It has some code, what counts,",
        "and a guide (:help a).",
        "",
        "- one point, which is longer",
        "  than others",
        "- two",
        "",
        "key  value",
        "───  ───────",
        "a|b  :help c",
        "",
        "  run   --it",
    ]
    assert ("class:documentation.type", "some") in list(guide_page(PAGE, 30))


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("width", [70, 80, 120])
def test_a_guide_fits_and_loses_no_word(guide: str, width: int) -> None:
    shown = guide_text(read_guide(guide), width)
    assert [line for line in shown.splitlines() if cells(line) > width and not line.startswith("  ")] == []
    said = re.sub(r"\]\([^)]*\)", "", re.sub(r"(?m)^```.*$|^!.*$|`|\*\*", "", read_guide(guide)))
    assert set(re.findall(r"[\w]+", said)) - set(re.findall(r"\w+", shown)) == set()


@given(
    st.lists(st.text(alphabet="ab`*|[]()#- 界")).map("\n".join) | st.lists(st.text(alphabet="a|b")).map("\n|".join),
    st.integers(8, 40),
)
def test_any_page_can_be_drawn(text: str, width: int) -> None:
    guide_text(text, width)
