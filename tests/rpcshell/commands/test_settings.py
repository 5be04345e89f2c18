import os
from pathlib import Path

import pytest

from rpcshell.client.errors import UsageError
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests import forks
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_set_alone_lists_all_with_what_they_do(
    shell: Shell, output: Recording, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shell.execute(":set format table")
    shell.execute(":set")
    lines = output.texts[0].splitlines()
    assert all(len(line) < columns for line in lines)
    for name in shell.settings.names:
        assert sum(line.startswith(f"{name} ") for line in lines) == 1
    assert [line.split()[:3] for line in lines if "table" in line.split()[:2]] == [["format", "table", "*"]]


def test_a_setting_is_changed_shown_and_put_back(shell: Shell, output: Recording) -> None:
    for line in (":set max-rows 5", ":set MAX_ROWS=7", ":set max_rows --default", ":set max_rows"):
        shell.execute(line)
    assert output.notes == ["max_rows is 5", "max_rows is 7", "max_rows is 1000"]
    assert output.texts[0].startswith("max_rows is 1000: rows of a table")
    assert "any number, such as 0, 100, 1000" in output.texts[0]
    shell.execute(":set time off")
    shell.execute(":set --default")
    assert shell.settings.time


def test_what_cannot_be_set_is_refused_with_what_can(shell: Shell) -> None:
    with pytest.raises(UsageError, match="auto, json, table or raw"):
        shell.execute(":set format xml")
    with pytest.raises(UsageError, match="did you mean timeout"):
        shell.execute(":set timout 5")


@needs_server
def test_what_is_set_on_one_line_holds_for_the_next(tmp_path: Path) -> None:
    lines = (":set format table", "whoami", ":set timeout 0.05", "sleep seconds=0.3")
    done = forks.run(
        "rpcshell",
        ["--spawn", "1", *(word for line in lines for word in ("-c", line))],
        env=os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 3
    assert "no reply within 0.05 s" in done.stderr
    assert done.stdout.startswith("worker      1\n")


def test_a_script_that_sets_something_does_not_hear_of_it(shell: Shell, output: Recording) -> None:
    shell.interactive = False
    for line in (":set format raw", ":set time on", ":set --default"):
        shell.execute(line)
    assert output.notes == output.texts == []


def test_a_command_that_is_a_setting_by_now_says_so(shell: Shell) -> None:
    with pytest.raises(UsageError, match=":set time on"):
        shell.execute(":time off")


def test_settings_are_kept_where_that_is_asked_for(shell: Shell, output: Recording, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no configuration"):
        shell.execute(":set format raw --save")
    file = tmp_path / "config.toml"
    shell = shell.derived(settings=Settings(file=file))
    shell.execute(":set format json --save")
    shell.execute(":set indent 4")
    assert file.read_text() == '[settings]\nformat = "json"\n'
    shell.execute(":set --save")
    assert set(file.read_text().split("\n")) >= {'format = "json"', "indent = 4"}
    assert output.notes[-1].startswith("format, indent written into ")
