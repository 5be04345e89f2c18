"""Language servers and debug adapters that never greet, flood, or ask without end: one clear line, and a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import ENTER, SHELL, Terminal
from tests.rpcshell.client import test_dap as dap
from tests.rpcshell.client import test_lsp as lsp
from tests.rpcshell.content_length_peer import never, speaking
from tests.rpcshell.peers import serving

pytestmark = pytest.mark.thorough

HOSTILE = {
    "lsp": (lsp.flood, lsp.ask_on),
    "dap": (dap.flood, dap.ask_on),
}


@pytest.mark.parametrize("dialect", HOSTILE)
def test_the_prompt_lives(tmp_path: Path, dialect: str) -> None:
    with Terminal(tmp_path, (*SHELL, "--set", "suggestions=off"), columns=160) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":set timeout 0.3{ENTER}")
        terminal.wait_for("^timeout is 0.3")
        with serving(speaking(never)) as server:
            terminal.send(f":connect {dialect}:{server.target}{ENTER}")
            where = re.escape(f"{dialect}:{server.target}")
            terminal.wait_for(rf"^error: cannot connect to {where}: it did not greet within 0\.3 s")
            terminal.wait_until_keys()
        terminal.send(f":set timeout none{ENTER}")
        terminal.wait_for("^timeout is none")
        for converse in HOSTILE[dialect]:
            call_twice(terminal, dialect, converse)
        assert leave(terminal) == 0


def call_twice(terminal: Terminal, dialect: str, converse: Callable[..., Any]) -> None:
    """Connect to a server that does not stop talking, and have it answer all the same."""
    with serving(speaking(converse)) as server:
        for line in (f":connect {dialect}:{server.target}", "mine {}", "mine {}"):
            terminal.mark()
            terminal.send(f"{line}{ENTER}")
            terminal.wait_for(r"^connected to" if line.startswith(":") else r"^result ")
            terminal.wait_until_keys()
        terminal.send(f":disconnect{ENTER}")
        terminal.wait_for(r"^rpcshell> $")
        terminal.wait_until_keys()
