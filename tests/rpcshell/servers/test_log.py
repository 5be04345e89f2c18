"""Records of a log: reading them, choosing among them, and not letting through more than anybody reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.servers.log import LogFilter, LogRecord, Throttle, read_records

TEXT = [
    "2026-11-23T17:59:01.123Z INFO    [arbiter 10] listening on 127.0.0.1:1, 2 workers (sync), pid 10",
    "2026-11-23T17:59:02.000Z ERROR   [worker 2 12] boom: failed",
    "    Traceback (most recent call last):",
    "    ValueError: bang",
    "2026-11-23T17:59:03.000Z WARNING [worker 12 13] slow [worker 2 12] said",
]
JSON = [
    json.dumps({"time": "2026-11-23T17:59:02.000Z", "level": "error", "worker": 2, "pid": 12, "logger": "x",
                "message": "failed", "method": "boom", "traceback": "Traceback:\nValueError: bang", "order": 7}),
    json.dumps({"time": "2026-11-23T17:59:03.000Z", "level": "info", "worker": None, "pid": 10, "logger": "x",
                "message": "two\nlines"}),
    json.dumps({"time": "2026-11-23T17:59:04.000Z", "level": "info", "worker": 1, "pid": 11, "message": "a ping ok",
                "logger": "rpcserver.access", "method": "ping", "outcome": "ok"}),
]  # fmt: skip


def messages(lines: list[str], wanted: LogFilter) -> list[str]:
    return [record.message for record in read_records(lines) if wanted.wants(record)]


def test_a_log_of_text_is_read_record_by_record() -> None:
    first, second, third = read_records(TEXT)
    assert (first.level, first.who, first.worker, first.pid) == ("info", "arbiter", None, 10)
    assert (second.level, second.who, second.worker, second.pid) == ("error", "worker 2", 2, 12)
    assert second.time == "2026-11-23T17:59:02.000Z"
    assert second.message == "boom: failed\n    Traceback (most recent call last):\n    ValueError: bang"
    assert second.lines == tuple(TEXT[1:4])
    assert (third.worker, third.message) == (12, "slow [worker 2 12] said")


def test_a_log_of_json_is_read_as_one_of_text() -> None:
    first, second, third = read_records(JSON)
    assert (first.level, first.who, first.worker, first.pid) == ("error", "worker 2", 2, 12)
    assert first.message == "boom: failed\n    Traceback:\n    ValueError: bang"
    assert first.fields == {"order": 7}
    assert (second.who, second.message) == ("arbiter", "two\n    lines")
    # The line of a call says all that its fields say.
    assert (third.message, third.fields) == ("a ping ok", {})


@given(st.lists(st.sampled_from([*TEXT, *JSON, "", "{", '{"message": 1}', "[worker 1 2]"]) | st.text()))
def test_no_line_gets_lost_whatever_is_in_a_log(lines: list[str]) -> None:
    assert [line for record in read_records(lines) for line in record.lines] == lines


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LogFilter(), ["listening", "boom", "slow"]),
        (LogFilter(worker=2), ["boom"]),
        (LogFilter(level="warning"), ["boom", "slow"]),
        (LogFilter(level="error", worker=12), []),
        (LogFilter(text="BANG"), ["boom"]),
    ],
)
def test_records_are_chosen(wanted: LogFilter, found: list[str]) -> None:
    assert [message.replace(":", " ").split()[0] for message in messages(TEXT, wanted)] == found


def test_what_continues_a_record_later_is_wanted_where_that_was() -> None:
    wanted = LogFilter(worker=2)
    assert messages(["a line of nobody"], wanted) == []
    assert messages(TEXT[1:2], wanted) == ["boom: failed"]
    assert messages(["printed"], wanted) == ["printed"]
    assert messages([TEXT[0], "printed"], wanted) == []


def test_no_more_lines_are_let_through_in_a_second_than_shall_be() -> None:
    throttle = Throttle(3)
    records = [LogRecord(("one",)), LogRecord(("two", "lines")), LogRecord(("three",)), LogRecord(("four",))]
    assert throttle.begin(100.0) == 0
    assert throttle.take(records) == records[:2]
    assert throttle.begin(100.9) == 0
    assert throttle.take(records[:1]) == []
    assert throttle.begin(101.0) == 3
    assert throttle.take(records[3:]) == records[3:]
    assert throttle.begin(103.0) == 0
