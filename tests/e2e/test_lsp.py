"""A language server at the prompt, in a real terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal

pytestmark = pytest.mark.thorough

SERVER = Path(sys.executable).parent / "jedi-language-server"


@pytest.mark.skipif(not SERVER.exists(), reason="there is no jedi-language-server, of the extra `peers`")
def test_a_language_server_is_completed_called_and_left(terminal: Terminal) -> None:
    terminal.resize(30, 110)
    (terminal.home / "greeting.py").write_text('def greet():\n    """Say hello."""\n\n\ngreet()\n')
    # What the server reads is seen as well.
    terminal.send(f":connect lsp -- sh -c 'tee read | {SERVER}'{ENTER}")
    terminal.wait_for(r"^lsp · jedi-language-server [\d.]+ · \d+ methods")
    terminal.send(":methods textDocument/h" + ENTER)
    terminal.wait_for(r"^ +textDocument/hover +What is at a position")
    terminal.wait_until_keys()
    terminal.send(":lsp" + ENTER)
    terminal.wait_for("^no file is open")
    terminal.wait_until_keys()
    terminal.send("textDocument/hover file=gre")
    terminal.wait_for(r"^ +greeting\.py")
    terminal.send(TAB + " line=4 character=1" + ENTER)
    terminal.wait_for("Say hello")
    terminal.wait_for("^<- textDocument/publishDiagnostics")
    terminal.wait_until_keys()
    terminal.send(":lsp" + ENTER)
    terminal.wait_for(r"^greeting\.py$")
    terminal.wait_until_keys()
    terminal.send('textDocument/completion {"file": "greeting.py", "line": 4, "character": 1, "context": {"trig')
    terminal.wait_for(r"^ +triggerCharacter +string")
    terminal.send(CTRL_C)
    terminal.wait_until_keys()
    # It never answers that, and says so by an event only.
    terminal.send("textDocument/hover x=1" + ENTER)
    while b'"x":1' not in (terminal.home / "read").read_bytes():
        os.sched_yield()
    terminal.send(CTRL_C)
    terminal.wait_for("cancelled: the server was asked to end it, and the session goes on")
    terminal.wait_until_keys()
    terminal.wait_for("^<- .*window/showMessage")
    terminal.send("nope {}" + ENTER)
    terminal.wait_for("^error -32601: Method Not Found: nope")
    terminal.wait_until_keys()
    terminal.send(":lsp close greeting.py" + ENTER)
    terminal.wait_for(r"^greeting\.py is closed")
    assert leave(terminal) == 0
