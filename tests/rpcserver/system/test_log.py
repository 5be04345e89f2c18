"""The log: one harmless line per record, for people and for programs."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.service.context import MethodLogger
from rpcserver.system.log import LineHandler, configure, keep_enabled, visible
from tests.servers import running

EVIL = "a\nb\r\x1b[31mred\x07\x9b2J\u202egnp\u2028end\ud800"


class Written:
    """A log of one handler, and what it wrote."""

    def __init__(self, *, as_json: bool) -> None:
        self.reader, self.writer = os.pipe()
        self.handler = LineHandler(self.writer, as_json=as_json)
        self.logger = logging.Logger("probe", logging.DEBUG)
        self.logger.addHandler(self.handler)

    def read(self) -> str:
        return os.read(self.reader, 1 << 20).decode()

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture(params=[False, True], ids=["text", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    found = Written(as_json=request.param)
    yield found
    found.close()


def fail() -> None:
    raise ValueError(EVIL)


@pytest.mark.parametrize("what", ["message", "argument"])
def test_nothing_a_peer_sends_can_forge_a_line_or_reach_a_terminal(written: Written, what: str) -> None:
    if what == "message":
        written.logger.warning(EVIL)
    else:
        written.logger.warning("%s", EVIL)
    line = written.read()
    assert line.endswith("\n")
    assert [part for part in line[:-1].split("\n")[1:] if not part.startswith("    ")] == []
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", line)


def test_readable_text_stays_readable(written: Written) -> None:
    written.logger.info("grüße, 世界")
    assert "grüße, 世界" in written.read()


def test_a_traceback_is_shown_without_controls(written: Written) -> None:
    try:
        fail()
    except ValueError:
        written.logger.exception("it failed")
    text = written.read()
    assert "raise ValueError(EVIL)" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)


def test_a_text_line_says_when_how_bad_and_who() -> None:
    written = Written(as_json=False)
    written.logger.warning("hello")
    written.handler.worker = 3
    written.logger.error("hello")
    first, second = written.read().splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{stamp} WARNING \[arbiter {os.getpid()}\] hello", first)
    assert re.fullmatch(rf"{stamp} ERROR   \[worker 3 {os.getpid()}\] hello", second)
    written.close()


def test_a_json_line_has_the_same_as_fields() -> None:
    written = Written(as_json=True)
    written.handler.worker = 3
    written.logger.warning("hello %s", EVIL)
    record = json.loads(written.read())
    assert (record["level"], record["worker"], record["pid"], record["logger"]) == (
        "warning",
        3,
        os.getpid(),
        "probe",
    )
    assert record["message"] == "hello " + EVIL.replace("\ud800", "\\ud800")
    written.close()


def test_a_log_that_cannot_be_written_does_not_stop_anything() -> None:
    written = Written(as_json=False)
    os.close(written.reader)
    written.logger.error("into the void")
    os.close(written.writer)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text("before\n")
    root = logging.getLogger()
    level = root.level
    handler = configure("info", as_json=False, path=path)
    try:
        logging.getLogger("probe").info("after")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert path.read_text().startswith("before\n")
    assert path.read_text().endswith("after\n")


def test_the_log_of_a_server_can_go_to_a_file_as_json(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with running(
        "-w", "2", "--log-file", str(path), "--log-format", "json", "--log-level", "debug", folder=tmp_path
    ) as server:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert any(record["message"].startswith("listening on") for record in records)
        assert server.log() == ""


@pytest.mark.parametrize("evil", [False, True])
def test_what_a_handler_logs_names_its_method(written: Written, evil: bool) -> None:
    name = "price\n\x1b[31m" if evil else "price"
    MethodLogger(written.logger, name).warning("no tea")
    line = written.read()
    assert line.count("\n") == 1
    assert "\x1b" not in line
    if line.startswith("{"):
        assert json.loads(line)["method"] == name
        assert json.loads(line)["message"] == "no tea"
    elif not evil:
        assert line.endswith("] price: no tea\n")


def test_fields_of_a_record_are_keys_of_its_json_line() -> None:
    written = Written(as_json=True)
    written.logger.info("a call", extra={"fields": {"size": 3, "peer": "\ud800"}})
    record = json.loads(written.read())
    assert (record["message"], record["size"], record["peer"]) == ("a call", 3, "\\ud800")
    written.close()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[tuple[Path, LineHandler]]:
    path = tmp_path / "server.log"
    root = logging.getLogger()
    level = root.level
    handler = configure("info", as_json=False, path=path)
    try:
        yield path, handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        os.close(handler.fileno())


def test_a_file_that_was_moved_away_is_made_again(
    log_file: tuple[Path, LineHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, handler = log_file
    logging.getLogger("probe").info("before")
    moved = path.rename(path.with_suffix(".1"))
    logging.getLogger("probe").info("between")
    monkeypatch.chdir("/")
    descriptor = handler.fileno()
    handler.reopen()
    logging.getLogger("probe").info("after")
    assert handler.fileno() == descriptor
    assert [line.rpartition(" ")[2] for line in moved.read_text().splitlines()] == ["before", "between"]
    assert [line.rpartition(" ")[2] for line in path.read_text().splitlines()] == ["after"]


def test_reopening_leaves_no_descriptor_behind_and_none_to_programs(log_file: tuple[Path, LineHandler]) -> None:
    _, handler = log_file
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        handler.reopen()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not os.get_inheritable(handler.fileno())


def test_a_log_that_cannot_be_opened_again_goes_on_in_the_old_file(log_file: tuple[Path, LineHandler]) -> None:
    path, handler = log_file
    moved = path.rename(path.with_suffix(".1"))
    path.mkdir()
    handler.reopen()
    logging.getLogger("probe").info("after")
    lines = moved.read_text().splitlines()
    assert "cannot be opened again" in lines[0]
    assert lines[1].endswith("after")


def test_standard_error_is_not_opened_again() -> None:
    written = Written(as_json=False)
    written.handler.reopen()
    written.logger.info("still here")
    assert "still here" in written.read()
    written.close()


@given(st.text())
def test_visible_text_is_one_line_and_printable_text_is_kept(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f]", shown)
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("fill", ["A", "\a", "\n", "\u4e2d"])
def test_records_are_bounded_and_only_the_first_line_begins_at_the_margin(fill: str, as_json: bool) -> None:
    reader, writer = os.pipe()
    try:
        handler = LineHandler(writer, as_json=as_json)
        record = logging.makeLogRecord({"msg": fill * 1_000_000, "traceback": fill * 1_000_000})
        handler.emit(record)
        data = os.read(reader, 1_000_000)
    finally:
        os.close(reader)
        os.close(writer)
    assert 16 * 1024 < len(data) < 33 * 1024
    assert data.count(b"characters left out") == 2
    assert all(line.startswith(b"    ") for line in data.splitlines()[1:])


def test_a_log_that_nobody_reads_loses_records_and_waits_for_nobody() -> None:
    reader, writer = os.pipe()
    try:
        handler = LineHandler(writer, as_json=False)
        for number in range(2000):
            handler.emit(logging.makeLogRecord({"msg": f"{number} {'x' * 5000}"}))
        assert os.get_blocking(writer)
        while len(os.read(reader, 1_000_000)) == 1_000_000:
            pass
        handler.emit(logging.makeLogRecord({"msg": "after"}))
        lines = os.read(reader, 1_000_000).splitlines()
    finally:
        os.close(reader)
        os.close(writer)
    # The last record before it was written in part.
    assert re.match(rb"\d{4}-.*after$", lines[-1])


def test_an_app_that_configures_logging_does_not_silence_the_server() -> None:
    before = logging.root.handlers[:]
    own = logging.getLogger("rpcserver.made.for.this")
    keep_enabled()
    logging.config.dictConfig({"version": 1})
    try:
        assert own.isEnabledFor(logging.ERROR)
        assert not own.disabled
    finally:
        logging.root.handlers[:] = before
        for found in logging.root.manager.loggerDict.values():
            if isinstance(found, logging.Logger):
                found.disabled = False
