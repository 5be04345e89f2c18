"""A person at mpv: properties completed, an event, an error, a command given up, leaving."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import forks
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, SHELL, TAB, Terminal
from tests.rpcshell.mpv import needs_mpv, player

pytestmark = [pytest.mark.thorough, needs_mpv]


def test_a_session_with_a_player(tmp_path: Path) -> None:
    with player() as target, Terminal(tmp_path, (*SHELL, target), columns=120, rows=30) as terminal:
        terminal.wait_for(rf"^{re.escape(target)}> $")
        terminal.wait_for(r"mpv · mpv 0\.\S+ · \d+ commands · Tab completes")
        terminal.send("observe_property id=1 name=volu")
        terminal.wait_for("^ +volume *\n")
        terminal.send(TAB)
        terminal.wait_for("name=volume ?$")
        terminal.mark()
        terminal.send(f" {ENTER}")
        terminal.wait_for(r"^data null$")
        terminal.send("set_property name=keep-open value=al")
        terminal.wait_for("^ +always *\n")
        terminal.send(TAB)
        terminal.wait_for("value=always ?$")
        terminal.mark()
        terminal.send(f" {ENTER}")
        terminal.wait_for(r"^data null$")
        terminal.send(f"set_property name=volume value=42{ENTER}")
        terminal.wait_for("^<- property-change")
        terminal.send(f":wait property-change name=volume data=42{ENTER}")
        terminal.wait_for(r'^  "params": {"id": 1, "name": "volume", "data": 42')
        terminal.send(f"get_property name=nope{ENTER}")
        terminal.wait_for("^error -32000: property not found")
        os.mkfifo(called := tmp_path / "called")
        slow = f'{{"args":["sh","-c","echo >{called}; exec sleep 60"],"playback_only":false}}'
        terminal.send(f"subprocess {slow}{ENTER}")
        assert called.read_text() == "\n"
        terminal.wait_until_signals()
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the session goes on, but the server cannot be asked to end it")
        terminal.mark()
        # It runs on, and nothing waits for it.
        terminal.send(f"get_property name=volume{ENTER}")
        terminal.wait_for(r"^data 42\.0+$")
        assert leave(terminal) == 0


def test_a_call_of_one_line() -> None:
    with player() as target:
        argv = (target, "-c")
        found = forks.run("rpcshell", [*argv, 'get_property ["volume"]'])
        assert found.stdout == "100.000000\n"
        failed = forks.run("rpcshell", [*argv, "nope"])
        assert (failed.returncode, failed.stderr) == (1, "rpcshell: nope: error -32000: invalid parameter\n")
