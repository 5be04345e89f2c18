import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.escape import visible
from rpcshell.view.width import ELLIPSIS, cells, cut, pad

texts = st.text().map(visible) | st.text("aé日e\u0301👩👧\u200d❤\ufe0f🇩🇪कि한").map(visible)


@given(texts, st.integers(1, 40))
def test_what_is_cut_fits_and_is_the_beginning(text: str, columns: int) -> None:
    shown = cut(text, columns)
    assert cells(shown) <= columns
    assert shown == text or (shown.endswith(ELLIPSIS) and text.startswith(shown[:-1]))
    assert (shown == text) == (cells(text) <= columns)


@given(texts, st.integers(0, 40), st.booleans())
def test_padding_fills_a_column(text: str, columns: int, right: bool) -> None:
    # A mark that belongs to a letter, without one, would belong to a space.
    text = f"a{text}"
    padded = pad(text, columns, right=right)
    assert cells(padded) == max(cells(text), columns)
    assert padded.strip(" ") == text.strip(" ")


@pytest.mark.parametrize(
    ("text", "columns"),
    [("日本", 4), ("e\u0301", 1), ("👩\u200d👩\u200d👧", 2), ("❤\ufe0f", 2), ("กำ", 2), ("한국어", 6), ("ab", 2)],
)
def test_text_takes_what_a_terminal_draws(text: str, columns: int) -> None:
    assert cells(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcdef", 4, "abc…"),
        ("日本語", 4, "日…"),
        ("日本語", 5, "日本…"),
        ("e\u0301" * 3, 2, "e\u0301…"),
        ("👩\u200d👧👧", 3, "👩\u200d👧…"),
    ],
)
def test_nothing_is_torn_apart(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown
