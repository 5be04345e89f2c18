"""A person at a varlink service: completion of nested params, calls, parts, errors, a call given up, leaving."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import forks
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, SHELL, TAB, Terminal, processes_of
from tests.rpcshell.varlink_peer import music, needs_varlink

pytestmark = [pytest.mark.thorough, needs_varlink]


def test_a_session_with_a_service(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "called")
    with music() as target, Terminal(tmp_path, (*SHELL, target), columns=140, rows=40) as terminal:
        terminal.wait_for(rf"^{re.escape(target)}> $")
        terminal.send(f":methods music{ENTER}")
        terminal.wait_for(r"^ +org\.example\.music\.Play +Begin to play")
        terminal.send(f":doc org.example.music.Play{ENTER}")
        terminal.wait_for(r"^ +track +Track +required +What to play$")
        terminal.wait_for(r"org\.example\.music\.NoSuchTrack$")
        terminal.mark()
        terminal.send('org.example.music.Play {"track": {')
        terminal.wait_for(r"^ +title +string · required *\n +tags +object · required *\n +length +number \| null")
        terminal.send('"title": "a", "tags": {}}, "order": ')
        terminal.wait_for(r'^ +"straight"')
        terminal.send(f"sh{TAB}}}{ENTER}")
        terminal.wait_for(r'^parameters \{"playing": "a shuffled"\}')
        terminal.send(f'org.example.music.Play track={{"title": "none", "tags": {{}}}}{ENTER}')
        terminal.wait_for(r"^error -32000: org\.example\.music\.NoSuchTrack")
        terminal.send(f"org.example.music.Watch count=2{ENTER}")
        terminal.wait_for(r'\{"position": 0\}(.|\n)*\{"position": 1\}(.|\n)*^parameters \{"position": 2\}')
        terminal.send(f"org.example.music.Watch:oneway count=2{ENTER}")
        terminal.wait_for(r"^sent null")
        terminal.send(f"org.example.music.Hang pipe={tmp_path}/called{ENTER}")
        (tmp_path / "called").read_text()
        terminal.wait_until_signals()
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the connection was closed, but the server may still be running it")
        terminal.mark()
        terminal.send(f"org.varlink.service.GetInfo{ENTER}")
        terminal.wait_for(r'"product": "music"')
        assert leave(terminal) == 0
        assert processes_of(tmp_path) == {}


def test_calls_of_one_line() -> None:
    with music() as target:
        argv = (target, "-c")
        found = forks.run("rpcshell", [*argv, "org.example.music.Watch count=1"])
        assert found.stdout == '{"position":0}\n{"position":1}\n'
        unnamed = (target.removeprefix("varlink:"), "org.example.music.Watch", '{"count": 1}')
        met = forks.run("rpcshell", unnamed)
        assert met.stdout == found.stdout
        wrong = 'org.example.music.Play {"track": {"title": "none", "tags": {}}}'
        refused = forks.run("rpcshell", [*argv, wrong])
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        sent = forks.run("rpcshell", [*argv, "org.example.music.Nope:oneway"])
        assert sent.stdout == "null\n"
