import sys
from typing import Any

import pytest

from rpcshell.line.catalog import Catalog, Method
from rpcshell.line.language import CallLine, LineError, Severity, TokenKind, call_params, parse
from rpcshell.line.language.tokens import MAX_DEPTH


def call(text: str) -> CallLine:
    body = parse(text).body
    assert isinstance(body, CallLine)
    return body


def value_of(text: str, method: Method | None = None) -> Any:
    return call_params(call(text), method)


def error_of(text: str) -> LineError:
    with pytest.raises(LineError) as caught:
        value_of(text)
    return caught.value


def method_with(**schemas: dict[str, Any]) -> Method:
    params = [{"name": name, "schema": schema} for name, schema in schemas.items()]
    components = {"schemas": {"Zip": {"type": "string"}}}
    document = {"methods": [{"name": "m", "params": params}], "components": components}
    return Catalog.from_openrpc(document).methods["m"]


def kinds(text: str) -> list[tuple[str, str]]:
    return [
        (text[token.start : token.end], token.kind.value)
        for token in parse(text).tokens
        if token.kind is not TokenKind.WHITESPACE
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('ping {"a": 1}', {"a": 1}),
        ('ping{"a": 1}', {"a": 1}),
        ('ping <"a":1>', {"a": 1}),
        ('ping<"a":<"b":[1,<>]>>', {"a": {"b": [1, {}]}}),
        ('ping {"a": <"b": 1>}', {"a": {"b": 1}}),
        ('ping "<a>"', "<a>"),
        ("ping [1, 2,]", [1, 2]),
        ("ping {a: 'it\\'s', b-c: \"x\",}", {"a": "it's", "b-c": "x"}),
        ("ping {1: 2}", {"1": 2}),
        ("ping -0.5e-3", -0.0005),
        ("ping true", True),
        ("ping null", None),
        ('ping "\\ud83d\\ude00\\u00e9\\/"', "😀é/"),
        ('ping "two\nlines"', "two\nlines"),
        ('ping {\n  "a": [\n 1,\n 2]\n}', {"a": [1, 2]}),
        ('ping {"a": 1, # why\n "b": 2} # and so on', {"a": 1, "b": 2}),
        ('ping "# no comment"', "# no comment"),
        ('"odd name" [1]', [1]),
    ],
)
def test_json_and_its_relaxed_forms(text: str, value: Any) -> None:
    assert parse(text).problems == ()
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("m a=1 b=x", {"a": 1, "b": "x"}),
        ("m a='1' b=\"x y\"", {"a": "1", "b": "x y"}),
        ('m a={"x": [1, 2]} b=[1, {"y": 2}]', {"a": {"x": [1, 2]}, "b": [1, {"y": 2}]}),
        ("m a=<x: 1> b=2", {"a": {"x": 1}, "b": 2}),
        ("m a=true b=null c=-1.5", {"a": True, "b": None, "c": -1.5}),
        ("m url=http://host:80/p?q=1,2&r={x} b=1", {"url": "http://host:80/p?q=1,2&r={x}", "b": 1}),
        ("m text=it's b=01", {"text": "it's", "b": "01"}),
        ("m 'odd key'=1", {"odd key": 1}),
        ("m a=1\n b=2", {"a": 1, "b": 2}),
        ("m a=x#y # b=2", {"a": "x#y"}),
        ("m a=b=c", {"a": "b=c"}),
    ],
)
def test_pairs(text: str, value: Any) -> None:
    assert parse(text).problems == ()
    assert call(text).form == "pairs"
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, "0123", "0123"),
        ({"type": "string"}, "12", "12"),
        ({"type": "string"}, "true", "true"),
        ({"type": "string"}, "null", "null"),
        ({"type": "string"}, "[1]", [1]),
        ({"$ref": "#/components/schemas/Zip"}, "12", "12"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "12", "12"),
        ({"type": ["string", "number"]}, "12", 12),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, "'12'", "12"),
        ({"type": "number"}, "12", 12),
        ({}, "12", 12),
    ],
)
def test_the_schema_types_an_unquoted_value(schema: dict[str, Any], typed: str, value: Any) -> None:
    result = value_of(f"m a={typed}", method_with(a=schema))["a"]
    assert result == value
    assert type(result) is type(value)


def test_without_params_a_method_that_binds_by_name_gets_an_empty_object() -> None:
    assert value_of("m", method_with()) == {}


def test_without_params_any_other_method_gets_null() -> None:
    assert value_of("m") is None
    assert value_of("m", Method("m", whole=True)) is None


