"""Paths in a line, those that the system's shell is given among them."""

import sys
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


@pytest.mark.parametrize("place", ["unix:", "qmp:unix:", "jsonrpc+line:unix:"])
def test_sockets_of_targets(tmp_path: Path, place: str) -> None:
    for name in ("a.sock", "b c"):
        (tmp_path / name).touch()
    assert texts(f":connect {place}{tmp_path}/|") == [f"{place}{tmp_path}/a.sock", f"'{place}{tmp_path}/b c'"]
    assert texts(f":connect '{place}{tmp_path}/b |") == [f"'{place}{tmp_path}/b c'"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no such files")
def test_sockets_whose_names_are_no_utf8_are_offered_as_they_can_be_typed(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    (folder / "\udcff.sock").touch()
    (folder / "a\nb").touch()
    written = f"unix:{tmp_path}/caf\\udce9/"
    assert texts(f":connect unix:{tmp_path}/|") == [f"'{written}'"]
    assert texts(f":connect '{written}|") == [f"'{written}\\udcff.sock'"]
    # As a file of a command they cannot be typed.
    assert texts(f":spawn {tmp_path}/|") == []
