from pathlib import Path
from typing import Any

import pytest

from rpcshell.errors import CallError, ConnectionFailed, ShellError, SpawnFailed, SyntaxProblem, UsageError
from rpcshell.render import render_error, render_footer, render_result
from rpcshell.session import CallOutcome
from rpcshell.target import TcpTarget
from rpcwire import Meta, Reply

META = Meta(worker=3, pid=4242, generation=0, model="sync", service_us=120, served=7)


def error_text(error: ShellError, width: int = 80) -> str:
    return "".join(text for _, text in render_error(error, width))


def call_error(message: str = "wrong", code: int = -32602, data: Any = None) -> str:
    return error_text(CallError(message, code=code, data=data, method="m", elapsed=0.0012, meta=META))


def result_text(out: str, result: Any, width: int = 80) -> str:
    outcome = CallOutcome(method="m", params=None, reply=Reply(out, result), elapsed=0.001, meta=None)
    return "".join(text for _, text in render_result(outcome, width))


def test_a_reply_is_its_out_name_and_its_result() -> None:
    assert result_text("pong", {"a": 1}) == 'pong {"a": 1}\n'


def test_a_long_reply_begins_on_the_line_of_its_out_name() -> None:
    assert result_text("pong", ["x" * 30, "y" * 30], 40).splitlines()[0] == "pong ["


def test_an_out_name_is_escaped() -> None:
    assert result_text("\x1b[2J", 1) == "\\x1b[2J 1\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.00012, "0.12 ms"),
        (0.0012, "1.2 ms"),
        (0.0456, "45.6 ms"),
        (0.4567, "457 ms"),
        (1.5, "1.50 s"),
        (90, "1 min 30 s"),
    ],
)
def test_durations_have_the_digits_that_matter(seconds: float, shown: str) -> None:
    assert render_footer(seconds, None) == shown


def test_the_footer_says_who_served() -> None:
    assert render_footer(0.0012, META) == "1.2 ms · worker 3 · pid 4242"


def test_an_error_has_code_message_and_who_served() -> None:
    assert call_error() == "error -32602: wrong\n1.2 ms · worker 3 · pid 4242\n"


def test_near_names_are_a_question_unless_the_message_has_them() -> None:
    data = {"suggestions": ["ping", "pong"]}
    assert "did you mean ping or pong?" in call_error("no method 'pin'", -32601, data)
    assert "did you mean" not in call_error("no method 'pin', perhaps ping?", -32601, data)


def test_a_path_is_told_unless_the_message_does() -> None:
    assert "(at $.items[0].sku)" in call_error("expected string", data={"path": "$.items[0].sku"})
    assert "(at" not in call_error("sku: expected string", data={"path": "$.items[0].sku"})
    assert "(at" not in call_error("params are an object, not integer", data={"path": "$"})


def test_data_that_the_message_repeats_is_left_out() -> None:
    message = "$.a: expected number, got string"
    assert call_error(message, data={"expected": "number", "got": "string", "path": "$.a"}).count("\n") == 2


def test_data_of_an_application_is_always_shown() -> None:
    assert '{"code": "wrong", "x": [1]}' in call_error("wrong", 7, {"code": "wrong", "x": [1]})
    assert "[1, 2]" in call_error("wrong", -32000, [1, 2])


def test_a_traceback_in_the_data_is_shown_in_lines() -> None:
    shown = call_error(data={"traceback": "Traceback:\n  File x\x1b\n"})
    assert "\nTraceback:\n  File x\\x1b\n" in shown


def test_text_of_a_server_is_escaped_everywhere() -> None:
    shown = call_error("m\x1b[2J\u202e", data={"path": "\x1b", "suggestions": ["\x1b", 5], "\x1b": "\x9b"})
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


def test_a_hint_is_beside_the_message_where_it_fits_and_below_where_not() -> None:
    error = UsageError("no such thing", hint="try another")
    assert error_text(error) == "error: no such thing — try another\n"
    assert error_text(error, 20) == "error: no such thing\ntry another\n"


def test_a_connection_that_failed_is_one_line() -> None:
    assert error_text(ConnectionFailed(TcpTarget("h", 1), "refused")) == "error: cannot connect to h:1: refused\n"


def test_a_problem_of_syntax_shows_its_place() -> None:
    error = SyntaxProblem("expected a value", line='ping {"日": }', column=11)
    assert error_text(error).splitlines()[1:] == ['  ping {"日": }', "              ^"]


def test_a_problem_in_a_line_of_several_rows_shows_its_row() -> None:
    error = SyntaxProblem("no", line="ping {\n  a: ,\n}", column=12)
    assert error_text(error).splitlines()[1:] == ["    a: ,", "       ^"]


def test_a_problem_far_into_a_long_line_is_still_under_its_caret() -> None:
    error = SyntaxProblem("no", line="x" * 500 + "!" + "y" * 500, column=500)
    row, caret = error_text(error).splitlines()[1:]
    assert len(row) <= 80
    assert row[caret.index("^")] == "!"


def test_a_failed_start_with_a_traceback_shows_that_and_no_more() -> None:
    traceback = "Traceback (most recent call last):\n  File \x1b\nNameError: x\n"
    shown = error_text(SpawnFailed("m", traceback=traceback, log=Path("/log"), hint="h"))
    assert shown == traceback.replace("\x1b", "\\x1b")
