"""Settings that are kept: the configuration they are written into stays as its owner has laid it out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.errors import UsageError
from rpcshell.shell.config_text import parse_config
from rpcshell.shell.config_writing import _with_setting, save_settings
from rpcshell.view.settings import Settings

_LAID_OUT = """\
# mine
[targets]
dev = "8080"   # here

[settings]     # how it looks
format = 'raw' # for pipes
max-rows = 5

[aliases]
w = ":watch 1"
"""


def settings_with(**values: str) -> Settings:
    settings = Settings()
    for name, value in values.items():
        settings.set(name, value)
    return settings


def test_a_file_keeps_its_comments_and_gets_what_is_set(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(_LAID_OUT)
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    written = save_settings(link, settings_with(format="table", time="off", timeout="2.5").items())
    assert written == ["format", "max_rows", "time", "timeout"]
    wanted = _LAID_OUT.replace("'raw'", '"table"').replace("max-rows = 5", "max-rows = 1000")
    head = "[settings]     # how it looks\n"
    assert file.read_text() == wanted.replace(head, f'{head}timeout = "2.5"\ntime = false\n')
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "rpcshell" / "config.toml"
    save_settings(file, settings_with(theme="monokai").items())
    assert file.read_text() == '[settings]\ntheme = "monokai"\n'
    assert parse_config(file, file.read_text()).settings == {"theme": "monokai"}


def test_a_file_begins_and_its_rows_end_as_before(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b'\xef\xbb\xbf[settings]\r\nformat = "raw" # mine\r\n')
    save_settings(file, settings_with(format="table", timeout="2.5").items())
    assert file.read_bytes() == b'\xef\xbb\xbf[settings]\r\ntimeout = "2.5"\r\nformat = "table" # mine\r\n'


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="no file that settings can be kept in"):
        save_settings(pipe, settings_with(format="table").items())
    assert pipe.is_fifo()


@pytest.mark.parametrize("text", ["settings = {format = 'raw'}\n", "settings.format = '''raw'''\n"])
def test_what_its_owner_alone_can_change_is_left_and_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match='format = "table"'):
        save_settings(file, settings_with(format="table").items())
    assert file.read_text() == text


@given(st.text("[]settingsformat='\"\n =.#", max_size=60))
def test_no_text_loses_another_line(text: str) -> None:
    before, after = text.split("\n"), _with_setting(text, "format", '"raw"').split("\n")
    assert len([line for line in before if line.strip() and line not in after]) <= 1
