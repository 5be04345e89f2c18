import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal, processes_of, wait_until_ended
from tests.servers import needs_server

pytestmark = needs_server


def load_processes(terminal: Terminal) -> set[int]:
    return {pid for pid, command in processes_of(terminal.home).items() if "rpcshell.lab.load.process" in command}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    # The report needs no pager here.
    with Terminal(tmp_path, rows=60) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        yield terminal


def test_a_run_is_watched_stopped_and_reported(terminal: Terminal) -> None:
    address = spawn(terminal)
    terminal.send(f":bench ping a=1 -c 2 -d 60{ENTER}")
    terminal.wait_for(r'^ping {"a":1} · 2 connections, closed loop · Ctrl-C stops$')
    terminal.wait_for(r"^\S+ +\d+%  \d+\.\d s\n[\d,]+ calls/s · p99 .*s · [\d,]+ calls$")
    assert len(load_processes(terminal)) == 1
    terminal.send(CTRL_C)
    terminal.wait_for(rf"Stopped after \d+\.\d s of 60 s[^>]*\n{re.escape(address)}> ")
    assert not load_processes(terminal)
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_a_shell_that_is_killed_takes_the_load_with_it(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f":bench -d 60 ping{ENTER}")
    terminal.wait_for(r"calls/s · p99")
    load = load_processes(terminal)
    assert load
    terminal.kill()
    wait_until_ended(load)
