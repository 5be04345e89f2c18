"""A person at Kodi: completion of a nested param, calls, errors, notifications, a call given up, leaving."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, PATIENCE, SHELL, TAB, Terminal, processes_of
from tests.rpcshell.kodi_peer import Kodi
from tests.rpcshell.peers import serving

pytestmark = pytest.mark.thorough


def test_a_session_with_kodi(tmp_path: Path) -> None:
    kodi = Kodi()
    with serving(kodi) as server, Terminal(tmp_path, (*SHELL, f"kodi:{server.target}"), columns=140) as terminal:
        terminal.wait_for(rf"^kodi:{re.escape(str(server.target))}> $")
        terminal.send(f":methods Player{ENTER}")
        terminal.wait_for(r"^ +Player\.Seek +Seek through the playing item")
        terminal.mark()
        terminal.send('Player.Seek playerid=1 value={"')
        terminal.wait_for(r"^ +percentage +")
        terminal.send(f"st{TAB}")
        terminal.wait_for(r'value=\{"step": ')
        terminal.wait_for(r'^ +"smallforward" *\n +"smallbackward"')
        terminal.send(CTRL_C)
        terminal.mark()
        terminal.send(f"Application.SetVolume volume=33{ENTER}")
        terminal.wait_for(r"^result 33$")
        terminal.wait_for(r"^<- Application\.OnVolumeChanged$")
        terminal.send(f"Application.SetVolume volume=loud{ENTER}")
        terminal.wait_for(r"^error -32602: Invalid params\.")
        terminal.send(f":wait Player.{TAB}")
        terminal.wait_for(":wait Player.OnPlay")
        terminal.send(CTRL_C)
        terminal.mark()
        terminal.send(f"VideoLibrary.Scan{ENTER}")
        assert kodi.hung.wait(PATIENCE)
        terminal.wait_until_signals()
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the session goes on, but the server cannot be asked to end it")
        terminal.send(f"JSONRPC.Ping{ENTER}")
        terminal.wait_for(r'^result "pong"$')
        assert leave(terminal) == 0
        assert processes_of(tmp_path) == {}
