"""Reading back the end of a log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpcserver.log import LineHandler
from rpcserver.log_tail import NotAFile, last_lines


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)


def write(descriptor: int, worker: int | None, message: str, *, as_json: bool) -> None:
    handler = LineHandler(descriptor, as_json=as_json)
    handler.worker = worker
    handler.emit(logging.LogRecord("x", logging.INFO, "x.py", 1, message, None, None))


@pytest.mark.parametrize("as_json", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 1, 11]),
            st.sampled_from(["plain", "two\nlines", '[worker 1 5] {"worker":1,', '"worker":1,'])
            | st.text(st.characters(exclude_categories=["Cs"])),
        ),
        max_size=8,
    )
)
def test_the_records_of_one_worker_are_found_whatever_they_say(
    tmp_path: Path, as_json: bool, records: list[tuple[int | None, str]]
) -> None:
    whole, theirs = tmp_path / "whole.log", tmp_path / "theirs.log"
    for path in (whole, theirs):
        path.unlink(missing_ok=True)
    both, one = opened(whole), opened(theirs)
    try:
        for worker, message in records:
            write(both, worker, message, as_json=as_json)
            if worker == 1:
                write(one, worker, message, as_json=as_json)
        assert len(last_lines(both, 10_000, 1)) == len(last_lines(one, 10_000))
        assert last_lines(both, 10_000) == whole.read_text("utf-8").split("\n")[:-1]
    finally:
        os.close(both)
        os.close(one)


def test_only_the_end_of_a_long_log_is_read_and_no_half_line_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"x" * 700_000 + b"\n" + b"y" * 700_000 + b"\nlast\n")
    descriptor = opened(path)
    assert last_lines(descriptor, 1000) == ["y" * 700_000, "last"]
    assert last_lines(descriptor, 1) == ["last"]
    os.close(descriptor)


def test_a_line_that_is_not_finished_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"one\nha\xfflf")
    descriptor = opened(path)
    assert last_lines(descriptor, 5) == ["one", "ha\\xfflf"]
    os.close(descriptor)


def test_what_is_no_file_is_refused() -> None:
    reader, writer = os.pipe()
    with pytest.raises(NotAFile):
        last_lines(writer, 5)
    os.close(reader)
    os.close(writer)
