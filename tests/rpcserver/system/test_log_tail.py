"""Reading back the end of a log, and following it."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpcserver.system.log import LineHandler
from rpcserver.system.log_tail import NotAFile, last_lines, lines_since
from rpcwire.control import LogPart, LogPosition
from tests.rpcserver.steering import steering
from tests.servers import PATIENCE, running, until


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)


def follow(descriptor: int, position: LogPosition | None, count: int = 1000) -> tuple[list[str], LogPart]:
    """All that there is after a position, and the last part of it."""
    lines: list[str] = []
    while True:
        part = lines_since(descriptor, position, count)
        lines += part.lines
        if not part.more:
            return lines, part
        assert part.lines
        position = part.next


def write(descriptor: int, worker: int | None, message: str, *, as_json: bool) -> None:
    handler = LineHandler(descriptor, as_json=as_json)
    handler.worker = worker
    handler.emit(logging.LogRecord("x", logging.INFO, "x.py", 1, message, None, None))


@pytest.mark.parametrize("as_json", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 4))
def test_following_brings_every_line_once_however_it_is_written(
    tmp_path: Path, writes: list[bytes], count: int
) -> None:
    path = tmp_path / "followed.log"
    path.unlink(missing_ok=True)
    descriptor = opened(path)
    try:
        position = lines_since(descriptor, None, 1).next
        found: list[str] = []
        for data in writes:
            os.write(descriptor, data)
            lines, part = follow(descriptor, position, count)
            assert (part.skipped, part.anew) == (0, False)
            found += lines
            position = part.next
        *whole, _unfinished = b"".join(writes).split(b"\n")
        assert found == [line.decode("utf-8", "backslashreplace") for line in whole]
        last = lines_since(descriptor, None, 1000)
        assert (last.lines, last.next) == (found, position)
    finally:
        os.close(descriptor)


def test_following_goes_on_in_the_file_that_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    handler = LineHandler(opened(path), as_json=False, path=path)
    descriptor = handler.fileno()
    os.write(descriptor, b"one\ntwo\n")
    position = lines_since(descriptor, None, 1).next
    path.rename(tmp_path / "x.log.1")
    handler.reopen()
    os.write(descriptor, b"three\n")
    lines, part = follow(descriptor, position)
    assert (lines, part.anew) == (["three"], True)
    os.write(descriptor, b"four\n")
    lines, part = follow(descriptor, part.next)
    assert (lines, part.anew) == (["four"], False)
    os.truncate(path, 0)
    os.write(descriptor, b"5\n")
    lines, part = follow(descriptor, part.next)
    assert (lines, part.anew) == (["5"], True)
    os.close(descriptor)


def test_who_is_far_behind_is_told_how_much_is_left_out(tmp_path: Path) -> None:
    descriptor = opened(tmp_path / "flood.log")
    line = b"x" * 1023 + b"\n"
    os.write(descriptor, line)
    position = lines_since(descriptor, None, 1).next
    os.write(descriptor, line * 20 * 1024)
    part = lines_since(descriptor, position, 10_000)
    assert part.more
    assert part.skipped == 1024 * (19 * 1024 + 1)
    assert part.lines == ["x" * 1023] * 256
    lines, _ = follow(descriptor, part.next)
    assert len(lines) == 1023 - 256
    os.close(descriptor)


def test_a_line_without_an_end_is_given_in_parts(tmp_path: Path) -> None:
    descriptor = opened(tmp_path / "long.log")
    position = lines_since(descriptor, None, 1).next
    os.write(descriptor, b"x" * 300_000)
    first = lines_since(descriptor, position, 10)
    assert (first.lines, first.more) == (["x" * 262_144], True)
    second = lines_since(descriptor, first.next, 10)
    assert (second.lines, second.more, second.next) == ([], False, first.next)
    os.write(descriptor, b"\nend\n")
    assert lines_since(descriptor, first.next, 10).lines == ["x" * (300_000 - 262_144), "end"]
    os.close(descriptor)


def test_the_log_is_followed_from_file_to_file(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    app = (
        "from rpcserver import Context, Service\n"
        "service = Service('x')\n"
        "@service.method\n"
        "def say(text: str, context: Context) -> None:\n"
        "    context.log.warning('%s', text)\n"
    )
    with (
        running("-w", "1", "--log-file", str(log), folder=tmp_path, app=app) as server,
        steering(server) as arbiter,
        server.connect() as client,
    ):

        def said(part: dict[str, Any]) -> list[str]:
            return [line.rpartition(" ")[2] for line in part["lines"] if "say:" in line]

        client.call("say", ["one"])
        part = arbiter.call("arbiter.log_since")
        assert said(part) == ["one"]
        client.call("say", ["two"])
        client.call("say", ["three"])
        part = arbiter.call("arbiter.log_since", position=part["next"], limit=1)
        assert (said(part), part["more"]) == (["two"], True)
        part = arbiter.call("arbiter.log_since", position=part["next"])
        assert (said(part), part["more"], part["anew"]) == (["three"], False, False)

        log.rename(tmp_path / "server.log.1")
        server.signal(signal.SIGUSR1)
        until(log.exists)
        deadline = time.monotonic() + PATIENCE
        client.call("say", ["four"])
        while not (found := arbiter.call("arbiter.log_since", position=part["next"]))["anew"]:
            assert time.monotonic() < deadline
        while not said(found):
            # The worker opens the file a moment after the arbiter.
            client.call("say", ["four"])
            found = arbiter.call("arbiter.log_since", position=found["next"])
            assert time.monotonic() < deadline
        assert set(said(found)) == {"four"}
