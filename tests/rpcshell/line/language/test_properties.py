"""What holds for every line, whatever it says."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    CommandLine,
    Empty,
    LineError,
    ObjectNode,
    Pipe,
    SystemLine,
    TemplateNode,
    ValueLine,
    VariableNode,
    call_params,
    parse,
    unparse,
)
from rpcwire import encode_value
from tests.rpcshell.line.language.strategies import json_values, line_texts, strings


def value_of(text: str) -> Any:
    line = parse(text)
    assert isinstance(line.body, CallLine)
    return call_params(line.body, None)


def anything(path: VariableNode) -> Any:
    """A value for every variable there may be."""
    return {"path": [path.name, *(step.key for step in path.steps)]}


def variables_in(body: CallLine | ValueLine | CommandLine) -> list[VariableNode]:
    found: list[VariableNode] = []
    nodes: list[Any] = []
    if isinstance(body, ValueLine):
        nodes = [body.value]
    elif isinstance(body, CallLine) and body.params is not None:
        nodes = [body.params]
    while nodes:
        node = nodes.pop()
        if isinstance(node, VariableNode):
            found.append(node)
        elif isinstance(node, TemplateNode):
            nodes += node.parts
        elif isinstance(node, ArrayNode):
            nodes += node.items
        elif isinstance(node, ObjectNode):
            nodes += [member.value for member in node.members]
    return found


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
        json.dumps(call_params(line.body, None, anything), allow_nan=False).encode()
    else:
        with pytest.raises(LineError) as caught:
            call_params(line.body, None, anything)
        assert caught.value.column == line.blocking.start


@given(line_texts)
def test_what_parses_prints_back_to_the_same_call(text: str) -> None:
    call = parse(text).body
    if not isinstance(call, CallLine) or parse(text).blocking is not None:
        return
    params = call_params(call, None, anything)
    again = parse(unparse(call.method, params)).body
    assert isinstance(again, CallLine)
    assert (again.method, repr(call_params(again, None))) == (call.method, repr(params))


@example('u = ping {a: $v.b[0]} | jq ".a" ')
@given(line_texts | line_texts.map(lambda text: f"ping 1{text}| jq ."))
def test_spans_of_what_a_line_says_lie_where_it_says_it(text: str) -> None:
    body = parse(text).body
    if isinstance(body, Empty):
        return
    if isinstance(body.sink, Pipe):
        assert text[body.sink.start : body.sink.end] == body.sink.command
    if isinstance(body, SystemLine):
        return
    if not isinstance(body, CommandLine) and (assignment := body.assignment) is not None:
        assert text[assignment.start : assignment.end] == assignment.name
    for node in variables_in(body):
        assert text[node.start : node.end].lstrip("$").startswith(node.name)
        for step in node.steps:
            assert node.start < step.start <= step.end <= node.end


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
    assert encode_value(call_params(line.body, None)) == encode_value(value)
    assert text.isprintable()
