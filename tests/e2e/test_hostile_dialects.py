"""Servers of every dialect that never answer, or speak without end: the prompt lives, and says one clear line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import ENTER, SHELL, Terminal
from tests.rpcshell.hostile_servers import HOSTILE, TICK, UNANSWERED, forever, hostile
from tests.rpcshell.jsonrpc_peer import put_into
from tests.rpcshell.peers import Peer, serving


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", [kind for kind, said in HOSTILE.items() if said == UNANSWERED])
def test_the_prompt_lives_whatever_comes(kind: str, tmp_path: Path) -> None:
    with hostile(kind) as target, Terminal(tmp_path, (*SHELL, target, "--timeout", "3"), columns=160) as terminal:
        terminal.wait_for(r"> $")
        terminal.send(f"x {{}}{ENTER}")
        terminal.wait_for(
            r"^error: x: no reply within 3 s; the server may still be running it( — part of .*)?\n(.*\n)*\S+> $"
        )
        terminal.send("typed")
        terminal.wait_for(r"> typed$")


def told(method: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": {}}


def asked(method: str) -> dict[str, Any]:
    return {**told(method), "id": 1}


ENDLESS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "acp": ("line", told("session/update"), asked("session/request_permission")),
    "dap": (
        "content-length",
        {"seq": 1, "type": "event", "event": "output"},
        {"seq": 1, "type": "request", "command": "x"},
    ),
    "jsonrpc+line": ("line", told("told"), asked("tell/me")),
    "jsonrpc1+line": ("line", {"method": "told", "params": [], "id": None}, {"method": "ask", "params": [], "id": 7}),
    "kodi": ("stream", told("Player.OnPlay"), asked("tell/me")),
    "lsp": ("content-length", told("window/logMessage"), asked("workspace/configuration")),
    "mcp+line": ("line", told("notifications/message"), asked("roots/list")),
    "mpv": ("line", {"event": "idle"}, {"event": "client-message", "id": 1}),
    "ovsdb": (
        "stream",
        {"method": "update", "params": ["m", {}], "id": None},
        {"method": "echo", "params": [], "id": 1},
    ),
    "qga": ("line", {"return": {}}, {"execute": "x"}),
    "qmp": ("line", TICK, {"execute": "x"}),
    "varlink": ("nul", {"parameters": {}, "continues": True}, {"method": "org.example.Ask", "parameters": {}}),
}
"""By their dialects: the framing, an event, or what comes nearest to one, and a request to the client."""

GREETED = {"acp", "dap", "lsp", "mcp+line", "mpv", "qga", "qmp"}
"""Those whose connection begins with an answer or a greeting of the server."""


@pytest.mark.thorough
@pytest.mark.parametrize("dialect", ENDLESS)
def test_whoever_never_answers_or_speaks_without_end_is_one_line(dialect: str, tmp_path: Path) -> None:
    framing, *endless = ENDLESS[dialect]
    with Terminal(tmp_path, (*SHELL, "--set", "suggestions=off", "--timeout", "0.3"), columns=200) as terminal:
        terminal.wait_for(r"^rpcshell> $")
        for said in (None, *endless):

            def speak(peer: Peer, said: dict[str, Any] | None = said) -> None:
                if said is None:
                    peer.wait_for_end()
                else:
                    forever(peer.sock.sendall, put_into(framing, msgspec.json.encode(said)))

            with serving(speak) as server:
                terminal.mark()
                terminal.send(f":connect {dialect}:{server.target}{ENTER}")
                outcome = r"error: .*\b(greet|answer)" if dialect in GREETED else "connected to "
                terminal.wait_for(rf"^{outcome}.*{'' if dialect in GREETED else re.escape(str(server.target))}")
                terminal.wait_until_keys()
                terminal.send(f":disconnect{ENTER}")
                terminal.wait_for(r"^rpcshell> $")
        terminal.wait_until_keys()
        assert leave(terminal) == 0
