import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view import escape
from rpcshell.view.escape import visible, visible_json

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates included."""

DRAWN_FORMATS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
JOINERS = set("\u200c\u200d")


def hidden(text: str) -> set[str]:
    """The characters that a terminal would act on, or not show."""
    return {
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        and character not in DRAWN_FORMATS | JOINERS
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\x7fb\x00", r"a\x7fb\x00"),
        ("a\r\nb\tc", r"a\x0d\x0ab\x09c"),
        ("abc\u202edef", r"abc\u202edef"),
        ("\u2066\u2069\u200e\u200f\u061c", r"\u2066\u2069\u200e\u200f\u061c"),
        ("a\u200bb\ufeffc\u00add", r"a\u200bb\ufeffc\xadd"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\ud800x\udfff", r"\ud800x\udfff"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164\uffa0\u115f", r"\u3164\uffa0\u115f"),
    ],
)
def test_what_a_terminal_acts_on_or_hides_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "日本語 한국어 العربية עברית हिन्दी ไทย",
        "naïve œuvre — “quotes” €",
        "👨‍👩‍👧 👩🏽‍💻 🏳️‍🌈 ❤️ 1️⃣",
        "می‌خواهم",
        "क्‍ष",
        "a\\b",
    ],
)
def test_readable_unicode_stays(text: str) -> None:
    assert visible(text) == text
    assert visible_json(text) == text


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d", "\ufe0f", "\ufe00", "\U000e0100"])
@pytest.mark.parametrize("around", ["a{}b", "{}", "{0}{0}", "a{}", "я{}я"])
def test_joiners_and_selectors_that_join_and_select_nothing_are_escaped(around: str, joiner: str) -> None:
    assert joiner not in visible(around.format(joiner))


def test_a_run_of_selectors_carries_no_hidden_message() -> None:
    assert visible("😀" + "\ufe01\ufe02\ufe03") == "😀\ufe01" + r"\ufe02\ufe03"


def test_text_in_latin_letters_is_known_to_be_safe_without_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "rpcshell 0.1.0 · naïve øuvre, ½ £"
    unsafe = escape._unsafe(escape._CONTROLS)
    letters = "".join(map(chr, range(0x100)))
    assert not unsafe.search("".join(filter(escape._is_safe, letters)))
    monkeypatch.setattr(escape, "_unsafe", None)
    assert (visible(text), visible_json(text)) == (text, text)


def test_newlines_and_tabs_stay_in_text_of_several_lines() -> None:
    assert visible("a\n\tb\x1b\r\n", newlines=True) == "a\n\tb\\x1b\\x0d\n"


@given(ANY_TEXT)
def test_nothing_hidden_passes(text: str) -> None:
    assert not hidden(visible(text))
    assert not hidden(visible_json(text))
    assert hidden(visible(text, newlines=True)) <= {"\n", "\t"}


@given(ANY_TEXT)
def test_what_is_shown_can_be_written_to_any_terminal(text: str) -> None:
    visible(text).encode("utf-8")


@given(ANY_TEXT)
def test_safe_text_is_not_changed_again(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text())
def test_json_with_escapes_still_means_the_same(text: str) -> None:
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text
