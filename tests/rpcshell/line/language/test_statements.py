"""What is one line, and what is several."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.language import CallLine, parse, statements
from tests.rpcshell.line.language.strategies import line_texts

METHODS = {"ping", "add"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ping 1",
        ":methods",
        ":methods\n",
        "ping\n5",
        'ping {"a": 1,\n  "b": 2}',
        "add a=1\nb=2",
        "add a=1\nb=",
        "add a=1\n  b 2",
        'ping {"a": 1\nping 2',
        "add a=1\n}",
    ],
)
def test_one_line_is_left_as_it_is(text: str) -> None:
    assert statements(parse(text), METHODS.__contains__) == (text,)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("add a=1 b=2\nadd a=3 b=4", ("add a=1 b=2", "add a=3 b=4")),
        ("add a=1 b=2\n\n  add a=3 b=4\n", ("add a=1 b=2", "  add a=3 b=4")),
        ('ping {"a":\n 1}\nping <"a":1>', ('ping {"a":\n 1}', 'ping <"a":1>')),
        (":spawn 10\nping 1", (":spawn 10", "ping 1")),
        (":methods\n:quit", (":methods", ":quit")),
        # What is wrong with one is found when it is run.
        ("ping 1\npign 2\nping 3", ("ping 1", "pign 2", "ping 3")),
        ('ping 1\nping {"a":}\nping 3', ("ping 1", 'ping {"a":}', "ping 3")),
        ("ping 1 2\nping 3", ("ping 1 2", "ping 3")),
        ("ping 1\nx = pign 2\n$x", ("ping 1", "x = pign 2", "$x")),
        ("add a=1\nb=2\nping 1", ("add a=1\nb=2", "ping 1")),
    ],
)
def test_a_paste_of_several_lines_is_cut(text: str, parts: tuple[str, ...]) -> None:
    assert statements(parse(text), METHODS.__contains__) == parts


@example("ping a=1\nx=add a=1")
@given(st.lists(line_texts, max_size=3).map("\n".join))
def test_nothing_is_lost_in_any_text(text: str) -> None:
    parts = statements(parse(text), METHODS.__contains__)
    assert "".join("".join(parts).split()) == "".join(text.split())
    # A command ends with its row, and what follows may be anything.
    if parse(text).blocking is None and isinstance(parse(text).body, CallLine) and len(parts) > 1:
        assert all(parse(part).blocking is None for part in parts)
