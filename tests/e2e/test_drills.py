"""Drills in a real terminal."""

import re

import pytest

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal, wait_until_ended
from tests.servers import needs_server

pytestmark = needs_server


def test_a_drill_is_completed_watched_and_ended_with_ctrl_c(terminal: Terminal) -> None:
    address = spawn(terminal, "2")
    terminal.send(f":drill kill {TAB}")
    terminal.wait_for(r"^\S+> :drill kill *\n +1\s*\n +2\s")
    terminal.send(CTRL_C)
    terminal.wait_for(rf"{re.escape(address)}> $")
    terminal.mark()
    terminal.send(f":drill kill 2{ENTER}")
    died = terminal.wait_for(r"^ +\d+\.\d ms  worker 2 \(pid (\d+)\) died of SIGKILL$")
    wait_until_ended({int(died[1])})
    ready = terminal.wait_for(r"^ +\d+\.\d ms  worker 2 \(pid (\d+)\) is READY$")
    assert ready[1] != died[1]
    # One is lost where the worker is killed in the middle of it.
    terminal.wait_for(r"^\d+ calls of ping meanwhile: \d+ lost")
    terminal.wait_for(rf"^recovered after \d.* m?s\nWorker 2 \(pid {died[1]}\) was killed by SIGKILL; pid {ready[1]} ")
    terminal.wait_for(rf"was killed[\s\S]*\n{re.escape(address)}> $")

    terminal.send(f":drill hold 3 -d 60{ENTER}")
    terminal.wait_for(r"ms  connection \d is held by worker \d \(pid \d+\)")
    terminal.wait_for(r"ms  2 open, 1 waiting to be let in; a normal call has")
    terminal.send(CTRL_C)
    terminal.wait_for(rf"stopped by Ctrl-C$[\s\S]*held, and let go before the time\.\n{re.escape(address)}> ")
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_another_shells_server_is_harmed_only_after_a_yes(terminal: Terminal) -> None:
    address = spawn(terminal, "3")
    with Terminal(terminal.home) as other:
        other.wait_for(r"^rpcshell> ")
        other.send(f":connect {address}{ENTER}")
        other.wait_for(r"^connected to ")
        other.send(f":drill kill 1{ENTER}y")
        other.wait_for(rf"^{address} was not started by this shell\.\nSend SIGKILL to worker 1\? \[y/n\]$")
        other.send("n")
        other.wait_for(rf"cancelled: nothing was done\n{address}> y")
        other.send(CTRL_C)
        other.wait_for(rf"\n{address}> $")
        other.send(f":drill kill 1{ENTER}")
        other.wait_for(r"nothing was done[\s\S]*worker 1\? \[y/n\]")
        other.send("y")
        other.wait_for(r"died of SIGKILL")
        other.wait_for(r"took its place")
        assert leave(other) == 0
    assert leave(terminal) == 0