def test_integers_of_any_size_survive() -> None:
    digits = "9" * sys.int_info.default_max_str_digits
    assert value_of(f"m {digits}") == int(digits)
    assert value_of(f"m a={digits}") == {"a": int(digits)}


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("ping hello", 5, '"hello" or hello=value'),
        ("ping hello world", 5, '"hello" or hello=value'),
        ("add a = 1", 5, "a=value"),
        ("add a=1 b", 9, "`=` and a value"),
        ("add a=", 6, "a value"),
        ("add a= b=1", 6, "a value"),
        ('add a="x"b=1', 9, "a blank"),
        ('ping {"a" 1}', 10, "`:`"),
        ('ping {"a": }', 11, "a value"),
        ('ping {"a": 1 "b": 2}', 13, "`,` or `}`"),
        ('ping {"a": 1]', 12, "`}`"),
        ('ping {"a": 1>', 12, "`}`"),
        ("ping [1,,2]", 8, "a value or `]`"),
        ("ping [1", 7, "`,` or `]`"),
        ("ping ]", 5, "a value"),
        ('ping {"a": 1} b', 14, "the end of the line"),
        ("add 1 2", 6, "a list, as in [1, 2], or key=value pairs"),
        ('echo "a" "b" | cat', 9, "a list, as in [1, 2], or key=value pairs"),
        ('ping <"a":1> > file x', 20, "the end of the line"),
        ('ping "abc', 9, '"'),
        ('ping "\\x"', 6, 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u'),
        ('ping "\\u12"', 6, "\\u and four hexadecimal digits"),
        ('ping "\\ud800"', 6, "a pair such as \\ud83d\\ude00"),
        ("ping [01]", 6, "a number such as 12, -0.5 or 1e9"),
        ("ping $5", 5, "a quoted text"),
        ("ping a=$5", 7, "a quoted text"),
        ("ping [$]", 7, "the name of a variable, or _"),
        ("{}", 0, "a method"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_was_expected(text: str, column: int, expected: str) -> None:
    error = error_of(text)
    assert (error.column, error.expected) == (column, expected)


@pytest.mark.parametrize(("word", "message"), [("True", "write `true`, not `True`"), ("NaN", "JSON has no NaN")])
def test_words_of_other_languages_are_recognised(word: str, message: str) -> None:
    assert error_of(f"ping [{word}]").message == message
    assert error_of(f"ping {word}").message == message


def test_the_message_of_an_error_counts_columns_from_one() -> None:
    assert str(error_of("ping [01]")) == "column 7: 01 is not a JSON number"


def test_of_a_key_that_is_there_twice_the_last_counts_and_the_line_warns() -> None:
    for text in ('m {"a": 1, "a": 2}', "m a=1 a=2"):
        assert value_of(text) == {"a": 2}
        assert [problem.severity for problem in parse(text).problems] == [Severity.WARNING]


def test_a_comma_after_a_pair_warns() -> None:
    assert value_of("m a=1, b=2") == {"a": "1,", "b": 2}
    assert [problem.severity for problem in parse("m a=1, b=2").problems] == [Severity.WARNING]


def test_a_word_of_python_for_a_value_is_a_text_with_a_warning() -> None:
    assert value_of("m a=True") == {"a": "True"}
    (warning,) = parse("m a=True").problems
    assert (warning.message, warning.start) == ("True is a text here; JSON has `true`", 4)
    assert warning.severity is Severity.WARNING


@pytest.mark.parametrize("opener", ["[", "{a:", "<a:"])
def test_nesting_is_bounded_and_the_deepest_that_is_allowed_has_a_value(opener: str) -> None:
    closer = {"[": "]", "{": "}", "<": ">"}[opener[0]]
    value = value_of("ping " + opener * MAX_DEPTH + "1" + closer * MAX_DEPTH)
    for _ in range(MAX_DEPTH):
        value = value[0] if isinstance(value, list) else value["a"]
    assert value == 1
    error = error_of("ping " + opener * 100_000)
    assert error.message == f"more than {MAX_DEPTH} brackets inside each other"
    assert error.column == 5 + len(opener) * MAX_DEPTH


@pytest.mark.parametrize("text", ["ping {", "ping [1,", 'ping "a', "ping <'a': [", "m a={", "m a='x", '"pi'])
def test_an_open_bracket_or_string_makes_a_line_incomplete(text: str) -> None:
    assert not parse(text).complete


@pytest.mark.parametrize("text", ["", "ping", "ping {}", "ping a=", "ping hel", "ping }", "ping {]", ":x 'a'"])
def test_other_lines_are_complete_even_if_wrong(text: str) -> None:
    assert parse(text).complete


def test_problems_are_capped() -> None:
    assert len(parse("ping [" + ",]}" * 1_000).problems) <= 100
    assert len(parse("ping {" + "a " * 1_000).problems) == 100


def test_half_a_surrogate_pair_in_the_text_is_a_problem() -> None:
    assert error_of('ping "\ud800"').column == 6


def test_a_call_knows_where_its_method_is() -> None:
    body = call('  "a b"[1]')
    assert (body.method, body.start, body.end) == ("a b", 2, 7)


def test_tokens_are_told_apart() -> None:
    assert kinds("p {\"a\": [1, true, 'x'], b: $v} # c") == [
        ("p", "method"),
        ("{", "punctuation"),
        ('"a"', "key"),
        (":", "punctuation"),
        ("[", "punctuation"),
        ("1", "number"),
        (",", "punctuation"),
        ("true", "keyword"),
        (",", "punctuation"),
        ("'x'", "string"),
        ("]", "punctuation"),
        (",", "punctuation"),
        ("b", "key"),
        (":", "punctuation"),
        ("$v", "variable"),
        ("}", "punctuation"),
        ("# c", "comment"),
    ]
    assert kinds("p a=1 b=x c=null") == [
        ("p", "method"),
        ("a", "key"),
        ("=", "punctuation"),
        ("1", "number"),
        ("b", "key"),
        ("=", "punctuation"),
        ("x", "string"),
        ("c", "key"),
        ("=", "punctuation"),
        ("null", "keyword"),
    ]
