import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.language import CommandLine, Empty, TokenKind, parse
from tests.rpcshell.line.language.strategies import strings


def command(text: str) -> CommandLine:
    body = parse(text).body
    assert isinstance(body, CommandLine)
    return body


def words(text: str) -> list[str]:
    return [word.text for word in command(text).words]


@pytest.mark.parametrize("text", ["", "  \n", "# ping", "   # ping {"])
def test_blank_lines_and_comments_are_empty(text: str) -> None:
    assert isinstance(parse(text).body, Empty)
    assert parse(text).problems == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":x a b", ["a", "b"]),
        (':x "a b" c', ["a b", "c"]),
        (":x a' 'b", ["a b"]),
        (":x a\\ b", ["a b"]),
        (':x "a\\"b\\\\c\\d"', ['a"b\\c\\d']),
        (":x 'a\\b'", ["a\\b"]),
        (":x ''", [""]),
        (":x a # b", ["a"]),
        (":x a#b", ["a#b"]),
        (":x a\\", ["a\\"]),
    ],
)
def test_words_are_quoted_as_in_a_shell(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.lists(strings, max_size=5))
def test_what_the_standard_library_quotes_is_read_back(texts: list[str]) -> None:
    assert words(f":x {shlex.join(texts)}") == texts


def test_the_name_and_the_words_have_places() -> None:
    found = command(" :set  a 'b c'")
    assert (found.name, found.name_start, found.name_end) == ("set", 2, 5)
    assert [(word.start, word.end, word.quoted) for word in found.words] == [(7, 8, False), (9, 14, True)]


def test_options_are_told_from_words() -> None:
    text = ":x --a=1 -b - 'c'"
    kinds = [token.kind for token in parse(text).tokens if token.kind is not TokenKind.WHITESPACE]
    assert kinds == [TokenKind.COMMAND, TokenKind.OPTION, TokenKind.OPTION, TokenKind.WORD, TokenKind.STRING]


@pytest.mark.parametrize(("text", "quote"), [(":x 'a", "'"), (':x b "a\\"', '"')])
def test_an_open_quote_makes_the_line_incomplete(text: str, quote: str) -> None:
    line = parse(text)
    assert not line.complete
    assert line.blocking is not None
    assert line.blocking.expected == quote


def test_a_command_needs_a_name() -> None:
    problem = parse(": help").blocking
    assert problem is not None
    assert problem.start == 1
