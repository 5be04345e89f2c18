"""A person at servers that the configuration describes: watchman with its events, and Kea with a connection a call."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rpcshell.shell.config_reference import config_reference
from tests import forks
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, PATIENCE, SHELL, TAB, Terminal
from tests.rpcshell.enveloped import kea, needs_kea, needs_watchman, watchman
from tests.rpcshell.peers import Peer, serving

pytestmark = pytest.mark.thorough

OPENRPC = """{"openrpc": "1.3.2", "info": {"title": "", "version": ""}, "methods": [
    {"name": "watch-project", "params": [{"name": "path", "required": true, "schema": {"enum": ["PATH", "/other"]}}],
     "paramStructure": "by-position"},
    {"name": "subscribe", "params": [], "x-params": "whole"}, {"name": "get-pid", "params": []}]}"""


arrived = threading.Event()


def silent(peer: Peer) -> None:
    """It says what it has, and never answers a call."""
    for line in peer.sock.makefile("rb"):
        if b"list-capabilities" in line:
            peer.sock.sendall(b'{"capabilities":["cmd-get-pid"]}\n')
        else:
            arrived.set()


def configured(folder: Path, *lines: str) -> Path:
    """The configuration that the reference shows, its dialects taken from it, with more lines."""
    dialects = config_reference().partition("# [dialects.mine]")[2].partition("[aliases]")[0]
    uncommented = (line.removeprefix("# ") for line in dialects.splitlines() if "= " in line or "[" in line)
    file = folder / "config.toml"
    file.write_text("[dialects.mine]\n" + "\n".join([*uncommented, *lines, ""]))
    return file


@needs_watchman
def test_a_session_with_watchman(tmp_path: Path) -> None:
    (watched := tmp_path / "watched").mkdir()
    (watched / "old").touch()
    (tmp_path / "api.json").write_text(OPENRPC.replace("PATH", str(watched)))
    with watchman() as address, serving(silent) as slow:
        file = configured(
            tmp_path, "[targets.files]", f'address = "{address}"', 'dialect = "watchman"', 'openrpc = "api.json"'
        )
        with Terminal(tmp_path, (*SHELL, "files", "--config", str(file)), columns=120, rows=30) as terminal:
            terminal.wait_for(r"^files> $")
            terminal.wait_for(r"watchman · 3 methods · Tab completes")
            terminal.send('watch-pr\t path="')
            terminal.wait_for(rf'^ +"{watched}"')
            terminal.send(TAB)
            terminal.wait_for(rf'path="{watched}" ?$')
            terminal.send(f" {ENTER}")
            terminal.wait_for(rf'"watch": "{watched}"')
            terminal.send(f"nope{ENTER}")
            terminal.wait_for("^error -32000: unknown command nope")
            terminal.mark()
            terminal.send(f'subscribe ["{watched}", "mine", {{"fields": ["name"]}}]{ENTER}')
            terminal.wait_for("^<- mine")
            (watched / "new").touch()
            terminal.mark()
            terminal.send(f":wait mine is_fresh_instance=false{ENTER}")
            terminal.wait_for(r'"files": \["new"\]')
            terminal.mark()
            terminal.send(f":connect watchman:{slow.target}{ENTER}")
            terminal.wait_for(rf"^watchman:{slow.target}> $")
            terminal.send(f"get-pid{ENTER}")
            assert arrived.wait(PATIENCE)
            terminal.wait_until_signals()
            terminal.send(CTRL_C)
            terminal.wait_for("^error: cancelled: the connection was closed")
            terminal.mark()
            terminal.send(f":connect files{ENTER}")
            terminal.wait_for("^files> $")
            terminal.send(f"get-pid{ENTER}")
            terminal.wait_for(r'^result \{"version": .*"pid": \d+|^result \{"pid": \d+')
            assert leave(terminal) == 0


@needs_kea
def test_a_session_with_kea(tmp_path: Path) -> None:
    file = configured(tmp_path)
    with kea() as address:
        target = f"kea:{address}"
        with Terminal(tmp_path, (*SHELL, target, "--config", str(file)), columns=120, rows=30) as terminal:
            terminal.wait_for(rf"^{target}> $")
            terminal.wait_for(r"kea · \d+ methods")
            terminal.send(f"status-g{TAB}")
            terminal.wait_for(f"{target}> status-get")
            terminal.mark()
            terminal.send(f" {ENTER}")
            terminal.wait_for(r"^result \{")
            terminal.mark()
            terminal.send(f'dhcp-disable {{"max-period": 1}}{ENTER}')
            terminal.wait_for('^result "DHCPv4 service disabled for 1 seconds"')
            terminal.send(f"nope{ENTER}")
            terminal.wait_for("^error 2: 'nope' command not supported")
            assert leave(terminal) == 0
            # It ends each connection, which is nothing to be told of.
            assert "closed it" not in terminal.all_text
        argv = ("--config", str(file), target, "-c", "status-get", "-c", "nope")
        done = forks.run("rpcshell", argv)
        assert done.returncode == 1
        assert '"uptime":' in done.stdout
        assert done.stderr == "rpcshell: nope: error 2: 'nope' command not supported.\n"
