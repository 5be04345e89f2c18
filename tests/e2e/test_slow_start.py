"""Children that take their time to start, as those that are fetched first do: what is seen meanwhile, and Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, SHELL, Terminal

SERVER = r"""
import json, sys

print("fetching \x1b[2J", file=sys.stderr, flush=True)
open("go").read()
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "structuredContent": {"a": 1}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
"""An MCP server that begins once somebody has written to a pipe."""

WAITING = r"^connecting to mcp:exec:.* for \d+ s · Ctrl-C cancels · fetching \\x1b\[2J$"


def starting(home: Path, *options: str) -> Terminal:
    """A shell that waits for such a server."""
    (home / "s.py").write_text(SERVER)
    os.mkfifo(home / "go")
    command = (*SHELL, "mcp", *options, "--", sys.executable, "s.py")
    return Terminal(home, command, columns=300)


def go(home: Path) -> None:
    with (home / "go").open("w") as pipe:
        pipe.write("x")


@pytest.mark.thorough
def test_a_child_that_is_silent_at_start_is_waited_for_in_one_line(tmp_path: Path) -> None:
    with starting(tmp_path) as terminal:
        terminal.wait_for(WAITING)
        go(tmp_path)
        terminal.wait_for(r"^\S* s\.py> $")
        assert "connecting" not in terminal.text
        terminal.send(f"t{ENTER}")
        terminal.wait_for(r'^result \{"a": 1\}')
        assert "\x1b[2J" not in terminal.raw.decode()
        leave(terminal)


def test_waiting_for_a_child_is_ended_by_a_key(tmp_path: Path) -> None:
    with starting(tmp_path) as terminal:
        terminal.wait_for(WAITING)
        terminal.send(CTRL_C)
        terminal.wait_for(r"^error: cancelled while connecting\n\S+ \S+ \(lost\)> $")
        terminal.send(f"t{ENTER}")
        terminal.wait_for(WAITING)
        terminal.mark()
        go(tmp_path)
        terminal.wait_for(r'^result \{"a": 1\}')
        leave(terminal)


def test_a_single_line_waits_in_the_same_way(tmp_path: Path) -> None:
    with starting(tmp_path, "-c", "t") as terminal:
        terminal.wait_for(WAITING)
        go(tmp_path)
        terminal.wait_for(r'^\{"a":1\}$')
        assert terminal.wait_for_exit() == 0
        assert "connecting" not in terminal.text


@pytest.mark.thorough
def test_a_single_line_is_ended_while_it_waits(tmp_path: Path) -> None:
    with starting(tmp_path, "-c", "t") as terminal:
        terminal.wait_for(WAITING)
        terminal.send(CTRL_C)
        assert terminal.wait_for_exit() == 130
        assert "connecting to" not in terminal.text
