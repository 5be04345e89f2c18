"""Servers that were started a moment ago, and the shell that waits for them; with real processes and proc(5)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rpcshell.app.options import load_commands
from rpcshell.client.errors import Cancelled, ConnectionFailed
from rpcshell.client.target import TcpTarget, UnixTarget
from rpcshell.servers.starting import all_listen, just_started
from rpcshell.shell import connect as connecting
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import echo, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proc(5) is Linux's")

_SERVER = """\
import os, sys
print("started", flush=True)
sys.stdin.readline()
if os.fork():
    print("has a worker", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """What passes for a server that was just started: it does not listen, and forks a worker at a line of its input."""
    program = tmp_path / "rpcserver"
    program.write_text(_SERVER)
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process


def has_worker(server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    assert server.stdout.readline() == "has a worker\n"


@pytest.fixture
def shell() -> Iterator[Shell]:
    session = Session(background=False)
    yield Shell(session, Recording(), load_commands)
    session.close()


@pytest.fixture
def at_first_wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done as soon as the shell waits for a server."""

    def do(what: Callable[[], object]) -> None:
        left = [what]
        monkeypatch.setattr("rpcshell.shell.connect.time.sleep", lambda _seconds: left and left.pop()())

    return do


def test_a_server_that_was_just_started_is_found_and_its_workers_are_not(server: subprocess.Popen[str]) -> None:
    here = UnixTarget("/nowhere.sock")
    assert server.pid in just_started(here)
    assert server.pid in just_started(TcpTarget("127.0.0.1", 1))
    assert just_started(TcpTarget("192.0.2.1", 1)) == []
    assert not all_listen([server.pid])
    has_worker(server)
    assert all_listen([server.pid])
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text("ascii").split()
    assert not set(map(int, children)) & set(just_started(here))


def test_a_server_that_was_just_started_is_waited_for(
    server: subprocess.Popen[str], shell: Shell, tmp_path: Path, at_first_wait: Callable[[Callable[[], object]], None]
) -> None:
    path = tmp_path / "calc.sock"
    with ExitStack() as stack:
        at_first_wait(lambda: stack.enter_context(serving(echo, unix=path)))
        connecting.connect(shell.session, lambda: shell, UnixTarget(str(path)), plain=True)
        assert shell.session.state == "connected"
        shell.session.close()


def test_a_server_that_listens_elsewhere_is_not_waited_for(
    server: subprocess.Popen[str], shell: Shell, tmp_path: Path, at_first_wait: Callable[[Callable[[], object]], None]
) -> None:
    at_first_wait(lambda: has_worker(server))
    with pytest.raises(ConnectionFailed, match="no such socket file"):
        connecting.connect(shell.session, lambda: shell, UnixTarget(str(tmp_path / "nowhere.sock")), plain=True)


def test_waiting_for_a_server_is_ended_by_ctrl_c(
    server: subprocess.Popen[str], shell: Shell, tmp_path: Path, at_first_wait: Callable[[Callable[[], object]], None]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    at_first_wait(interrupt)
    with pytest.raises(Cancelled, match="cancelled while connecting"):
        connecting.connect(shell.session, lambda: shell, UnixTarget(str(tmp_path / "nowhere.sock")), plain=True)
