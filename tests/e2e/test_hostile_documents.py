"""Keys at a prompt whose server describes itself without end: each is answered, and the shell lives."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, SHELL, TAB, Terminal
from tests.rpcshell.hostile import DOCUMENTS
from tests.rpcshell.peers import Peer, serving

F1 = "\x1bOP"


@pytest.mark.samples(1)
@pytest.mark.parametrize("name", ["types that multiply", "many params", "a deep default", "escape sequences"])
def test_every_key_goes_on(tmp_path: Path, name: str) -> None:
    with ThreadPoolExecutor(1) as other:  # whose stack is empty yet, as some are deep
        described = other.submit(json.dumps, {"out": "pong", "result": DOCUMENTS[name]()}).result().encode()

    def answer(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "rpc.discover":
                peer.send_body(described)
            else:
                peer.send({"out": "pong", "result": request.get("params")})

    with (
        serving(answer) as server,
        Terminal(tmp_path, (*SHELL, "--set", "pager=off", str(server.target)), rows=30, columns=120) as terminal,
    ):
        prompt = rf"{re.escape(str(server.target))}> "
        terminal.wait_for(rf"^{prompt}")
        terminal.send(f":methods{ENTER}")
        while terminal.wait_for(r"^  m\b|^:connect .* --refresh asks again")[0] != "  m":
            # On a busy machine it takes longer than a server has to say what it offers.
            terminal.wait_for(rf"{prompt}$")
            terminal.mark()
            terminal.send(f":connect {server.target} --refresh{ENTER}:methods{ENTER}")
        terminal.wait_for(rf"{prompt}$")
        for keys in (f"m {TAB}", 'm {"a": {"', f"m [1, {TAB}", "m p1="):
            terminal.mark()
            terminal.send(keys + F1)
            terminal.wait_for(r"^Params:$")
            terminal.wait_for(rf"(?s)Params:.*{prompt}m")
            terminal.send(CTRL_C)
            # Only from a prompt that stands again can rows be counted.
            terminal.wait_for(rf"{prompt}$")
        terminal.mark()
        terminal.send(f"echo 17{ENTER}")
        terminal.wait_for(r"^pong 17$")
        assert leave(terminal) == 0
    received = terminal.raw.decode()
    assert "Traceback" not in received
    assert "unexpected" not in received
    assert "\x1b]0;" not in received
