"""What holds for every line, whatever it says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.language import CallLine, LineError, call_params, parse, unparse
from tests.rpcshell.language.strategies import json_values, line_texts, strings


def value_of(text: str) -> Any:
    line = parse(text)
    assert isinstance(line.body, CallLine)
    return call_params(line.body, None)


def angled(value: Any) -> str:
    """JSON with angle brackets for braces."""
    if isinstance(value, dict):
        return "<" + ",".join(f"{json.dumps(key)}:{angled(item)}" for key, item in value.items()) + ">"
    if isinstance(value, list):
        return "[" + ", ".join(map(angled, value)) + "]"
    return json.dumps(value)


@given(line_texts)
def test_the_tokens_cover_the_text_in_order(text: str) -> None:
    end = 0
    for token in parse(text).tokens:
        assert token.start == end
        assert token.end > token.start
        end = token.end
    assert end == len(text)


@given(line_texts, st.data())
def test_every_prefix_of_a_text_can_be_parsed(text: str, data: st.DataObject) -> None:
    prefix = text[: data.draw(st.integers(0, len(text)))]
    line = parse(prefix)
    assert "".join(prefix[token.start : token.end] for token in line.tokens) == prefix


@given(line_texts)
def test_problems_lie_within_the_text_and_in_order(text: str) -> None:
    starts = [problem.start for problem in parse(text).problems]
    assert starts == sorted(starts)
    assert all(0 <= problem.start <= problem.end <= len(text) for problem in parse(text).problems)


@given(line_texts)
def test_an_incomplete_line_has_a_problem(text: str) -> None:
    line = parse(text)
    assert line.complete or line.blocking is not None or len(line.problems) == 100


@given(line_texts)
def test_a_call_without_a_blocking_problem_has_a_value_that_is_json(text: str) -> None:
    line = parse(text)
    if not isinstance(line.body, CallLine):
        return
    if line.blocking is None:
        json.dumps(call_params(line.body, None), allow_nan=False).encode()
    else:
        with pytest.raises(LineError) as caught:
            call_params(line.body, None)
        assert caught.value.column == line.blocking.start


@given(json_values, st.sampled_from([None, 2]), st.booleans())
def test_json_means_what_it_means_everywhere(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert value_of(f"ping {text}") == value
    assert repr(value_of(f"ping {text}")) == repr(value)


@given(json_values)
def test_angle_brackets_mean_braces(value: Any) -> None:
    assert value_of(f"ping {angled(value)}") == value


@given(st.dictionaries(strings, json_values, max_size=4))
def test_an_object_may_follow_the_method_without_a_blank(value: dict[str, Any]) -> None:
    assert value_of(f"ping{angled(value)}") == value


@given(strings, json_values)
def test_a_call_that_was_written_out_parses_back_to_itself(method: str, value: Any) -> None:
    text = unparse(method, value)
    line = parse(text)
    assert line.problems == ()
    assert isinstance(line.body, CallLine)
    assert line.body.method == method
    assert repr(call_params(line.body, None)) == repr(value)
    assert text.isprintable()
