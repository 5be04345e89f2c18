from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver.service.openrpc import Docstring, read_docstring


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_no_docstring_says_nothing(text: str | None) -> None:
    assert read_docstring(text) == Docstring("", "", {}, "")


def test_the_first_paragraph_is_the_summary_in_one_line() -> None:
    said = read_docstring("""Do a thing
    at once.

    Then rest.

      Indented.
    """)
    assert said == Docstring("Do a thing at once.", "Then rest.\n\n  Indented.", {}, "")


def test_googles_sections_are_read() -> None:
    said = read_docstring("""Do.

    At length.

    Args:
        a: the first.
        b (int): the second,
            in two lines: really.

        *rest: the others.

    Returns:
        a result
        in two lines.

    Raises:
        OSError: never.

    Example:
        do(1)
    """)
    assert said.parameters == {"a": "the first.", "b": "the second, in two lines: really.", "rest": "the others."}
    assert said.returns == "a result in two lines."
    assert said.description == "At length.\n\nRaises:\n    OSError: never.\n\nExample:\n    do(1)"


def test_field_lists_are_read() -> None:
    said = read_docstring("""Do.

    :param a: the first,
        in two lines.
    :param int b: the second.
    :type a: int
    :returns: a result.
    :rtype: int
    :raises OSError: never.
    """)
    assert said == Docstring("Do.", "", {"a": "the first, in two lines.", "b": "the second."}, "a result.")


def test_sections_at_once_leave_no_summary() -> None:
    assert read_docstring("\n    Args:\n        a: one.\n    ") == Docstring("", "", {"a": "one."}, "")


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    said = read_docstring(text)
    assert "\n" not in said.summary
