"""Variables: how they are written, what they lead to, and what is said where they lead nowhere."""

from functools import partial
from typing import Any

import pytest

from rpcshell.line.language import (
    CallLine,
    LineError,
    Problem,
    Severity,
    TokenKind,
    ValueLine,
    call_params,
    line_value,
    parse,
    walk,
)
from rpcshell.shell.journal import Variables
from tests.rpcshell.line.language.test_calls import method_with

USER = {"id": 7, "name": "Ann", "items": [{"id": 1, "odd key": "x"}, {"id": 2}], "0": "zero", "b-c": None}


@pytest.fixture
def variables() -> Variables:
    found = Variables()
    found["u"] = USER
    found["_"] = [1, [2, 3]]
    return found


def value_of(text: str, variables: Variables) -> Any:
    body = parse(text).body
    if isinstance(body, ValueLine):
        return line_value(body, partial(walk, variables))
    assert isinstance(body, CallLine)
    return call_params(body, None, partial(walk, variables))


def problem_of(text: str) -> Problem:
    problem = parse(text).blocking
    assert problem is not None
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ping $u", USER),
        ("ping $u.name", "Ann"),
        ("ping id=$u.id all=$_", {"id": 7, "all": [1, [2, 3]]}),
        ('ping {"id": $u.id, n: $u.name}', {"id": 7, "n": "Ann"}),
        ('ping <"id":$u.items[0].id>', {"id": 1}),
        ("ping [$_[1][0],$_[-1]]", [2, [2, 3]]),
        ('ping $u.items[0]["odd key"]', "x"),
        ("ping $u['items'].1.id", 2),
        ("ping $u.0", "zero"),
        ("ping $u[0]", "zero"),
        ("ping $u.b-c", None),
        ("ping $_ # the last", [1, [2, 3]]),
        ("ping $u.id|cat", 7),
        ("ping {$set: {a: 1}}", {"$set": {"a": 1}}),
        ("$u.items[1]", {"id": 2}),
        ("x = $u.name", "Ann"),
        ("x=$u.name", "Ann"),
        ("$x = $u.name", "Ann"),
        ("x = {a: $u.id}", {"a": 7}),
        ("x = 5", 5),
        ("x = true", True),
        ("x = 'a text'", "a text"),
        ('x = $"a ${u.name}"', "a Ann"),
    ],
)
def test_a_variable_stands_for_its_value(text: str, value: Any, variables: Variables) -> None:
    assert parse(text).problems == ()
    assert value_of(text, variables) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('$"Hello ${u.name}!"', "Hello Ann!"),
        ("$'${u.id}${ u.name }'", "7Ann"),
        ('$"${u.items[0]}"', '{"id":1,"odd key":"x"}'),
        ("$\"${u.items[0]['odd key']}\"", "x"),
        (r'$"\${u.id} $u.id \"${u.b-c}\""', '${u.id} $u.id "null"'),
        (r'$"\u0041${u.id}\n"', "A7\n"),
        ('$""', ""),
    ],
)
def test_a_text_with_a_dollar_sign_in_front_is_filled_in(text: str, value: str, variables: Variables) -> None:
    for line in (f"ping {text}", f"ping [{text}]", f"ping a={text}", f"ping a={text} b=1"):
        assert parse(line).problems == ()
        result = value_of(line, variables)
        assert value in (result if isinstance(result, str | list) else result.values())


def test_a_text_without_it_is_json_and_stays_as_it_is(variables: Variables) -> None:
    assert value_of('ping "${u.id} $u.id"', variables) == "${u.id} $u.id"
    (warning,) = parse('ping "${u.id}"').problems
    assert warning.severity is Severity.WARNING
    assert "$ stands before the quote" in warning.message


def test_pairs_take_a_variable_as_it_is_whatever_the_schema_says(variables: Variables) -> None:
    body = parse("m zip=$u.id").body
    assert isinstance(body, CallLine)
    assert call_params(body, method_with(zip={"type": "string"}), partial(walk, variables)) == {"zip": 7}


@pytest.mark.parametrize(
    ("text", "column", "says", "hint"),
    [
        ("ping $uu", 5, "no variable is called $uu; `uu = METHOD …` makes it", "did you mean $u?"),
        ("ping $v", 5, "no variable is called $v; `v = METHOD …` makes it", "there is $u"),
        ("ping {a: $u.nme}", 12, "$u has no key nme", "did you mean name?"),
        ("ping $u.zzz", 8, "$u has no key zzz", "there are id, name, items, 0, b-c"),
        ("ping $u.items.id", 14, "$u.items is an array and has no key id", "[0] is its first item"),
        ("ping $_[2]", 8, "$_ has 2 items, and none at 2", "[1] is the last one"),
        ("ping $u.name.x", 13, "$u.name is a text and has nothing inside", None),
        ("ping $u.b-c.x", 12, "$u.b-c is null and has nothing inside", None),
        ('ping $"a ${v}"', 11, "no variable is called $v; `v = METHOD …` makes it", "there is $u"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    text: str, column: int, says: str, hint: str | None, variables: Variables
) -> None:
    with pytest.raises(LineError) as caught:
        value_of(text, variables)
    assert (caught.value.column, caught.value.message, caught.value.hint) == (column, says, hint)


def test_before_the_first_call_there_is_no_last_result() -> None:
    with pytest.raises(LineError, match="no last result yet"):
        value_of("ping $_", Variables())


@pytest.mark.parametrize(
    ("text", "column", "expected", "finished"),
    [
        ("ping $", 6, "the name of a variable, or _", False),
        ("ping $u.", 8, "a key", False),
        ("ping $u[", 8, "`]`", False),
        ("ping $u[0", 9, "`]`", False),
        ("ping [$u., 1]", 9, "a key", True),
        ("ping $u[x]", 8, '[0] or ["key"]', True),
        ("ping $5", 5, "a quoted text", True),
        ('ping $"${5}"', 9, "the name of a variable, or a path such as u.items[0]", True),
        ('ping {$"a": 1}', 6, "a key", True),
        ("u =", 3, "a method or a value", False),
        ("u = ,", 4, "a method or a value", True),
        ("_ = ping", 0, "another name", True),
        ("$u 5", 3, "the end of the line", True),
        ("ping a=$u/x", 9, "a blank", True),
    ],
)
def test_a_mistake_has_its_place_and_what_was_expected(text: str, column: int, expected: str, finished: bool) -> None:
    problem = problem_of(text)
    assert (problem.start, problem.expected) == (column, expected)
    assert (problem.severity is Severity.ERROR) is finished


@pytest.mark.parametrize(
    ("text", "name", "method"),
    [
        ("u = user.get id=1", "u", "user.get"),
        ("u=user.get id=1", "u", "user.get"),
        ("$u = user.get id=1", "u", "user.get"),
        ("größe2 =\nnow", "größe2", "now"),
        ('u = "odd method" {}', "u", "odd method"),
        ("user.get a=1", None, "user.get"),
    ],
)
def test_a_name_in_front_of_a_call_takes_its_result(text: str, name: str | None, method: str) -> None:
    line = parse(text)
    assert line.problems == ()
    assert isinstance(line.body, CallLine)
    assert line.body.method == method
    assert (line.body.assignment.name if line.body.assignment else None) == name


def test_variables_have_their_own_colour() -> None:
    text = 'u = m {"a": $u[0].b} '
    kinds = {text[token.start : token.end]: token.kind for token in parse(text).tokens}
    assert kinds["$u[0].b"] is TokenKind.VARIABLE
    assert kinds["u"] is TokenKind.VARIABLE
    assert kinds["="] is TokenKind.OPERATOR
