"""What the `rpcserver` command does beside serving: checks, references, completion, and the short options."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rpcserver.cli import parse
from rpcserver.config_reference import NOT_IN_FILES, config_reference
from rpcserver.foreign_options import HERE, OTHERWISE
from rpcserver.options import command
from rpcserver.run import check_server
from rpcserver.system.errors import AppFailed, AppNotFound, ServiceError, TlsError
from rpcserver.system.settings import ServerSettings, SettingsError, default_workers
from tests.servers import PATIENCE


@pytest.mark.parametrize(("option", "says"), [("-h", "Usage: rpcserver"), ("-V", "rpcserver ")])
def test_short_options_are_those_that_everyone_tries(option: str, says: str) -> None:
    # A process of its own: what the command is asked first decides what it takes later.
    command_line = [sys.executable, "-m", "rpcserver", option]
    asked = subprocess.run(command_line, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(says)


def test_the_reference_changes_nothing_as_it_is_and_is_right_without_its_comment_marks(tmp_path: Path) -> None:
    text = config_reference(command)
    file = tmp_path / "server.toml"
    file.write_text(text)
    as_it_is = parse([], file)
    assert as_it_is is not None
    assert as_it_is.settings == ServerSettings(workers=default_workers(concurrent=False))
    whole = re.sub(r"(?m)^# (?=[\w-]+ = )", "", text)
    file.write_text(whole)
    changed = parse([], file)
    assert changed is not None
    assert changed.settings.app == "calc.py:service"
    names = {name.replace("-", "_") for name in re.findall(r"(?m)^([\w-]+) = ", whole)}
    assert names == {parameter.name for parameter in command.params} - NOT_IN_FILES


def test_a_check_tells_what_would_be_served_and_listens_nowhere(tmp_path: Path) -> None:
    app = tmp_path / "checked_app.py"
    app.write_text("service = {'a': lambda: 1}\n")
    assert check_server(ServerSettings(app=str(app))) == f"ok: {app}, 1 method, 1 sync worker on 127.0.0.1:8080"
    app.write_text("1 / 0\n")
    with pytest.raises(AppFailed, match="division by zero"):
        check_server(ServerSettings(app=str(app)))
    app.write_text("service = {'a': lambda *args: 1}\n")
    with pytest.raises(ServiceError, match="name each parameter"):
        check_server(ServerSettings(app=str(app)))
    with pytest.raises(AppNotFound, match="there is no file"):
        check_server(ServerSettings(app=str(tmp_path / "none.py")))
    with pytest.raises(TlsError):
        check_server(ServerSettings(tls_cert=tmp_path / "none.pem"))


def test_a_check_that_fails_ends_as_the_server_would(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rpcserver", "--check", "none.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "rpcserver: there is no file none.py; check the path\n"


def test_options_are_completed_by_the_script_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--completion", "bash"], None) is None
    script = capsys.readouterr().out
    assert "_RPCSERVER_COMPLETE=bash_complete" in script
    environment = {
        **os.environ,
        "_RPCSERVER_COMPLETE": "bash_complete",
        "COMP_WORDS": "rpcserver --mod",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "rpcserver"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("plain,--model\n", "")


def test_the_manual_is_the_guide_that_the_shell_has() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rpcserver", "--man"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("The server\n")


def test_a_choice_that_is_none_leads_to_the_near_one() -> None:
    with pytest.raises(SettingsError, match=r"did you mean info\?"):
        parse(["--log-level", "inf"], None)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["-k", "gevent"], "there is no option -k: here it is --model"),
        (["--check-config"], "there is no option --check-config: here it is --check"),
        (["--daemon"], "there is no option --daemon: it stays in the foreground: let systemd run it"),
        (["--workers", "x"], "'x' is not a whole number"),
    ],
)
def test_habits_of_other_servers_lead_on(option: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(option, None)


def test_advice_on_options_of_other_servers_names_options_that_are_there_and_none_that_are() -> None:
    there = {name for parameter in command.params for name in parameter.opts}
    assert there.isdisjoint({*HERE, *OTHERWISE})
    assert {words.split(",")[0].split()[0] for words in HERE.values()} <= there


def test_a_configuration_comes_from_a_pipe_that_somebody_writes_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SettingsError, match="it cannot be read: nobody writes to this pipe"):
        parse([], pipe)
    for written, says in (("workers = 3\n", None), ("log-level = 'x'\n", "/dev/fd/.*'x' is not one of")):
        reader, writer = os.pipe()
        with os.fdopen(reader), os.fdopen(writer, "w") as stream:
            stream.write(written)
            stream.close()
            if says is None:
                invocation = parse([], Path(f"/dev/fd/{reader}"))
                assert invocation is not None
                assert invocation.settings.workers == 3
            else:
                with pytest.raises(SettingsError, match=says):
                    parse([], Path(f"/dev/fd/{reader}"))


def test_a_configuration_in_python_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text("import os\n")
    with pytest.raises(SettingsError, match="settings are TOML here, no Python"):
        parse([], file)
