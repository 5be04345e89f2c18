from pathlib import Path
from typing import Any, Literal

import pytest

from rpcshell.client.errors import (
    CallError,
    ConnectionFailed,
    NotConnected,
    ShellError,
    SpawnFailed,
    SyntaxProblem,
    UsageError,
)
from rpcshell.client.target import TcpTarget
from rpcshell.view.plain import in_the_shells_words
from rpcshell.view.render import render_error, render_footer, render_result
from rpcshell.view.settings import Settings
from rpcwire import Meta

META = Meta(worker=3, pid=4242, generation=0, model="sync", service_us=120, served=7)


def error_text(error: ShellError, width: int = 80) -> str:
    return "".join(text for _, text in render_error(error, width, Settings()))


def call_error(message: str = "wrong", code: int = -32602, data: Any = None) -> str:
    return error_text(CallError(message, code=code, data=data, method="m", elapsed=0.0012, meta=META))


def result_text(out: str, result: Any, width: int = 80) -> str:
    return "".join(text for _, text in render_result(out, result, width, Settings()))


def test_a_reply_is_its_out_name_and_its_result() -> None:
    assert result_text("pong", {"a": 1}) == 'pong {"a": 1}\n'


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "out \n"), ("one\r\n", "out one\n"), ("a\r\n\tb\n", "out\na\n\tb\n"), ("\x1b[2J", "out \\x1b[2J\n")],
)
def test_a_text_to_be_read_is_shown_as_that(text: str, shown: str) -> None:
    assert "".join(text for _, text in render_result("out", text, 60, Settings(), text=True)) == shown


def in_format(format_: Literal["auto", "json", "table", "raw"], result: Any, **others: int) -> str:
    settings = Settings()
    settings.format = format_
    for name, value in others.items():
        settings.set(name, value)
    return "".join(text for _, text in render_result("out", result, 60, settings))


def test_a_table_stands_below_the_out_name_and_the_number_of_its_rows() -> None:
    assert in_format("table", [{"a": 1}, {"a": 22}, {"a": 3}], max_rows=2).splitlines() == [
        "out 3 rows",
        " a",
        "──",
        " 1",
        "22",
        "… 1 more; :set max_rows 0 shows all",
    ]
    assert in_format("table", {"a": 1}) == "out\na  1\n"


@pytest.mark.parametrize("result", [1, "x", None, [], {}])
def test_what_has_no_rows_is_json_in_tables_too(result: Any) -> None:
    assert in_format("table", result) == in_format("json", result)


def test_raw_is_the_value_and_nothing_else() -> None:
    assert in_format("raw", {"a": [1, 2.5, "ü"], "b": 2**70}) == '{"a":[1,2.5,"ü"],"b":1180591620717411303424}\n'
    assert in_format("raw", "two\nlines\tü\x1b[2J\n") == "two\nlines\tü\\x1b[2J\n"
    assert in_format("raw", "") == "\n"
    assert in_format("raw", ["\x9b\u202e"]) == '["\\u009b\\u202e"]\n'


def test_json_is_indented_as_set() -> None:
    assert in_format("json", ["x" * 60], indent=4).splitlines()[1].startswith('    "x')
    assert in_format("json", ["x" * 60], indent=0).splitlines()[1].startswith('"x')


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
    assert render_footer(seconds, None, Settings()) == shown


def test_the_footer_says_who_served() -> None:
    assert render_footer(0.0012, META, Settings()) == "1.2 ms · 0.12 server, 1.08 waiting · worker 3 · pid 4242"


@pytest.mark.parametrize(
    ("seconds", "service", "shown"),
    [
        (0.00057, 80, "0.57 ms · 0.08 server, 0.49 waiting"),
        (0.0021, 40, "2.1 ms · 0.04 server, 2.06 waiting"),
        (0.0456, 40_000, "45.6 ms · 40.0 server, 5.6 waiting"),
        (1.5, 1_490_000, "1.50 s · 1.49 server, 0.01 waiting"),
        (90, 89_000_000, "1 min 30 s · 1 min 29 s server, 1.00 s waiting"),
        (0.001, 2000, "1.0 ms"),
        (0.001, -1, "1.0 ms"),
    ],
)
def test_the_footer_tells_the_servers_time_from_the_wait(seconds: float, service: int, shown: str) -> None:
    meta = Meta(worker=3, pid=4242, generation=0, model="sync", service_us=service, served=7)
    assert render_footer(seconds, meta, Settings()) == f"{shown} · worker 3 · pid 4242"


def test_the_footer_tells_what_the_settings_ask_for() -> None:
    settings = Settings()
    settings.meta = False
    assert render_footer(0.0012, META, settings) == "1.2 ms · 0.12 server, 1.08 waiting"
    settings.time = False
    assert render_footer(0.0012, META, settings) == ""
    assert "".join(text for _, text in render_error(CallError("x", code=1, meta=META), 80, settings)) == "error 1: x\n"
    settings.meta = True
    assert render_footer(0.0012, META, settings) == "worker 3 · pid 4242"


def test_the_footer_is_folded_between_its_parts() -> None:
    lines = render_footer(0.0012, META, Settings(), 40).splitlines()
    assert lines == ["1.2 ms · 0.12 server, 1.08 waiting", "worker 3 · pid 4242"]


def test_an_error_has_code_message_and_who_served() -> None:
    assert call_error() == "error -32602: wrong\n1.2 ms · 0.12 server, 1.08 waiting · worker 3 · pid 4242\n"


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


def test_an_unknown_method_is_told_in_the_words_of_the_shell() -> None:
    error = CallError("there is no method 'x'; rpc.discover lists the methods", code=-32601, data={"suggestions": []})
    assert in_the_shells_words(error) == ("there is no method 'x'", ":methods lists what there is")


def test_near_names_are_hint_enough() -> None:
    error = CallError("there is no method 'ad'; did you mean add?", code=-32601, data={"suggestions": ["add"]})
    assert in_the_shells_words(error) == (error.message, None)


def test_servers_of_other_kinds_get_the_hint_too() -> None:
    assert in_the_shells_words(CallError("Method not found", code=-32601)) == (
        "Method not found",
        ":methods lists what there is",
    )


def test_an_error_that_is_only_a_text_is_said_once() -> None:
    assert error_text(CallError("no such user", code=-32000, data="no such user")).count("no such user") == 1


def test_other_errors_stay_as_they_are() -> None:
    error = CallError("no; rpc.discover lists the methods", code=404)
    assert in_the_shells_words(error) == (error.message, None)
    assert in_the_shells_words(NotConnected()) == (NotConnected().message, NotConnected().hint)
