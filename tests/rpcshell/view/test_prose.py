import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.prose import prose


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("One line\nand another\n\nA second paragraph.", ["One line and another", "", "A second paragraph."]),
        ("one two three four five six", ["one two three four", "five six"]),
        ("- an item that is long\n- two", ["- an item that is", "  long", "- two"]),
        ("1. first\n   more of it\n2) second", ["1. first more of it", "2) second"]),
        ("So:\n- one", ["So:", "- one"]),
        ("- one\n  - inner", ["- one", "  - inner"]),
        (
            "Text.\n\n    code  stays, however long it is\n      x",
            ["Text.", "", "    code  stays, however long it is", "      x"],
        ),
        ("```python\nx  =  1\n\ny\n```\nText.", ["    x  =  1", "", "    y", "", "Text."]),
        ("# Heading\ntext", ["Heading", "text"]),
        ("Heading\n=======\n\ntext", ["Heading", "", "text"]),
        ("**bold** `code` ``code`` [here](http://x)", ["bold `code` `code`", "here (http://x)"]),
        ("2 ** 3 ** 4, snake__case__name", ["2 ** 3 ** 4,", "snake__case__name"]),
        ("\x1b[2J\u202e", ["\\x1b[2J\\u202e"]),
    ],
)
def test_documentation_is_made_readable(text: str, lines: list[str]) -> None:
    assert prose(text, 20) == lines


@given(st.text(st.sampled_from("a*-_`#~=1. \n\t[]()\x1b")), st.integers(10, 40))
def test_no_text_is_too_odd(text: str, width: int) -> None:
    shown = "\n".join(prose(text, width))
    assert "\x1b" not in shown
    assert shown.count("a") == text.count("a")


@pytest.mark.parametrize("mark", ["**a ", "[", "[a](", "# #", "#", "x", "- ", "```\n", "`", "\n\n"])
def test_a_text_that_never_ends_is_cut(mark: str) -> None:
    assert sum(map(len, prose(mark * 1_000_000, 80))) < 300_000
