"""LSP with servers that others wrote: pylsp and jedi-language-server (the extra `peers`), and pyright of npm."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from rpcshell import CallError, CallTimeout, Client, connect
from rpcshell.line.catalog import Catalog
from tests.peers.node import program
from tests.rpcshell.content_length_peer import connect_once_it_listens
from tests.rpcshell.peers import free_port
from tests.servers import PATIENCE

pytestmark = pytest.mark.thorough

BESIDE = Path(sys.executable).parent
PROGRAMS = {
    "pylsp": [str(BESIDE / "pylsp")],
    "jedi": [str(BESIDE / "jedi-language-server")],
    "pyright": [program("pyright-langserver") or "pyright-langserver", "--stdio"],
}
TEXT = '''def greet(name: str) -> str:
    """Say hello."""
    return f"hello {name}"


greet(1) + undefined
'''
CALL = {"file": "here.py", "line": 5, "character": 2}


SETTINGS = {
    "pylsp": {"pylsp": {"plugins": {"pycodestyle": {"enabled": True, "maxLineLength": 10}}}},
    "jedi": {},
    "pyright": {"python": {"analysis": {"diagnosticSeverityOverrides": {"reportUndefinedVariable": "warning"}}}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.py").write_text(TEXT)
    return tmp_path


def needs(name: str) -> str:
    """The target of a server, or the test is skipped where there is none."""
    found = PROGRAMS[name]
    if not Path(found[0]).exists():
        where = "nor is RPCSHELL_NODE_MODULES set" if name == "pyright" else "of the extra `peers`"
        pytest.skip(f"there is no {Path(found[0]).name}, {where}")
    return f"lsp:exec:{shlex.join(found)}"


def wait_for(client: Client, name: str) -> Any:
    return next(event for event in client.events(timeout=PATIENCE) if event.name == name)


def text_of(hover: Any) -> str:
    return str(hover["contents"]["value"])


@pytest.mark.parametrize("name", ["pylsp", "pyright", pytest.param("jedi", marks=pytest.mark.thorough)])
def test_a_server_heeds_settings_and_tells_of_a_file_and_of_what_has_changed_in_it(folder: Path, name: str) -> None:
    # One conversation: some of these servers take seconds to start.
    with connect(needs(name), connect_timeout=PATIENCE, options={"settings": SETTINGS[name]}) as client:
        offered = Catalog.from_openrpc(client.describe().document)
        assert {"textDocument/hover", "textDocument/references", "textDocument/didOpen"} <= offered.methods.keys()
        if name == "jedi":
            assert_a_call_that_is_never_answered_is_given_up(client)
        assert "Say hello" in text_of(client.call("textDocument/hover", CALL))
        found = client.call("textDocument/references", CALL)
        assert {place["range"]["start"]["line"] for place in found} == {0, 5}
        told = wait_for(client, "textDocument/publishDiagnostics")
        assert told.params["uri"] == (folder / "here.py").as_uri()
        assert_settings_are_heeded(name, told.params["diagnostics"])
        (folder / "here.py").write_text(TEXT.replace("Say hello", "Welcome somebody"))
        assert "Welcome somebody" in text_of(client.call("textDocument/hover", CALL))
        with pytest.raises(CallError) as caught:
            client.call("nope", {})
        assert caught.value.code == -32601


def assert_settings_are_heeded(name: str, diagnostics: list[dict[str, Any]]) -> None:
    if name == "pylsp":
        # Without its plugin it says nothing of style.
        assert all(one["code"] == "E501" for one in diagnostics if one["source"] == "pycodestyle")
    elif name == "pyright":
        severities = {one["code"]: one["severity"] for one in diagnostics}
        assert severities["reportUndefinedVariable"] == 2
        assert severities["reportArgumentType"] == 1


def assert_a_call_that_is_never_answered_is_given_up(client: Client) -> None:
    with pytest.raises(CallTimeout):
        client.call("textDocument/hover", {"x": 1}, timeout=0.1)
    assert wait_for(client, "window/showMessage").params["message"] == "Error in server: Invalid Params"


@contextmanager
def over_tcp(command: list[str], port: int) -> Iterator[Client]:
    """A client of a server that listens on a port, once it does."""
    with Popen([*command, "--tcp", "--host", "127.0.0.1", "--port", str(port)], stderr=DEVNULL) as process:
        try:
            with connect_once_it_listens(f"lsp:127.0.0.1:{port}", process) as client:
                yield client
        finally:
            process.kill()


def test_a_server_on_a_port(folder: Path) -> None:
    needs("pylsp")
    with over_tcp(PROGRAMS["pylsp"], free_port(held=False)) as client:
        assert "Say hello" in text_of(client.call("textDocument/hover", CALL))
