"""An agent of ACP at the prompt, in a real terminal."""

from __future__ import annotations

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal
from tests.peers.node import module, needs_package

pytestmark = pytest.mark.thorough


@needs_package("@agentclientprotocol/sdk")
def test_an_agent_is_prompted_permitted_and_left(terminal: Terminal) -> None:
    terminal.resize(30, 110)
    terminal.send(f":connect acp -- node {module('acp_agent.mjs', terminal.home).name}{ENTER}")
    terminal.wait_for(r"^acp · toy 1 · \d+ methods")
    terminal.send(f"session/prompt text=hi{ENTER}")
    terminal.wait_for("there is no session: session/new begins one")
    terminal.wait_until_keys()
    terminal.send(f"session/new{ENTER}")
    terminal.wait_for(r'^result \{"sessionId": "s1"\}')
    terminal.wait_until_keys()
    terminal.send('session/prompt {"prompt": [{"type": "te')
    terminal.wait_for(r'^ +"text"')
    terminal.send(TAB + f', "text": "hi"}}]}}{ENTER}')
    terminal.wait_for('^part 1 "you said hi"')
    terminal.wait_for(r"asks\nThe agent asks for permission: rm\n  option: ")
    terminal.send(f"Allow{ENTER}")
    terminal.wait_for(r"accept, decline or cancel\? ")
    terminal.send(f"a{ENTER}")
    terminal.wait_for(r'^part 2 .*optionId.*"y')
    terminal.wait_for(r'^result \{"stopReason": "end_turn"\}')
    terminal.wait_until_keys()
    terminal.mark()
    terminal.send(f"session/prompt text=hang{ENTER}")
    terminal.wait_for('^part 1 "you said hang"')
    terminal.send(CTRL_C)
    terminal.wait_for("cancelled: the server was asked to end it, and the session goes on")
    terminal.wait_until_keys()
    terminal.send(f"nope{ENTER}")
    terminal.wait_for("^error -32601: .*nope")
    assert leave(terminal) == 0
