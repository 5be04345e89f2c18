import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.language import Assembler, CallLine, call_params, parse, unparse
from tests.rpcshell.line.language.strategies import json_values, line_texts, strings


def assemble(lines: list[str]) -> list[str]:
    assembler = Assembler()
    texts = [text for line in lines if (text := assembler.feed(line)) is not None]
    rest = assembler.end()
    return texts if rest is None else [*texts, rest]


def assemble_by_parsing_everything_again(lines: list[str]) -> list[str]:
    texts: list[str] = []
    held: list[str] = []
    for line in lines:
        held.append(line)
        if parse("\n".join(held)).complete:
            texts.append("\n".join(held))
            held = []
    return [*texts, "\n".join(held)] if held else texts


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (["ping", "", "# x", ":help"], ["ping", "", "# x", ":help"]),
        (['ping {"a": [', "1, # ]}", "2]", "}", "ping"], ['ping {"a": [\n1, # ]}\n2]\n}', "ping"]),
        (['ping "a', 'b" ', "ping"], ['ping "a\nb" ', "ping"]),
        (['ping ["a\\', '"', "]", "ping"], ['ping ["a\\\n"\n]', "ping"]),
        (["m a={", "} b=[", "] c=1", "ping"], ["m a={\n} b=[\n] c=1", "ping"]),
        ([":x 'a\\", "b'", "ping"], [":x 'a\\\nb'", "ping"]),
        (["ping {", "1"], ["ping {\n1"]),
    ],
)
def test_a_text_ends_where_nothing_is_open(lines: list[str], texts: list[str]) -> None:
    assert assemble(lines) == texts


def is_one_line(text: str) -> bool:
    return "\n" not in text


def in_bracket(lines: list[str]) -> list[str]:
    return ["p [", *lines]


@given(st.lists(line_texts.filter(is_one_line), max_size=8))
def test_it_gives_what_parsing_everything_again_would_give(lines: list[str]) -> None:
    assert assemble(lines) == assemble_by_parsing_everything_again(lines)


@example(["p [", '"a', '[b"', "]", "q"])
@example(["p [", "'a", "\"[b'", "]", "q"])
@given(st.lists(st.text("[]{}<>\"'\\ab:#, ", max_size=12), max_size=8).map(in_bracket))
def test_so_it_does_inside_brackets(lines: list[str]) -> None:
    assert assemble(lines) == assemble_by_parsing_everything_again(lines)


@given(st.lists(st.tuples(strings, json_values), min_size=1, max_size=5))
def test_a_script_of_indented_calls_is_cut_into_those_calls(calls: list[tuple[str, Any]]) -> None:
    script = "\n".join(unparse(method, None)[:-4] + json.dumps(value, indent=1) for method, value in calls)
    bodies = [parse(text).body for text in assemble(script.split("\n"))]
    assert [(body.method, repr(call_params(body, None))) for body in bodies if isinstance(body, CallLine)] == [
        (method, repr(value)) for method, value in calls
    ]


@pytest.mark.thorough
def test_a_call_of_many_lines_takes_time_in_proportion() -> None:
    lines = ["ping [", *['{"id": 1, "name": "x"},'] * 20_000, "]"]
    # Parsing everything again after each line would take an hour.
    assert len(assemble(lines)) == 1
