"""Servers that speak without end over HTTP and as QEMU's monitor, at a real terminal: the prompt lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.terminal import ENTER, SHELL, Terminal
from tests.rpcshell.hostile_servers import HOSTILE, UNANSWERED, hostile


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
