"""A server in the background of a terminal: what the terminal sends to its group means nothing to it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from rpcwire import ErrorCode
from tests.servers import PATIENCE, Client, all_gone, connected, watched

APP = """
import os
import signal
import subprocess
import sys
from rpcserver import Service

service = Service("background")

@service.method
def ask() -> str:
    return input("name? ")

@service.method
def stopped_child() -> bool:
    code = "import signal; signal.signal(signal.SIGTTIN, signal.SIG_DFL); input()"
    child = subprocess.Popen([sys.executable, "-c", code])
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    child.kill()
    return os.WIFSTOPPED(status)
"""

# What a shell with job control does: the terminal is its own, and the job has a group.
SHELL = """
import subprocess, sys, termios
if sys.argv[1] == "tostop":
    attributes = termios.tcgetattr(0)
    attributes[3] |= termios.TOSTOP
    termios.tcsetattr(0, termios.TCSANOW, attributes)
job = subprocess.Popen(sys.argv[2:], process_group=0)
sys.exit(job.wait())
"""


class Job:
    """A server in the background of a terminal, on which it writes its log."""

    def __init__(self, terminal: pexpect.spawn[str], control: Path) -> None:
        self._terminal = terminal
        self._control = control
        port, pid = self.log(r"listening on 127.0.0.1:(\d+), .* pid (\d+)\r\n").groups()
        self._port = int(port)
        self.pid = int(pid)
        self.skipped = ""

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self._port), PATIENCE))

    def let_go_round(self) -> None:
        """Have the arbiter see to what has come so far; of two equal signals the kernel keeps one."""
        with Client(connected(f"unix:{self._control}")) as client:
            for _ in range(2):
                assert client.call("arbiter.status").fault is None

    def log(self, pattern: str) -> re.Match[str]:
        """Wait for it in the log; `skipped` is what came before it."""
        self._terminal.expect(pattern)
        found = self._terminal.match
        assert isinstance(found, re.Match)
        self.skipped = self._terminal.before or ""
        return found


@contextmanager
def background(folder: Path, *arguments: str, tostop: bool = False) -> Iterator[Job]:
    app = folder / "app.py"
    app.write_text(APP)
    control = folder / "control"
    command = [sys.executable, "-P", "-m", "rpcserver", str(app), "--bind", "127.0.0.1:0", *arguments]
    shell = ["-c", SHELL, "tostop" if tostop else "", *command, "--control", str(control)]
    terminal: pexpect.spawn[str] = pexpect.spawn(
        sys.executable, shell, cwd=str(folder), timeout=PATIENCE, encoding="utf-8", dimensions=(24, 400)
    )
    try:
        yield Job(terminal, control)
    finally:
        children = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children")
        for pid in children.read_text().split() if children.exists() else ():
            os.kill(int(pid), signal.SIGKILL)
        # pexpect kills too, but gives up after tenths of a second, which are nothing to a busy machine.
        terminal.kill(signal.SIGKILL)
        terminal.wait()
        terminal.close()


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["sync", "thread"])
def test_reads_in_the_background_neither_scale_nor_stop_it(model: str, tmp_path: Path) -> None:
    with background(tmp_path, "-w", "1", "-m", model) as job:
        with job.connect() as client:
            fault = client.call("ask").fault
            assert fault is not None
            assert fault.code == ErrorCode.INTERNAL_ERROR
            assert client.call("stopped_child").result is True
        job.let_go_round()
        os.kill(job.pid, signal.SIGTTIN)
        assert job.log("scaling from (.*) workers\r\n")[1] == "1 to 2"
        os.kill(job.pid, signal.SIGTERM)
        job.log("stopped\r\n")
        assert "scaling" not in job.skipped


@pytest.mark.thorough
def test_writes_in_the_background_neither_spin_nor_deafen_it(tmp_path: Path) -> None:
    with background(tmp_path, "-w", "2", tostop=True) as job:
        with job.connect() as client:
            assert client.call("ask").fault is not None
        with watched([job.pid]) as descriptors:
            os.kill(job.pid, signal.SIGTERM)
            job.log("stopped\r\n")
            assert all_gone(descriptors, PATIENCE)
        assert "scaling" not in job.skipped
