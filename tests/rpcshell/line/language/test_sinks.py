"""Where a line's result goes: `| command`, `> file`, `>> file`."""

import pytest

from rpcshell.line.language import (
    CallLine,
    CommandLine,
    Empty,
    Pipe,
    Redirect,
    Severity,
    Sink,
    call_params,
    parse,
    statements,
)


def sink_of(text: str) -> Sink | None:
    line = parse(text)
    assert line.blocking is None
    assert not isinstance(line.body, Empty)
    return line.body.sink


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ping | jq .", "jq ."),
        ("ping|wc", "wc"),
        ("ping 1|wc", "wc"),
        ('ping {"a": 1}|wc', "wc"),
        ('ping <"a":1>| wc -l ', "wc -l"),
        ("ping a=1 | grep 'x > y' | sort > out # | tee", "grep 'x > y' | sort > out # | tee"),
        ("ping a='b'|cat # it's", "cat # it's"),
        ("ping | jq '\n.a\n'", "jq '\n.a\n'"),
        ("ping | cat \\\n -n", "cat \\\n -n"),
        ("u = ping 1 | cat", "cat"),
        ("$u.a | cat", "cat"),
        (":methods | grep ping", "grep ping"),
    ],
)
def test_what_follows_a_bar_is_a_shell_command(text: str, command: str) -> None:
    sink = sink_of(text)
    assert isinstance(sink, Pipe)
    assert sink.command == command


@pytest.mark.parametrize(
    ("text", "path", "append"),
    [
        ("ping > f", "f", False),
        ("ping >f", "f", False),
        ("ping>f", "f", False),
        ("ping >> f # more", "f", True),
        ('ping {"a": 1}>f', "f", False),
        ('ping <"a":1> > f', "f", False),
        ('ping <"a":1>> f', "f", False),
        ('ping <"a":<"b":1>>>> f', "f", True),
        ('ping a=<"b":1>>f', "f", False),
        ("ping a=1 > 'my file'", "my file", False),
        ("u = ping > a\\ b", "a b", False),
        (":export python > calls.py", "calls.py", False),
    ],
)
def test_what_follows_an_angle_outside_brackets_is_a_file(text: str, path: str, append: bool) -> None:
    sink = sink_of(text)
    assert isinstance(sink, Redirect)
    assert (sink.path, sink.append) == (path, append)


@pytest.mark.parametrize(
    "text", ['ping ["a | b", "c > d"]', "ping <a: 1>", "ping {a: '>', 'b|': 1}", "ping a='|' b='>'"]
)
def test_inside_brackets_and_quotes_they_are_something_else(text: str) -> None:
    assert sink_of(text) is None


def test_in_a_text_without_quotes_they_belong_to_it_which_is_said() -> None:
    line = parse("ping a=x|y b=1>2")
    assert isinstance(line.body, CallLine)
    assert call_params(line.body, None) == {"a": "x|y", "b": "1>2"}
    assert [(problem.start, problem.severity) for problem in line.problems] == [
        (8, Severity.WARNING),
        (14, Severity.WARNING),
    ]


@pytest.mark.parametrize(
    ("text", "column", "expected", "finished"),
    [
        ("ping |", 6, "a shell command such as `jq .`", False),
        ("ping >", 6, "the name of a file", False),
        ("ping >> ", 8, "the name of a file", False),
        ("ping > ''", 7, "the name of a file", True),
        ("ping > f g", 9, "the end of the line", True),
        ("ping > f | cat", 9, "the end of the line", True),
        ("ping | jq '", 11, "'", False),
        ("| cat", 0, "a method", True),
        ("> f", 0, "a method", True),
        ("ping [1 | 2]", 8, "`,` or `]`", True),
        ("ping 1 | cat\n5", 13, "the end of the line", True),
    ],
)
def test_a_mistake_has_its_place_and_what_was_expected(text: str, column: int, expected: str, finished: bool) -> None:
    problem = parse(text).blocking
    assert problem is not None
    assert (problem.start, problem.expected) == (column, expected)
    assert (problem.severity is Severity.ERROR) is finished


def test_an_open_quote_of_a_shell_command_asks_for_another_row() -> None:
    assert parse("ping | jq '").open == ("'",)
    assert parse("ping | jq '.a'").complete


def test_a_command_may_have_a_lone_angle_or_bar_in_a_word() -> None:
    body = parse(":methods a|b >").body
    assert isinstance(body, CommandLine)
    assert [word.text for word in body.words] == ["a|b", ">"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ping 1 | cat\nping 2", ("ping 1 | cat", "ping 2")),
        ("ping | jq '\n.a'\nping", ("ping | jq '\n.a'", "ping")),
        ("u = ping 1\n$u\nadd a=$u > f", ("u = ping 1", "$u", "add a=$u > f")),
        ("add a=1 b=2\nx=add a=3", ("add a=1 b=2", "x=add a=3")),
        ("# first\nx = 5\nping $x # second\n", ("# first", "x = 5", "ping $x # second")),
        ("add a=1\nb=2", ("add a=1\nb=2",)),
        ("add a=1\n b=add c=3", ("add a=1\n b=add c=3",)),
    ],
)
def test_a_paste_of_several_lines_is_cut(text: str, parts: tuple[str, ...]) -> None:
    assert statements(parse(text), {"ping", "add"}.__contains__) == parts
