"""Every way to leave the shell, and what is left behind."""

import os
import re
import signal
import termios
from pathlib import Path

import pytest

from tests.e2e.shells import hang, leave, spawn
from tests.e2e.terminal import CTRL_C, CTRL_D, ENTER, SHELL, Terminal, arbiter_of, servers_of, wait_until_ended
from tests.servers import needs_server

pytestmark = needs_server


def test_closing_the_terminal_ends_the_server(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home) | {terminal.pid}
    terminal.hang_up()
    wait_until_ended(servers)


@pytest.mark.thorough
def test_closing_the_terminal_ends_a_server_that_is_busy(terminal: Terminal) -> None:
    hang(terminal)
    servers = servers_of(terminal.home) | {terminal.pid}
    terminal.hang_up()
    wait_until_ended(servers)


def test_a_killed_shell_takes_its_server_along(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home)
    terminal.kill()
    wait_until_ended(servers)


def test_sigterm_leaves_the_terminal_and_no_server(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    wait_until_ended(servers)


@pytest.mark.thorough
def test_a_server_that_is_busy_can_be_hurried_when_leaving(terminal: Terminal) -> None:
    hang(terminal)
    servers = servers_of(terminal.home)
    terminal.wait_for(r"^waiting for \d+ s · Ctrl-C cancels$")
    terminal.send(CTRL_C)
    terminal.wait_for("^error: cancelled")
    terminal.wait_until_keys()
    terminal.send(CTRL_D)
    terminal.wait_for("^stopping the server; Ctrl-C hurries it$")
    terminal.wait_for(r"^waiting for hang for \d+ s · Ctrl-C hurries it$")
    terminal.send(CTRL_C)
    assert terminal.wait_for_exit() == 0
    wait_until_ended(servers)


def test_a_start_that_takes_its_time_is_told_and_can_be_cancelled(terminal: Terminal) -> None:
    os.mkfifo(terminal.home / "go")
    (terminal.home / "slow.py").write_text("open('go').read()\n")
    terminal.send(f":spawn 1 slow.py{ENTER}")
    terminal.wait_for(r"^starting the server for \d+ s · Ctrl-C cancels$")
    terminal.send(CTRL_C)
    terminal.wait_for("^error: cancelled: the server was ended before it was ready$")
    assert "starting the server" not in terminal.text
    assert leave(terminal) == 0


def test_keep_leaves_the_server_running(terminal: Terminal) -> None:
    address = spawn(terminal, "1 --keep")
    servers = servers_of(terminal.home)
    try:
        assert leave(terminal) == 0
        assert re.search(rf"the server goes on at {re.escape(address)}, pid {arbiter_of(servers)}", terminal.all_text)
        with Terminal(terminal.home, (*SHELL, address)) as second:
            second.wait_for(f"^{re.escape(address)}> ")
            second.send(f"ping 7{ENTER}")
            second.wait_for(r"^pong 7$")
            assert leave(second) == 0
        assert servers_of(terminal.home) == servers
    finally:
        os.kill(arbiter_of(servers), signal.SIGTERM)
        wait_until_ended(servers)


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("keys", "shown", "last", "code"),
    [
        ("", ">", f":quit{ENTER}", 0),
        (f":set editing vi{ENTER}\x1b", "vi normal$", CTRL_D, 0),
        ("ping {" + ENTER + '"a": ', r'"a": $', signal.SIGTERM, 143),
        (":he", "^ +:?help", signal.SIGHUP, 129),
        ("\x12he", "^I-search backward: he", signal.SIGTERM, 143),
    ],
    ids=["quit", "from vi", "in a line of two rows", "in a menu", "in a search"],
)
def test_the_terminal_is_sane_afterwards(
    tmp_path: Path, keys: str, shown: str, last: str | signal.Signals, code: int
) -> None:
    script = f"stty -a; {SHELL[0]} -m rpcshell & echo $! > pid; fg > /dev/null; echo left $?; stty -a; exec cat"
    with Terminal(tmp_path, ("/bin/bash", "-m", "-c", script), rows=60) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        before = termios.tcgetattr(terminal.process.child_fd)
        terminal.send(keys)
        terminal.wait_for(shown)
        if isinstance(last, signal.Signals):
            os.kill(int((tmp_path / "pid").read_text()), last)
        else:
            terminal.send(last)
        terminal.wait_for(rf"^left {code}$")
        terminal.wait_for(rf"(?s)left {code}\n.*extproc.*\Z")
        after = termios.tcgetattr(terminal.process.child_fd)
        assert after[3] & termios.ECHO
        assert after[3] & termios.ICANON
        assert not before[3] & termios.ICANON
        settings = re.findall(r"(?s)speed .*?extproc", terminal.all_text)
        assert len(settings) == 2
        assert settings[0] == settings[1]
        assert terminal.raw.rfind(b"\x1b[?2004l") > terminal.raw.rfind(b"\x1b[?2004h")
        assert terminal.raw.rfind(b"\x1b[?25l") < terminal.raw.rfind(b"\x1b[?25h")
        # The cursor's shape is the terminal's own again, if it was ever changed.
        assert re.findall(rb"\x1b\[(\d) q", terminal.raw)[-1:] in ([], [b"0"])
