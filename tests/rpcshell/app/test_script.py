from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, Cancelled, SpawnFailed, SyntaxProblem, UsageError
from rpcshell.app.script_output import ScriptOutput
from rpcshell.shell.statements import Statement, read_statements
from rpcshell.view.plain import compact

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
statements = st.sampled_from(
    ['ping {"a":1}', "ping", 'ping {\n"a":\n1\n}', "ping [\n\n# 1\n]", ":connect 8080", "a b=c"]
)


def script(text: str) -> list[Statement]:
    return list(read_statements(io.BytesIO(text.encode()), "f"))


@given(json_values)
def test_a_result_is_one_line_that_reads_back_and_holds_no_control(value: object) -> None:
    text = compact(value)
    assert json.loads(text) == value
    assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in text)
    assert not any(unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"} for c in text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é中😀", '"é中😀"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("\x9b\x7f\xad", '"\\u009b\\u007f\\u00ad"'),
        ("\u202e\u2066\u200f", '"\\u202e\\u2066\\u200f"'),
        ("\U000e0041", '"\\udb40\\udc41"'),
        ({"\u202e": 2**80}, '{"\\u202e":1208925819614629174706176}'),
    ],
)
def test_readable_text_stays_and_what_a_terminal_acts_on_is_escaped(value: object, text: str) -> None:
    assert compact(value) == text


def test_each_line_is_a_statement_with_its_place() -> None:
    assert script("ping 1\n:quit\n") == [Statement("ping 1", "f:1"), Statement(":quit", "f:2")]


def test_comments_and_blank_lines_are_left_out() -> None:
    assert script("#!/usr/bin/env rpcshell\n\n  # note\nping 1") == [Statement("ping 1", "f:4")]


def test_an_open_bracket_goes_on_in_the_next_line() -> None:
    assert script('ping {\n  "a": 1\n}\nping 2') == [
        Statement('ping {\n  "a": 1\n}', "f:1"),
        Statement("ping 2", "f:4"),
    ]


def test_an_open_bracket_at_the_end_is_a_statement_that_will_say_so() -> None:
    assert script("ping 1\nping {\n1") == [Statement("ping 1", "f:1"), Statement("ping {\n1", "f:2")]


def test_a_byte_order_mark_and_dos_line_ends_do_no_harm() -> None:
    assert list(read_statements([b"\xef\xbb\xbfping 1\r\n", b"ping 2\r\n"], "f")) == [
        Statement("ping 1", "f:1"),
        Statement("ping 2", "f:2"),
    ]


def test_a_line_that_is_not_utf8_is_named_and_those_before_it_are_read() -> None:
    lines = read_statements([b"ping 1\n", b"ping \xff\n"], "f")
    assert next(lines) == Statement("ping 1", "f:1")
    with pytest.raises(UsageError, match="f:2: byte 6"):
        next(lines)


@given(st.lists(statements, max_size=6))
def test_a_script_is_cut_into_the_statements_it_was_made_of(parts: list[str]) -> None:
    assert [statement.text for statement in script("\n".join(parts))] == parts


@given(st.lists(json_values | st.text(alphabet="[]{}<>\"'#\\\n "), min_size=1, max_size=3), st.sampled_from([None, 1]))
def test_json_over_several_lines_is_one_statement_whatever_its_strings_hold(values: list[object], indent: int) -> None:
    parts = [f"ping {json.dumps([value], indent=indent)}" for value in values]
    assert [statement.text for statement in script("\n".join(parts))] == parts


@pytest.mark.parametrize(
    "text", ["ping [\n'it\\'s', \"[\"\n]", "ping [ # {\n1]", 'ping <\n"a": [1\n]>', "ping [\n{x:\n1}]"]
)
def test_the_relaxed_forms_go_over_several_lines_too(text: str) -> None:
    assert [statement.text for statement in script(f"{text}\nping 2")] == [text, "ping 2"]


def test_a_long_statement_takes_linear_time() -> None:
    text = "ping " + json.dumps([{"a": number} for number in range(5_000)], indent=1)
    (statement,) = script(text)
    assert statement.text == text
    # Parsing it anew with each of its 15,000 lines would take longer than a test may.


