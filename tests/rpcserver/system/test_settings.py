"""Where settings come from, which source wins, and how a wrong one is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.cli import parse
from rpcserver.options import Invocation
from rpcserver.system.addresses import TcpBind, UnixBind
from rpcserver.system.proxy_protocol import parse_trusted
from rpcserver.system.settings import (
    ServerSettings,
    SettingsError,
    default_workers,
    line_of,
    parse_mode,
    parse_size,
    read_file,
)
from tests.servers import PATIENCE


def invocation(*arguments: str, config: Path | None = None) -> Invocation:
    found = parse(arguments, config)
    assert found is not None
    return found


def settings(*arguments: str, config: Path | None = None) -> ServerSettings:
    return invocation(*arguments, config=config).settings


def problem(*arguments: str, config: Path | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse(arguments, config)
    return caught.value


def file(folder: Path, text: str) -> Path:
    path = folder / "server.toml"
    path.write_text(text)
    return path


def test_the_defaults() -> None:
    assert settings() == ServerSettings(workers=default_workers(concurrent=False))
    assert default_workers(concurrent=False) >= 4


@pytest.mark.parametrize("model", ["thread", "pool", "fork", "async"])
def test_models_that_serve_many_connections_have_a_worker_a_processor(model: str) -> None:
    assert settings("--model", model).workers == len(os.sched_getaffinity(0))
    assert settings("--model", model, "--workers", "7").workers == 7


def test_the_command_line_wins_over_the_environment_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = file(tmp_path, "workers = 3\nbacklog = 3\nidle-timeout = 3\n")
    monkeypatch.setenv("RPCSERVER_WORKERS", "2")
    monkeypatch.setenv("RPCSERVER_BACKLOG", "2")
    found = settings("-w", "1", config=config)
    assert (found.workers, found.backlog, found.idle_timeout) == (1, 2, 3.0)


def test_every_setting_can_come_from_the_command_line() -> None:
    arguments = (
        "app.py -b 127.0.0.1:1 -b unix:/x --workers 7 --model sync --backlog 8 --unix-mode 660 --max-frame 1K"
        " --max-buffered 3K --idle-timeout 1 --read-timeout 2 --write-timeout 3 --start-timeout 4 --drain-timeout 5"
        " --drain-grace 6 --debug --threads 2 --queue 3 --max-children 4 --max-connections 5 --timeout 7"
        " --max-requests 8 --max-requests-jitter 9 --reclaim-idle 10 --control /c.sock --metrics [::1]:9100"
        " --reload --access-log --max-connection-age 11 --health unix:/h.sock --drain-settle 12"
        " --proxy-protocol 10.0.0.0/8,unix"
    )
    assert settings(*arguments.split()) == ServerSettings(
        app="app.py", bind=(TcpBind("127.0.0.1", 1), UnixBind("/x")), workers=7, model="sync", backlog=8,
        unix_mode=0o660, max_frame=1024, max_buffered=3072,
        idle_timeout=1, read_timeout=2, write_timeout=3, start_timeout=4,
        drain_timeout=5, drain_grace=6, debug=True, threads=2, queue=3, max_children=4, max_connections=5, timeout=7,
        max_requests=8, max_requests_jitter=9, reclaim_idle=10, control="/c.sock", metrics=TcpBind("::1", 9100),
        reload=True, access_log=True, max_connection_age=11, health=UnixBind("/h.sock"), drain_settle=12,
        proxy_protocol=parse_trusted("10.0.0.0/8,unix"),
    )  # fmt: skip


def test_every_setting_can_come_from_a_file(tmp_path: Path) -> None:
    config = file(
        tmp_path,
        'app = "app.py"\nbind = ["127.0.0.1:1", "unix:/x"]\nworkers = 7\nmodel = "sync"\nbacklog = 8\n'
        'unix-mode = "660"\nmax-frame = "1K"\nmax-buffered = "3K"\n'
        "idle-timeout = 1\nread_timeout = 2.0\nwrite-timeout = 3\n"
        'start-timeout = 4\ndrain-timeout = 5\ndrain-grace = 6\ndebug = true\nlog-level = "debug"\n'
        'log-format = "json"\nlog-file = "x.log"\nthreads = 2\nqueue = 3\nmax-children = 4\nmax-connections = 5\n'
        'timeout = 7\nmax-requests = 8\nmax-requests-jitter = 9\nreclaim-idle = 10.5\ncontrol = "none"\n'
        'metrics = "127.0.0.1:9100"\nreload = true\naccess-log = true\nmax-connection-age = 11\n'
        'health = "unix:/h.sock"\ndrain-settle = 12\nproxy-protocol = "10.0.0.0/8,unix"\n',
    )
    found = invocation(config=config)
    assert found.settings == ServerSettings(
        app="app.py", bind=(TcpBind("127.0.0.1", 1), UnixBind("/x")), workers=7, model="sync", backlog=8,
        unix_mode=0o660, max_frame=1024, max_buffered=3072,
        idle_timeout=1, read_timeout=2, write_timeout=3, start_timeout=4,
        drain_timeout=5, drain_grace=6, debug=True, threads=2, queue=3, max_children=4, max_connections=5, timeout=7,
        max_requests=8, max_requests_jitter=9, reclaim_idle=10.5, control="none", metrics=TcpBind("127.0.0.1", 9100),
        reload=True, access_log=True, max_connection_age=11, health=UnixBind("/h.sock"), drain_settle=12,
        proxy_protocol=parse_trusted("10.0.0.0/8,unix"),
    )  # fmt: skip
    assert (found.log_level, found.log_format, found.log_file) == ("debug", "json", Path("x.log"))


def test_the_environment_can_name_the_app_and_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPCSERVER_APP", "calc:service")
    monkeypatch.setenv("RPCSERVER_BIND", "127.0.0.1:1 unix:/x")
    monkeypatch.setenv("RPCSERVER_DEBUG", "1")
    found = settings()
    assert (found.app, found.bind, found.debug) == (
        "calc:service",
        (TcpBind("127.0.0.1", 1), UnixBind("/x")),
        True,
    )


def test_a_single_address_in_a_file_needs_no_list(tmp_path: Path) -> None:
    assert settings(config=file(tmp_path, 'bind = "[::1]:5"')).bind == (TcpBind("::1", 5),)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-w", "0"], ["--workers", "0"]),
        (["-w", "-3"], ["--workers", "-3"]),
        (["-w", "many"], ["--workers", "many"]),
        (["--model", "magic"], ["--model", "magic", "sync"]),
        (["--idle-timeout", "-1"], ["--idle-timeout", "-1"]),
        (["--idle-timeout", "nan"], ["--idle-timeout"]),
        (["--drain-timeout", "inf"], ["--drain-timeout"]),
        (["--backlog", "99999"], ["--backlog"]),
        (["--max-frame", "5 apples"], ["--max-frame", "16M"]),
        (["--max-frame", "9G"], ["--max-frame", "out of range"]),
        (["--max-buffered", "-1"], ["--max-buffered", "16M"]),
        (["--unix-mode", "888"], ["--unix-mode", "octal"]),
        (["--bind", "nowhere"], ["--bind", "HOST:PORT"]),
        (["--threads", "0"], ["--threads", "0"]),
        (["--queue", "-1"], ["--queue", "-1"]),
        (["--max-requests", "-1"], ["--max-requests", "-1"]),
        (["--timeout", "nan"], ["--timeout"]),
        (["--reclaim-idle", "soon"], ["--reclaim-idle", "soon"]),
        (["--control", "@name"], ["--control", "none"]),
        (["--control", ""], ["--control", "none"]),
        (["--metrics", "9100"], ["--metrics", "HOST:PORT"]),
        (["--metrics", "unix:/x"], ["--metrics", "HOST:PORT"]),
        (["--proxy-protocol", "balancer"], ["--proxy-protocol", "networks"]),
        (["--health", "9100"], ["--health", "HOST:PORT"]),
        (["--health", "line+tcp://127.0.0.1:1"], ["--health", "framing"]),
        (["--wrokers", "3"], ["--wrokers", "--workers"]),
        (["a.py", "b.py"], ["b.py"]),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], names: list[str]) -> None:
    message = str(problem(*arguments))
    assert [name for name in names if name not in message] == []


def test_a_wrong_value_of_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPCSERVER_READ_TIMEOUT", "soon")
    message = str(problem())
    assert "RPCSERVER_READ_TIMEOUT" in message
    assert "soon" in message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\nworkers = 0\n", 2, "--workers"),
        ('# a comment\n\nworkers = "four"\n', 3, "is a whole number, not a text"),
        ("workers = true\n", 1, "is a whole number, not true or false"),
        ("workers = 2.5\n", 1, "is a whole number, not a number"),
        ("debug = 1\n", 1, "debug is true or false, not a whole number"),
        ("idle-timeout = true\n", 1, "is a number, not true or false"),
        ("bind = [8080]\n", 1, "what is in bind is a text"),
        ("\n\nbind = ['nowhere']\n", 3, "HOST:PORT"),
        ("drain-timeot = 3\n", 1, "drain-timeot means nothing (did you mean drain-timeout?)"),
        ("[server]\nworkers = 3\n", 1, "server means nothing (--config-reference prints what there is)"),
        ("link-fd = 3\n", 1, "link-fd means nothing"),
        ("workers = 1\nworkers = \n", 2, "this is not TOML at column 11"),
        ('log-level = "info\nworkers = 1\n', 1, "the quote is not closed on its line"),
    ],
)
def test_a_wrong_line_of_a_file_is_named_with_its_number(tmp_path: Path, text: str, line: int, says: str) -> None:
    config = file(tmp_path, text)
    error = problem(config=config)
    assert (error.source, error.line) == (config, line)
    assert str(error).startswith(f"{config}:{line}: ")
    assert says in error.reason


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert str(missing) in str(problem(config=missing))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(problem(config=binary))


@pytest.mark.parametrize("value", [pytest.param("[" * 5000, id="deep"), pytest.param("9" * 5000, id="long")])
def test_what_python_cannot_hold_is_an_error_of_the_file(tmp_path: Path, value: str) -> None:
    config = file(tmp_path, f"workers = {value}\n")
    assert str(problem(config=config)).startswith(f"{config}: this is not TOML: ")


@pytest.mark.parametrize(
    ("text", "size"), [("2", 2), ("64K", 65536), ("64 KiB", 65536), ("16m", 16 << 20), ("1GB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "1", "0", "-5", "1T", "4G", "1.5M", "٣K"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|range"):
        parse_size(text)


@pytest.mark.parametrize(("text", "mode"), [("600", 0o600), ("0660", 0o660), ("0o777", 0o777)])
def test_modes(text: str, mode: int) -> None:
    assert parse_mode(text) == mode


@given(st.text(), st.text(min_size=1))
def test_finding_a_line_never_fails(text: str, key: str) -> None:
    line = line_of(text, key)
    assert line is None or key in text.splitlines()[line - 1]


@given(st.dictionaries(st.sampled_from(["workers", "debug", "other"]), st.integers() | st.booleans()))
def test_a_file_is_either_read_or_refused(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    config = file(
        tmp_path_factory.mktemp("toml"), "".join(f"{key} = {value!s}\n".lower() for key, value in values.items())
    )
    try:
        found = read_file(config, {"workers": int, "debug": bool})
    except SettingsError as error:
        assert error.line is not None
        assert re.match(r"(workers|debug|other) (is|means)", error.reason)
    else:
        assert found == values


@pytest.mark.samples(3)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize(("to", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
@pytest.mark.parametrize(
    ("arguments", "unbuffered", "by"),
    [
        (("--help",), "", "rpcserver"),
        (("--version",), "1", "rpcserver"),
        (("--config-reference",), "", "rpcserver"),
        (("--completion", "bash"), "", "rpcserver"),
        (("--check",), "", "rpcserver"),
        (("--man",), "", "rpcshell"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_what_is_asked_for_and_cannot_be_written_is_no_success(
    arguments: tuple[str, ...], unbuffered: str, by: str, to: str, why: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {to}', "sh", sys.executable, "-m", "rpcserver", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, f"{by}: the output cannot be written: {why}\n")


def test_a_file_may_begin_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    assert settings(config=file(tmp_path, "\ufeffworkers = 3\n")).workers == 3
    wrong = problem(config=file(tmp_path, "\ufeffworkers = 0\n"))
    assert wrong.line == 1
