"""The log: one harmless line per record, for people and for programs."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import logging.config
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.service.context import MethodLogger
from rpcserver.system.log import LineHandler, configure, keep_enabled, visible
from tests.servers import PATIENCE, running
from tests.steps import no_garbage_collected

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


@contextlib.contextmanager
def configured(path: Path) -> Iterator[LineHandler]:
    """The log of this process, until it is as it was."""
    loggers = [logging.getLogger(name) for name in (None, "rpcserver", "rpcwire")]
    levels = [logger.level for logger in loggers]
    handler = configure("info", as_json=False, path=path)
    try:
        yield handler
    finally:
        logging.root.removeHandler(handler)
        keep_enabled(None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        os.close(handler.fileno())


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text("before\n")
    with configured(path):
        logging.getLogger("probe").info("after")
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
    MethodLogger(written.logger, {"method": name}).warning("no tea")
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
    with configured(path) as handler:
        yield path, handler


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


def emit(handler: LineHandler, message: str) -> None:
    handler.emit(logging.makeLogRecord({"msg": message, "levelname": "INFO"}))


def take(reader: int) -> bytes:
    """What can be read without waiting."""
    data = b""
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        while more := os.read(reader, 1_000_000):
            data += more
    return data


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_log_that_nobody_reads_loses_records_says_how_many_and_waits_for_nobody(kind: str) -> None:
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "socket":
        reader, writer = (end.detach() for end in socket.socketpair())
    else:
        reader, writer = os.openpty()
        tty.setraw(writer)
    emitted = 300
    try:
        handler = LineHandler(writer, as_json=False)
        for number in range(emitted):
            emit(handler, f"{number} {'x' * 5000}")
        assert os.get_blocking(writer)
        data = b""
        # A terminal hands on what was written when the kernel comes to it, and has room only then.
        while not data.endswith(b" after %d\n" % emitted):
            data += take(reader)
            emitted += 1
            emit(handler, f"after {emitted}")
            data += take(reader)
    finally:
        os.close(reader)
        os.close(writer)
    # The last one that was written was perhaps written in part.
    whole = len(re.findall(rb"(?m)^\d{4}-.* (?:\d+ x{5000}|after \d+)$", data))
    lost = re.findall(rb"(?m)^\d{4}-.* (\d+) records? (?:was|were) lost here before: nobody read the log$", data)
    assert 1 < whole < emitted
    assert sum(map(int, lost)) == emitted - whole


class Struck(BaseException):
    """What an app throws into a thread."""


def test_what_is_thrown_into_a_thread_that_logs_leaves_the_log_to_others() -> None:
    written = Written(as_json=False)
    left = 0

    def strike(_frame: object, event: str, _called: object) -> None:
        # Python looks whether one has been thrown where a function begins, and where one that is written in C ends.
        nonlocal left
        left -= event in ("call", "c_return")
        if not left:
            sys.setprofile(None)
            raise Struck

    for place in itertools.count(1):
        left = place
        with no_garbage_collected():
            try:
                sys.setprofile(strike)
                written.logger.warning("struck")
                break
            except Struck:
                pass
            finally:
                sys.setprofile(None)
        other = threading.Thread(target=written.logger.warning, args=("another",), daemon=True)
        other.start()
        other.join(PATIENCE)
        assert not other.is_alive(), f"the log is held since place {place}"
    assert place > 10
    written.close()


def test_a_record_that_was_torn_is_ended_by_whichever_process_writes_next() -> None:
    reader, writer = os.pipe()
    try:
        handler = LineHandler(writer, as_json=False)
        for _ in range(1000):
            emit(handler, "x" * 5000)
        take(reader)
        pid = os.fork()
        if not pid:
            emit(handler, "from a child")
            os._exit(0)
        os.waitpid(pid, 0)
        # What this process has lost is for this process to say.
        assert re.fullmatch(rb"\n\d{4}-.* from a child\n", take(reader))
        emit(handler, "after")
        assert re.fullmatch(rb"\d{4}-.* lost here before: .*\n\d{4}-.* after\n", take(reader))
    finally:
        os.close(reader)
        os.close(writer)


def test_a_disk_without_room_costs_records_that_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = LineHandler(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), as_json=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow is written in part, and then not at all, like a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        for _ in range(10):
            emit(handler, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    emit(handler, "after")
    os.close(handler.fileno())
    *whole, torn, said, after = path.read_bytes().splitlines()
    assert len(whole) == 2
    assert json.loads(whole[0])["message"] == "x" * 1000
    assert torn.startswith(b"{")
    assert json.loads(said)["message"] == "8 records were lost here before: it could not be written (File too large)"
    assert json.loads(after)["message"] == "after"


def test_a_server_whose_log_cannot_be_written_serves_and_stops(tmp_path: Path) -> None:
    with running("-w", "1", "--access-log", "--log-file", "/dev/full", folder=tmp_path) as server:
        with server.connect() as client:
            assert [client.call("echo", number).result for number in range(3)] == [0, 1, 2]
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    command = [sys.executable, "-P", "-m", "rpcserver", "--bind", "nonsense"]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, stderr=full, check=False, timeout=PATIENCE).returncode == 2
