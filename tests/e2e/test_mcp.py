"""An MCP server at the prompt, in a real terminal."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests import peers
from tests.e2e.shells import leave, wait_for_calls
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal

pytestmark = pytest.mark.thorough

SERVER = Path(peers.__file__).parent / "mcp_server.py"


@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the extra `peers` is not installed")
def test_an_mcp_server_is_completed_called_and_left(terminal: Terminal) -> None:
    terminal.resize(30, 100)
    os.mkfifo(terminal.home / "called")
    terminal.send(f":connect mcp:exec:{sys.executable} {SERVER} stdio{ENTER}")
    terminal.wait_for(r"mcp_server\.py.*> +$")
    terminal.send("pai")
    terminal.wait_for(r"^ +paint +Paint a door\.")
    terminal.send(TAB + ' {"door": {"colour": "')
    terminal.wait_for(r'^ +"red"')
    terminal.send('g"}}' + ENTER)
    terminal.wait_for(r"Input should be 'red' or 'green'")
    terminal.wait_until_keys()
    terminal.send("prompt:greet who=")
    terminal.wait_for(r"^ +Ada\b")
    terminal.send("Ad" + TAB + ENTER)
    terminal.wait_for(r'"hi Ada"')
    terminal.wait_until_keys()
    terminal.mark()
    terminal.send(f"sleep{ENTER}")
    wait_for_calls(terminal)
    terminal.send(CTRL_C)
    terminal.wait_for("cancelled")
    terminal.wait_until_keys()
    terminal.send(f"was_cancelled{ENTER}")
    terminal.wait_for(r"true")
    terminal.wait_until_keys()
    terminal.send(f"chatter{ENTER}")
    terminal.wait_for('"printed"')
    assert "starting" not in terminal.all_text
    assert leave(terminal) == 0
