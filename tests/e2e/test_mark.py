"""What counts after a mark: all that is drawn at the cursor's place and below, also where the screen came in pieces."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.terminal import Terminal

# A prompt over its toolbar, as a program draws one: the cursor is hidden until it is back at the prompt.
TWO_PIECES = r"""
import sys, tty
tty.setraw(0)
sys.stdout.write("before\r\n\x1b[?25lprompt> \r\n\r\ntoolbar")
sys.stdout.flush()
sys.stdin.read(1)
sys.stdout.write("\x1b[2A\r\x1b[8C\x1b[?25h")
sys.stdout.flush()
sys.stdin.read(1)
sys.stdout.write("\r\nreply")
"""


def test_a_mark_is_where_the_cursor_comes_to_rest(tmp_path: Path) -> None:
    with Terminal(tmp_path, (sys.executable, "-c", TWO_PIECES)) as terminal:
        terminal.wait_for("toolbar")
        terminal.send("\n")
        terminal.mark()
        terminal.send("\n")
        terminal.wait_for(r"\Aprompt>[\s\S]*reply")
