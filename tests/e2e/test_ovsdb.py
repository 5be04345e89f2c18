"""A person at Open vSwitch's database: completion inside a transaction, errors, updates, a call given up, leaving."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forks
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, PATIENCE, SHELL, TAB, Terminal, processes_of
from tests.rpcshell.ovsdb_peer import database, needs_ovsdb
from tests.rpcshell.peers import Peer, serving

pytestmark = [pytest.mark.thorough, needs_ovsdb]

TRANSACT = 'transact ["Open_vSwitch", {"op": '
NEVER = (
    '"where": [], "columns": ["external_ids"], "until": "==", "rows": [{"external_ids": ["map", [["never", "x"]]]}]}]'
)


waits = threading.Event()


def relay_to(address: str) -> Callable[[Peer], None]:
    """What stands between a person and the database, and sees when it is asked to wait."""

    def relay(peer: Peer) -> None:
        def answer() -> None:
            while data := server.recv(65536):
                peer.sock.sendall(data)

        host, _, port = address.removeprefix("ovsdb:").rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            answering = threading.Thread(target=answer, daemon=True)
            answering.start()
            while data := peer.sock.recv(65536):
                server.sendall(data)
                if b'"wait"' in data:
                    waits.set()
            server.shutdown(socket.SHUT_RDWR)
            answering.join()

    return relay


def test_a_session_with_a_database(tmp_path: Path) -> None:
    with (
        database() as targets,
        serving(relay_to(targets.tcp)) as server,
        Terminal(tmp_path, (*SHELL, f"ovsdb:{server.target}"), columns=140, rows=40) as terminal,
    ):
        terminal.wait_for(rf"^ovsdb:{re.escape(str(server.target))}> $")
        terminal.send(f":methods{ENTER}")
        terminal.wait_for(r"^ +transact +Run operations on a database, all of them or none")
        terminal.mark()
        terminal.send("transact [")
        terminal.wait_for(r'^ +"Open_vSwitch" *\n +"_Server"')
        terminal.send('"Open_vSwitch", {"op": ')
        terminal.wait_for(r'^ +"select" *\n +"insert" *\n')
        terminal.send('"insert", "table": "Bridge", "row": {"name": "b", "fail_')
        terminal.wait_for(r"^ +fail_mode +")
        terminal.send(TAB)
        terminal.wait_for(r'"fail_mode": ')
        terminal.wait_for(r'^ +"secure" *\n +"standalone"')
        terminal.send(f'"secure"}}}}]{ENTER}')
        terminal.wait_for(r'^result \[\{"uuid": \["uuid", "')
        terminal.send(f'{TRANSACT}"select", "table": "Nope", "where": []}}]{ENTER}')
        terminal.wait_for(r"^error -32000: operation 1: syntax error: Parsing ovsdb operation 1 of 1 failed")
        terminal.send(f'monitor ["Open_vSwitch", "m", {{"Open_vSwitch": {{"columns": ["external_ids"]}}}}]{ENTER}')
        terminal.wait_for(r'^result \{"Open_vSwitch": ')
        row = '{"external_ids": ["map", [["k", "v"]]]}'
        terminal.send(f'{TRANSACT}"update", "table": "Open_vSwitch", "where": [], "row": {row}}}]{ENTER}')
        terminal.wait_for("^<- update$")
        terminal.send(f'{TRANSACT}"wait", "table": "Open_vSwitch", {NEVER}{ENTER}')
        assert waits.wait(PATIENCE)
        terminal.wait_until_signals()
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the server was asked to end it, and the session goes on")
        terminal.mark()
        terminal.send(f"echo [1]{ENTER}")
        terminal.wait_for(r"^result \[1\]")
        assert leave(terminal) == 0
        assert processes_of(tmp_path) == {}


def test_calls_of_one_line() -> None:
    with database() as targets:
        argv = (targets.unix, "-c")
        found = forks.run("rpcshell", [*argv, "list_dbs"])
        assert found.stdout == '["Open_vSwitch","_Server"]\n'
        failed = [*argv, f'{TRANSACT}"abort"}}]']
        refused = forks.run("rpcshell", failed)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert "operation 1: aborted" in refused.stderr
