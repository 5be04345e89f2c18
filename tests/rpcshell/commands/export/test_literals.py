import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.commands.export.literals import Expression, Wrapped, call_text, literal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.integers(0, 80))
def test_python_reads_a_literal_as_the_same_value(value: Any, column: int) -> None:
    assert ast.literal_eval(literal(value, margin=4, column=column)) == value


@given(JSON)
def test_a_call_has_its_arguments(value: Any) -> None:
    (statement,) = ast.parse(call_text("client.call", ["m", value], margin=4)).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert [ast.literal_eval(argument) for argument in statement.value.args] == ["m", value]


@given(st.text())
def test_nothing_that_does_not_print_gets_into_a_file(text: str) -> None:
    assert literal({text: [text]}).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('"', "'\"'"),
        ([], "[]"),
        (Expression("NAME"), "NAME"),
        ({"a": Wrapped("Each", [Expression("X")])}, '{"a": Each([X])}'),
    ],
)
def test_literals_look_as_formatters_write_them(value: Any, text: str) -> None:
    assert literal(value) == text


def test_what_is_too_long_for_a_line_takes_several() -> None:
    shown = literal({"a": ["x" * 60, "y" * 60], "b": Wrapped("Each", {"c": "z" * 100})}, margin=4)
    assert shown.splitlines() == [
        "{",
        '        "a": [',
        f'            "{"x" * 60}",',
        f'            "{"y" * 60}",',
        "        ],",
        '        "b": Each({',
        f'            "c": "{"z" * 100}",',
        "        }),",
        "    }",
    ]
