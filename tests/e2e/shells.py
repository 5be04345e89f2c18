"""What tests of a shell in a terminal do again and again: start a server, make a call that never ends, leave."""

from __future__ import annotations

import os

from tests.e2e.terminal import CTRL_D, ENTER, Terminal

FOOTER = r"^\d+(\.\d+)? m?s(?: · [\d.]+ server, [\d.]+ waiting)? · worker (\d+) · pid (\d+)$"
SPAWNED = r"^(\d+) workers? \(sync\) on (127\.0\.0\.1:\d+) in \d+\.\d s$"

APP = """
import os
import time

from rpcserver import Service

service = Service("waits")


@service.method
def hang() -> None:
    "Tell that the call has come, and never answer."
    open("called", "w").close()
    time.sleep(1000)


@service.method(out="pong")
def ping(params):
    return params
"""


def spawn(terminal: Terminal, words: str = "2") -> str:
    """Start a server; its address."""
    terminal.send(f":spawn {words}{ENTER}")
    return terminal.wait_for(rf"{SPAWNED}\n\2> ")[2]


def hang(terminal: Terminal) -> str:
    """Start a server and a call that never ends; the server's address, once the call is there."""
    (terminal.home / "hang.py").write_text(APP)
    os.mkfifo(terminal.home / "called")
    address = spawn(terminal, "2 hang.py")
    terminal.send(f"hang{ENTER}")
    # Opening one end of a pipe waits for whoever opens the other (fifo(7)).
    (terminal.home / "called").open().close()
    return address


def leave(terminal: Terminal) -> int:
    terminal.wait_until_keys()
    terminal.send(CTRL_D)
    return terminal.wait_for_exit()