@given(st.text(max_size=60))
def test_any_text_is_cut_into_statements(text: str) -> None:
    try:
        lines = text.encode()
    except UnicodeEncodeError:
        return
    for statement in read_statements(io.BytesIO(lines), "f"):
        assert statement.text.strip()


def complaint(error: object, place: str = "") -> str:
    stderr = io.StringIO()
    ScriptOutput(io.BytesIO(), stderr).error(error, place)  # type: ignore[arg-type]
    return stderr.getvalue()


def test_a_run_that_was_interrupted_says_nothing_of_a_session_that_goes_on() -> None:
    error = Cancelled("cancelled: it was asked, and the session goes on", at_end="cancelled: it was asked")
    assert complaint(error) == "rpcshell: cancelled: it was asked\n"


def test_an_error_is_one_line_with_its_hint() -> None:
    assert complaint(UsageError("no", hint="try yes")) == "rpcshell: no (try yes)\n"


def test_a_method_that_is_not_there_leads_to_those_that_are() -> None:
    error = CallError("no x; rpc.discover lists the methods", code=-32601, data={"suggestions": []}, method="x")
    assert complaint(error) == "rpcshell: x: error -32601: no x (:methods lists what there is)\n"


def test_near_names_are_not_said_twice() -> None:
    said = "no pnig; did you mean ping?"
    error = CallError(said, code=-32601, data={"suggestions": ["ping"]}, method="x")
    assert complaint(error) == f"rpcshell: x: error -32601: {said}\n"
    error = CallError("no pnig", code=-32601, data={"suggestions": ["ping"]}, method="x")
    assert complaint(error) == 'rpcshell: x: error -32601: no pnig (data: {"suggestions":["ping"]})\n'


def test_an_error_of_a_server_has_code_and_data_and_reaches_the_terminal_escaped() -> None:
    error = CallError("bad\x1b[2J\nthing", code=-32602, data={"path": "\x9b"}, method="add")
    text = complaint(error, "f:3")
    assert text == 'rpcshell: f:3: add: error -32602: bad\\x1b[2J\\x0athing (data: {"path":"\\u009b"})\n'


def test_an_error_that_is_only_a_text_is_said_once() -> None:
    assert complaint(CallError("no", code=-32000, data="no", method="m")) == "rpcshell: m: error -32000: no\n"


def test_a_syntax_problem_has_line_and_column_counted_from_one() -> None:
    error = SyntaxProblem("what", line="ping {\n  x}", column=9, expected="a value")
    assert complaint(error, "f:3") == "rpcshell: f:4:3: what (expected a value)\n"
    assert complaint(error) == "rpcshell: line 2, column 3: what (expected a value)\n"
    said = SyntaxProblem("/x is not a value; quote a text", line="ping /x", column=5, expected="a value")
    assert said.hint is None
    said = SyntaxProblem("expected a value, not `}`", line="ping {", column=5, expected="a value")
    assert complaint(said, "f:3") == "rpcshell: f:3:6: expected a value, not `}`\n"


def test_a_syntax_problem_of_a_single_line_has_its_column() -> None:
    error = SyntaxProblem("what", line="ping x", column=5)
    assert complaint(error) == "rpcshell: column 6: what\n"


def test_the_traceback_of_an_app_follows_its_line() -> None:
    error = SpawnFailed("the app failed", traceback='File "a.py", line 1\nZeroDivisionError: \x1b[2J\n')
    assert complaint(error) == 'rpcshell: the app failed\nFile "a.py", line 1\nZeroDivisionError: \\x1b[2J\n'


class Stream(io.StringIO):
    """A stream that is a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "kind", "shown"),
    [
        (True, "xterm", "\r\x1b[Kwaiting \\x1b\r\x1b[Knote\n"),
        (True, "dumb", "note\n"),
        (False, "xterm", "note\n"),
    ],
)
def test_how_far_something_is_is_drawn_over_where_a_person_sees_it(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: str, shown: str
) -> None:
    monkeypatch.setenv("TERM", kind)
    stderr = Stream(terminal=terminal)
    output = ScriptOutput(io.BytesIO(), stderr)
    output.progress("waiting \x1b")
    output.note("note")
    output.progress("")
    assert stderr.getvalue() == shown
