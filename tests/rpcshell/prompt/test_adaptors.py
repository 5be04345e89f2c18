"""Lexer, brackets, toolbar and prompt text, without a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.document import Document
from prompt_toolkit.styles import Attrs

from rpcshell.commands import load_commands
from rpcshell.line.catalog import Catalog
from rpcshell.line.language import Line, TokenKind, parse
from rpcshell.prompt.completer import LineCompleter
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.lexer import _STYLES, LineLexer, matching_brackets, open_brackets
from rpcshell.prompt.theme import THEME
from rpcshell.prompt.toolbar import Toolbar
from rpcshell.shell.session import Session
from tests.rpcshell.prompt.test_prompt import KnownSession

COMMANDS = load_commands()
MANY = {"name": "many", "params": [{"name": f"p{n}", "schema": {"type": "string"}, "required": True} for n in range(9)]}


class ManySession(KnownSession):
    """A session whose target has a method with many params."""

    known = Catalog.from_openrpc({"openrpc": "1.3.2", "methods": [MANY]})


LINES = st.text(alphabet="ping ab01{}[]<>,:=\"'\\\n$#-", max_size=40)


def rows(text: str) -> list[str]:
    row = LineLexer(parse, KnownSession.known).lex_document(Document(text))
    return ["".join(fragment[1] for fragment in row(number)) for number in range(text.count("\n") + 1)]


@given(LINES)
def test_the_lexer_loses_nothing(text: str) -> None:
    assert rows(text) == text.split("\n")


def test_every_kind_of_token_has_a_style() -> None:
    assert set(_STYLES) == {kind.value for kind in TokenKind}


def test_an_unknown_method_looks_different_where_methods_are_known() -> None:
    known, unknown = (
        LineLexer(parse, KnownSession.known).lex_document(Document(text))(0)[0][0] for text in ("ping", "pin")
    )
    assert known != unknown
    empty = Session(background=False).catalog
    assert LineLexer(parse, empty).lex_document(Document("pin"))(0)[0][0] == known


def look(style: str) -> Attrs:
    return THEME.get_attrs_for_style_str(style)


def test_the_parts_of_json_have_colours_of_their_own() -> None:
    colours = [look(_STYLES[kind]).color for kind in ("key", "string", "number", "keyword", "error")]
    assert len(set(colours)) == 5
    assert all(colours)


@pytest.mark.parametrize(
    ("text", "cursor", "pair"),
    [
        ("ping {}", 5, (5, 6)),
        ("ping {}", 6, (6, 5)),
        ("ping {}", 7, (6, 5)),
        ("ping <a: [1]>", 5, (5, 12)),
        ('ping {"}": 1}', 5, (5, 12)),
        ("ping {", 5, ()),
        ("ping {]", 6, ()),
        ("ping 1", 3, ()),
        ("", 0, ()),
    ],
)
def test_brackets_that_belong_together(text: str, cursor: int, pair: tuple[int, ...]) -> None:
    assert matching_brackets(parse(text), cursor) == pair


@example("ping <a: [{b: 1}]>")
@given(LINES)
def test_brackets_belong_to_each_other_both_ways(text: str) -> None:
    for pair in filter(None, (matching_brackets(parse(text), cursor) for cursor in range(len(text) + 1))):
        assert matching_brackets(parse(text), pair[1]) == pair[::-1]
        assert text[min(pair)] + text[max(pair)] in {"{}", "[]", "<>"}


@pytest.mark.parametrize(
    ("text", "depth"), [("", 0), ("ping {", 1), ("ping {a: [<", 3), ('ping "{', 0), ("ping {}", 0)]
)
def test_open_brackets_are_counted(text: str, depth: int) -> None:
    assert open_brackets(parse(text)) == depth


def context(session: Session, **options: Any) -> LineContext:
    return LineContext(session, lambda: COMMANDS, **options)


def toolbar(session: Session, text: str = "", cursor: int | None = None) -> str:
    fragments = Toolbar(context(session))(text, len(text) if cursor is None else cursor)
    return "".join(text for _, text in fragments)


def test_the_toolbar_of_an_empty_line_says_what_there_is_to_do() -> None:
    assert ":spawn 10" in toolbar(Session(background=False))


def test_the_toolbar_says_the_signature_or_the_problem() -> None:
    assert toolbar(KnownSession(), "ping ") == "ping(first: string)"
    assert toolbar(KnownSession(), 'ping {"second": 1} ').startswith("column 7: ")
    assert ":connect" in toolbar(KnownSession(), ":connect ")


def test_the_toolbar_says_what_would_work_instead() -> None:
    assert toolbar(KnownSession(), "ping x ") == 'column 6: did you mean `ping first="x"`?'


def test_the_place_of_a_problem_is_counted_in_rows_and_columns() -> None:
    session = KnownSession()
    assert toolbar(session, 'ping {\n  "first": 1}').startswith("line 2, column 12: ")
    assert toolbar(session, 'ping first="a"\npign\nping first="b"').startswith(
        "line 2, column 1: unknown method pign; "
    )
    assert toolbar(session, 'ping first=a\nping first="b"') == "2 lines; Enter runs one after the other"


def test_what_a_line_before_it_does_is_not_known_of_one_of_several_lines() -> None:
    session = KnownSession()
    several = "2 lines; Enter runs one after the other"
    assert toolbar(session, 'a = ping first="x"\nping first=$a.first') == several
    assert toolbar(session, 'ping first="x"\nping first=$_') == several
    assert toolbar(session, ":connect 127.0.0.1:1\npign") == several
    assert toolbar(session, 'a = ping first="x"\nping first=$b ').startswith(
        "line 2, column 12: no variable is called $b"
    )


def test_the_toolbar_marks_the_parameter_at_the_cursor_and_keeps_it_in_sight() -> None:
    bar = Toolbar(context(ManySession()))
    text = "many p7="
    whole = "".join(text for _, text in bar(text, len(text)))
    assert whole.startswith("many(p0: string, p1: string, ")
    fragments = bar(text, len(text), 40)
    assert [text for style, text in fragments if style.endswith(".focus")] == ["p7: string"]
    assert fragments[0][1].startswith("…")
    assert len("".join(text for _, text in fragments[:2])) <= 40


def test_what_is_wrong_is_marked_at_its_place() -> None:
    bar = Toolbar(context(KnownSession()))
    text = 'ping {"first": 1,\n"second": [2]} '
    assert [text[start:end] for start, end in bar.problems(text, len(text))] == ["1", '"second"']
    assert bar.problems("ping ", 5) == ()
    assert bar.problems("", 0) == ()


def test_an_alias_is_looked_into_where_what_follows_it_stands() -> None:
    bar = Toolbar(context(KnownSession(), aliases={"p": "ping"}))
    assert "".join(text for _, text in bar("p ", 2)) == "ping(first: string)"
    assert bar("p first=1 second=2 ", 19)[0][1].startswith("column 11: ")
    assert list(bar.problems("p first=1 second=2 ", 19)) == [(10, 16)]


def test_a_line_that_is_too_long_costs_nothing() -> None:
    text = "ping " + '{"first": ' * 10_000
    parsed: list[str] = []

    def read(text: str) -> Line:
        parsed.append(text)
        return parse(text)

    document = Document(text)
    assert "Enter" in Toolbar(context(KnownSession(), read=read))(text, len(text))[0][1]
    assert LineLexer(read, KnownSession.known).lex_document(document)(0) == [("", text)]
    assert list(LineCompleter(context(KnownSession(), read=read)).get_completions(document, CompleteEvent())) == []
    assert parsed == []


def test_what_all_of_many_methods_begin_with_is_told_from_the_few_that_are_offered() -> None:
    class Large(KnownSession):
        known = Catalog.from_openrpc({"methods": [{"name": f"area.{n // 500}.m{n}"} for n in range(1000)]})

    document = Document("ar")
    completer = LineCompleter(context(Large()))
    found = list(completer.get_completions(document, CompleteEvent(completion_requested=True)))
    assert len(found) < 100
    assert get_common_complete_suffix(document, found) == "ea."


def test_the_toolbar_is_made_once_for_the_same_text() -> None:
    bar = Toolbar(context(KnownSession()))
    assert bar("ping ", 5) is bar("ping ", 5)
    assert bar("ping ", 5) is not bar("ping ", 4)


@given(LINES, st.integers(0, 40))
def test_completions_fit_the_text_they_replace(text: str, cursor: int) -> None:
    document = Document(text, min(cursor, len(text)))
    completer = LineCompleter(context(KnownSession()))
    for found in completer.get_completions(document, CompleteEvent()):
        assert -document.cursor_position <= found.start_position <= 0
