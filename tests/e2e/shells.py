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


def tell() -> None:
    with open("called", "w") as pipe:
        pipe.write("x")


@service.method
def hang() -> None:
    "Tell that the call has come, and never answer."
    tell()
    time.sleep(1000)


@service.method
def pause() -> None:
    "Tell that the call has come, and answer when told to."
    tell()
    open("go").close()


@service.method(out="pong")
def ping(params):
    return params
"""


def spawn(terminal: Terminal, words: str = "2") -> str:
    """Start a server; its address. What was seen before it does not count any more."""
    terminal.mark()
    terminal.send(f":spawn {words}{ENTER}")
    return terminal.wait_for(rf"{SPAWNED}\n\2> ")[2]


def spawn_waiting(terminal: Terminal, workers: int = 2) -> str:
    """Start a server whose calls can be waited for; its address."""
    (terminal.home / "waits.py").write_text(APP)
    os.mkfifo(terminal.home / "called")
    os.mkfifo(terminal.home / "go")
    return spawn(terminal, f"{workers} waits.py")


def wait_for_calls(terminal: Terminal, calls: int = 1) -> None:
    """Wait until that many calls of `hang` or `pause` are there."""
    # Open for writing too, a pipe has no end, however often others open and close it (fifo(7)).
    pipe = os.open(terminal.home / "called", os.O_RDWR)
    try:
        for _ in range(calls):
            os.read(pipe, 1)
    finally:
        os.close(pipe)


def hang(terminal: Terminal) -> str:
    """Start a server and a call that never ends; the server's address, once the call is there."""
    address = spawn_waiting(terminal)
    terminal.send(f"hang{ENTER}")
    wait_for_calls(terminal)
    return address


def leave(terminal: Terminal) -> int:
    terminal.wait_until_keys()
    terminal.send(CTRL_D)
    return terminal.wait_for_exit()
