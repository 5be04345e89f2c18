"""What reorders or hides what is read is shown as an escape where a line is typed, too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples, fragment_list_to_text
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import Transformation, TransformationInput

from rpcshell.prompt.lexer import HiddenCharacters
from rpcshell.view.escape import visible


def transformed(text: str) -> Transformation:
    fragments: StyleAndTextTuples = [("class:string", text[:2]), ("", text[2:])]
    row = TransformationInput(BufferControl(), Document(text), 0, lambda place: place, fragments, 80, 24)
    return HiddenCharacters().apply_transformation(row)


def test_a_line_shows_what_a_terminal_would_reorder_or_not_show() -> None:
    text = 'echo x="\u202eabc\u202c \u200b שלום 👨‍👩‍👧 é"'
    made = transformed(text)
    assert fragment_list_to_text(made.fragments) == r'echo x="\u202eabc\u202c \u200b שלום 👨‍👩‍👧 é"'
    assert [made.source_to_display(place) for place in (7, 8, 9, 12, 13)] == [7, 8, 14, 17, 23]
    assert [made.display_to_source(column) for column in (7, 8, 13, 14, 17)] == [7, 8, 8, 9, 12]


@given(st.text(st.characters(min_codepoint=0x20), max_size=12))
def test_every_place_is_shown_once_and_found_again(text: str) -> None:
    made = transformed(text)
    shown = fragment_list_to_text(made.fragments)
    # prompt_toolkit itself shows what is ASCII and not printable.
    assert visible(shown) == visible(text)
    for place in range(len(text)):
        assert made.display_to_source(made.source_to_display(place)) == place
    assert made.source_to_display(len(text)) == len(shown)
