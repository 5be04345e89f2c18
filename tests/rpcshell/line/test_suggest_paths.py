"""Paths in a line, those that the system's shell is given among them."""

from pathlib import Path

import pytest

from rpcshell.line.language import parse
from rpcshell.line.suggest import PathChoice, Surroundings, suggest
from tests.rpcshell.line.test_suggest import texts


@pytest.mark.parametrize(("line", "offered"), [("!cat /a", ["/ax"]), ("!ca", []), ("!cat ", [])])
def test_what_the_command_is_given_may_be_a_path(line: str, offered: list[str]) -> None:
    around = Surroundings(paths=lambda typed: [PathChoice(f"{typed}x", "x", "file")])
    assert [found.text for found in suggest(parse(line), len(line), around)] == offered


def test_the_file_that_a_result_goes_to_is_completed(tmp_path: Path) -> None:
    (tmp_path / "out put.json").touch()
    assert texts(f"add [1, 2] > {tmp_path}/o|") == [f"'{tmp_path}/out put.json'"]
    assert texts(f'add [1, 2] >> "{tmp_path}/o|') == [f"'{tmp_path}/out put.json'"]
    assert texts(f":help > {tmp_path}/o|") == [f"'{tmp_path}/out put.json'"]
    assert texts("add [1, 2] | gre|") == []


def test_paths_are_listed_folders_with_a_slash(tmp_path: Path) -> None:
    for name in ("app.py", "a b.py", ".hidden", "other"):
        (tmp_path / name).touch()
    (tmp_path / "apps").mkdir()
    assert texts(f":spawn {tmp_path}/a|") == [f"'{tmp_path}/a b.py'", f"{tmp_path}/app.py", f"{tmp_path}/apps/"]
    assert texts(f":spawn {tmp_path}/.h|") == [f"{tmp_path}/.hidden"]
    assert f"{tmp_path}/.hidden" not in texts(f":spawn {tmp_path}/|")
    assert texts(f":spawn {tmp_path}/nowhere/|") == []
