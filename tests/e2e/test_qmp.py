"""A person at QEMU's monitor: completion deep inside, calls, errors, a call given up, leaving; and one-shot calls."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from rpcshell import connect
from tests import forks
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, PATIENCE, SHELL, TAB, Terminal
from tests.rpcshell.peers import Peer, serving
from tests.rpcshell.qemu import monitor, needs_qemu

pytestmark = [pytest.mark.thorough, needs_qemu]

arrived, go_on = threading.Event(), threading.Event()


def silent(peer: Peer) -> None:
    """An export that keeps QEMU waiting for its first word."""
    arrived.set()
    go_on.wait(PATIENCE)


INSIDE = 'blockdev-add {"driver":"qcow2","file":{"driver":"nbd","server":{"type":"inet",'


def test_a_session_with_a_monitor(tmp_path: Path) -> None:
    with (
        monitor() as target,
        serving(silent) as export,
        Terminal(tmp_path, (*SHELL, target), columns=160, rows=40) as terminal,
    ):
        terminal.wait_for(rf"^{re.escape(target)}> $")
        terminal.send(INSIDE)
        terminal.wait_for(r"^ +host +string · required *\n +port +string · required *\n")
        terminal.wait_for(r"^ +keep-alive +boolean")
        terminal.send(f'"k{TAB}')
        terminal.wait_for(r'"type":"inet","keep-alive": ')
        terminal.send(CTRL_C)
        terminal.mark()
        terminal.send(f"query-status{ENTER}")
        terminal.wait_for(r'^return \{"status": "prelaunch"')
        terminal.send(f"device_del id=no{ENTER}")
        terminal.wait_for(r"^error -32000: Device 'no' not found")
        terminal.send(f"device_dell{ENTER}")
        terminal.wait_for(r"^error -32601: The command device_dell has not been found")
        terminal.send(f"human-monitor-command command-line='info status'{ENTER}")
        terminal.wait_for(r"^return VM status: paused \(prelaunch\)$")
        terminal.send(f"human-monitor-command command-line='info mtree'{ENTER}")
        terminal.wait_for(r"^return\naddress-space: .*\n")
        terminal.send(f"cont{ENTER}")
        terminal.wait_for("^<- RESUME$")
        terminal.send(f":wait RESU{TAB}")
        terminal.wait_for(":wait RESUME")
        terminal.send(ENTER)
        terminal.wait_for(r'^RESUME \{"time": .*"params": \{"timestamp": \{')
        host, _, port = str(export.target).rpartition(":")
        server = f'{{"type":"inet","host":"{host}","port":"{port}"}}'
        terminal.send(f'blockdev-add {{"driver":"nbd","node-name":"n","server":{server}}}{ENTER}')
        assert arrived.wait(PATIENCE)
        terminal.wait_until_signals()
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the session goes on, but the server cannot be asked to end it")
        terminal.mark()
        terminal.send(f"query-status{ENTER}")
        # It runs one command after another.
        go_on.set()
        terminal.wait_for(r'^return \{"status": "running"')
        assert leave(terminal) == 0


def test_a_call_of_one_line_and_a_monitor_that_is_held() -> None:
    with monitor() as target:
        argv = (target, "-c")
        found = forks.run("rpcshell", [*argv, "query-status"])
        assert found.stdout.startswith('{"status":"prelaunch"')
        with connect(target):
            held = forks.run("rpcshell", [*argv, "query-status"])
        assert held.returncode == 3
        assert held.stderr.count("\n") == 1
        assert "it may be held by another client, libvirt perhaps" in held.stderr


def test_a_monitor_is_found_out_without_its_dialect_and_told_once(tmp_path: Path) -> None:
    with monitor() as target, Terminal(tmp_path, (*SHELL, target.removeprefix("qmp:")), columns=160) as terminal:
        address = re.escape(target.removeprefix("qmp:"))
        terminal.wait_for(rf"^{address}: qmp, QEMU \d.*, \d+ commands$")
        terminal.wait_for(rf"^{address}> $")
        terminal.send(f"query-status{ENTER}")
        terminal.wait_for(r'^return \{"status": "prelaunch"')
        assert leave(terminal) == 0
        argv = [target.removeprefix("qmp:"), "-c", "query-status"]
        again = forks.run("rpcshell", argv)
        assert (again.returncode, again.stderr) == (0, "")
