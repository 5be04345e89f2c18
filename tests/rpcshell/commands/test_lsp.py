"""`:lsp`: the files that a language server knows from the shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import NotConnected, UsageError
from rpcshell.shell.config import Config
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.shell.target_config import TargetConfig
from tests.rpcshell.client.test_lsp import serve
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.content_length_peer import speaking
from tests.rpcshell.peers import echo, serving


@pytest.fixture
def connected(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    (tmp_path / "a.py").write_text("a\n")
    (tmp_path / "b c.py").write_text("b\n")
    monkeypatch.chdir(tmp_path)
    with serving(speaking(serve)) as server:
        shell.execute(f":connect lsp:{server.target}")
        yield shell
        shell.session.disconnect()


def listed(shell: Shell, output: Recording) -> str:
    shell.execute(":lsp")
    return output.texts.pop() if output.texts else output.notes[-1]


def test_files_are_opened_listed_and_closed(connected: Shell, output: Recording) -> None:
    output.texts.clear()
    assert listed(connected, output) == "no file is open"
    connected.execute(":lsp open a.py 'b c.py'")
    assert output.notes[-2:] == ["a.py is open", "b c.py is open"]
    assert listed(connected, output).splitlines()[2:] == ["a.py", "b c.py"]
    connected.execute("textDocument/hover file=a.py line=0 character=0")
    connected.execute(":lsp close a.py")
    assert listed(connected, output).splitlines()[2:] == ["b c.py"]
    with pytest.raises(UsageError, match=r"a\.py is not open"):
        connected.execute(":lsp close a.py")
    with pytest.raises(UsageError, match="No such file"):
        connected.execute(":lsp open nope.py")
    with pytest.raises(UsageError, match="open which file"):
        connected.execute(":lsp open")


def test_programs_get_a_list(connected: Shell, output: Recording) -> None:
    connected.settings.set("format", "json")
    connected.interactive = False
    connected.execute(":lsp open a.py")
    connected.execute(":lsp")
    assert output.values[-1][1] == ["a.py"]


def test_other_servers_have_no_such_files(shell: Shell) -> None:
    with pytest.raises(NotConnected):
        shell.execute(":lsp")
    with serving(echo) as server:
        shell.execute(f":connect {server.target} --plain")
        with pytest.raises(UsageError, match="is no language server"):
            shell.execute(":lsp open a.py")


def test_settings_are_those_of_the_target_in_the_configuration() -> None:
    asked = {"method": "workspace/configuration", "params": {"items": [{"section": "a"}]}}
    with serving(speaking(serve)) as server:
        found = TargetConfig(address=str(server.target), dialect="lsp", options={"settings": {"a": 1}})
        wrong = TargetConfig(address=str(server.target), dialect="lsp", options={"setting": {}})
        session = Session(background=False, config=Config({"code": found, "wrong": wrong}))
        session.connect("code")
        assert session.call("ask", asked).result == [1]
        with pytest.raises(UsageError, match=r"options of the target make no sense: .*`setting`"):
            session.connect("wrong")
        session.close()
