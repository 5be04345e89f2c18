"""Every way to leave the shell, and what is left behind."""

import os
import re
import signal
import termios
from pathlib import Path

import pytest

from tests.e2e.shells import hang, leave, spawn
from tests.e2e.terminal import CTRL_C, CTRL_D, ENTER, SHELL, Terminal, servers_of, wait_until_ended

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the server is for Linux only")


def test_closing_the_terminal_ends_the_server(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home) | {terminal.pid}
    terminal.hang_up()
    wait_until_ended(servers, 2)


def test_closing_the_terminal_ends_a_server_that_is_busy(terminal: Terminal) -> None:
    hang(terminal)
    servers = servers_of(terminal.home) | {terminal.pid}
    terminal.hang_up()
    wait_until_ended(servers, 2)


def test_a_killed_shell_takes_its_server_along(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home)
    terminal.kill()
    wait_until_ended(servers, 2)


def test_sigterm_leaves_the_terminal_and_no_server(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    wait_until_ended(servers, 2)


def test_a_server_that_is_busy_can_be_hurried_when_leaving(terminal: Terminal) -> None:
    hang(terminal)
    servers = servers_of(terminal.home)
    terminal.send(CTRL_C)
    terminal.wait_for("^error: cancelled")
    terminal.wait_until_keys()
    terminal.send(CTRL_D)
    terminal.wait_for("^stopping the server; Ctrl-C hurries it$")
    terminal.send(CTRL_C)
    assert terminal.wait_for_exit() == 0
    wait_until_ended(servers, 2)


def test_keep_leaves_the_server_running(terminal: Terminal) -> None:
    address = spawn(terminal, "1 --keep")
    servers = servers_of(terminal.home)
    try:
        assert leave(terminal) == 0
        assert re.search(rf"the server goes on at {re.escape(address)}, pid {min(servers)}", terminal.text)
        with Terminal(terminal.home, (*SHELL, address)) as second:
            second.wait_for(f"^{re.escape(address)}> ")
            second.send(f"ping 7{ENTER}")
            second.wait_for(r"^pong 7$")
            assert leave(second) == 0
        assert servers_of(terminal.home) == servers
    finally:
        os.kill(min(servers), signal.SIGTERM)
        wait_until_ended(servers, 5)


def test_the_terminal_is_sane_afterwards(tmp_path: Path) -> None:
    script = f"stty -a; {SHELL[0]} -m rpcshell; echo left $?; stty -a; exec cat"
    with Terminal(tmp_path, ("/bin/sh", "-c", script), rows=60) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        before = termios.tcgetattr(terminal.process.child_fd)
        terminal.send(f":quit{ENTER}")
        terminal.wait_for(r"^left 0$")
        terminal.wait_for(r"(?s)left 0\n.*-echoprt.*\Z")
        after = termios.tcgetattr(terminal.process.child_fd)
        assert after[3] & termios.ECHO
        assert after[3] & termios.ICANON
        assert not before[3] & termios.ICANON
        settings = re.findall(r"(?s)speed .*?extproc", terminal.text)
        assert len(settings) == 2
        assert settings[0] == settings[1]
        assert terminal.raw.rfind(b"\x1b[?2004l") > terminal.raw.rfind(b"\x1b[?2004h")
        assert terminal.raw.rfind(b"\x1b[?25l") < terminal.raw.rfind(b"\x1b[?25h")
