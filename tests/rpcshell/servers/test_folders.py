"""The shell's files where there is no home, or none that can be written to."""

from __future__ import annotations

import pwd
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

from rpcshell.app.cli import main
from rpcshell.client.errors import UsageError
from rpcshell.prompt.history import LineHistory, history_path
from rpcshell.prompt.programs import edit_text
from rpcshell.servers.folders import config_file, history_file, state_folder, user_path
from rpcshell.shell.config import Config
from rpcshell.shell.config_reading import load_config


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder where a user is who has no home and no entry in passwd(5)."""

    def unknown(_user: int) -> NoReturn:
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_home_there_are_no_files_and_the_shell_goes_on(homeless: Path) -> None:
    for find in (config_file, history_file, state_folder):
        with pytest.raises(OSError, match="no home"):
            find()
    assert load_config() == Config()
    assert user_path("~/calls.rpc") == Path("~/calls.rpc")
    problems: list[str] = []
    history = LineHistory(history_path, on_problem=problems.append)
    for line in ("ping 1", "ping 2"):
        history.append_string(line)
    assert history.get_strings() == ["ping 1", "ping 2"]
    assert problems == ["the history is not kept: this user has no home, and HOME is not set"]
    assert list(homeless.iterdir()) == []


def test_without_a_home_the_help_says_so(homeless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "(this user has no home, and HOME is not set)" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folders are in other places")
@pytest.mark.parametrize(("named", "where"), [(None, "home/.config"), ("xdg", "xdg"), ("relative", "home/.config")])
def test_the_folders_are_where_the_desktop_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str | None, where: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if named is not None:
        # One that is not absolute is to be ignored, says the specification.
        monkeypatch.setenv("XDG_CONFIG_HOME", named if named == "relative" else str(tmp_path / named))
    assert config_file() == tmp_path / where / "rpcshell/config.toml"
    assert history_file() == tmp_path / "home/.local/state/rpcshell/history"
    if named != "relative":
        # Older versions of platformdirs do not ignore it.
        assert Path(platformdirs.user_config_dir("rpcshell", appauthor=False)) == config_file().parent


def test_without_a_temporary_folder_a_line_cannot_be_edited_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VISUAL", "true")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="no place for a file to edit"):
        edit_text("ping")
