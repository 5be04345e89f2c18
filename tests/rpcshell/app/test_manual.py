"""The manual as `--man` shows it and as the wheel has it."""

from __future__ import annotations

import pytest

from hatch_build import with_links
from rpcserver.options import command as rpcserver
from rpcshell.app.arguments import command as rpcshell
from rpcshell.app.arguments import read_arguments
from rpcshell.app.manual import pages
from rpcshell.client.errors import UsageError
from rpcshell.guides import GUIDES, guide_files


def test_every_option_and_guide_is_in_a_page() -> None:
    commands = {"rpcshell": rpcshell, "rpcserver": rpcserver}
    found = pages(commands)
    assert len(found) == len(GUIDES)
    for program, command in commands.items():
        for option in command.params:
            for name in option.opts:
                assert not name.startswith("--") or name.replace("-", r"\-") in found[f"{program}.1"]
    assert "SIGTTIN" in found["rpcserver.1"]
    assert "SIGTTIN" not in found["rpcshell.1"]


def test_the_manual_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arguments(["--man"]) is None
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: rpcshell")
    assert "The language of the shell" in shown
    assert "rpcshell --man fleet" in shown


def test_a_guide_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arguments(["--man", "fleet"]) is None
    assert capsys.readouterr().out.startswith("Calling several servers as one\n")
    with pytest.raises(UsageError, match="not one of 'rpcshell', 'rpcserver', 'tour'"):
        read_arguments(["--man", "8080"])


def test_the_servers_manual_has_the_names_of_its_command_and_of_its_guide(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arguments(["--man", "rpcserver"]) is None
    shown = capsys.readouterr().out
    assert "SIGTTIN" in shown
    assert read_arguments(["--man", "server"]) is None
    assert capsys.readouterr().out == shown


def test_a_page_tells_where_the_files_are_that_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arguments(["--man", "systemd"]) is None
    assert capsys.readouterr().out.endswith("".join(f"  {file}\n" for file in guide_files("systemd")))
    assert "rpcshell \\-\\-man systemd" in pages({})["rpcshell-systemd.7"]
    assert "Files" not in pages({})["rpcshell-fleet.7"]


def test_links_lead_to_the_source_or_are_their_text() -> None:
    readme = "![a picture](a.svg) [a guide](guides/a.md) [another page](https://example.org/)\n"
    at = "https://example.org/us/it"
    assert with_links(readme, at) == (
        f"![a picture]({at}/raw/HEAD/a.svg) [a guide]({at}/blob/HEAD/guides/a.md) [another page](https://example.org/)\n"
    )
    assert with_links(readme, "") == " a guide [another page](https://example.org/)\n"
