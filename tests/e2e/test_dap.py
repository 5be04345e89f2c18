"""A debug adapter at the prompt, in a real terminal."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from tests.e2e.shells import leave, wait_for_calls
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal

pytestmark = pytest.mark.thorough

PROGRAM = """total = 0
for number in range(5):
    total += number
print(total)
"""


@pytest.mark.skipif(importlib.util.find_spec("debugpy") is None, reason="the extra `peers` is not installed")
def test_a_debug_adapter_is_completed_called_and_left(terminal: Terminal) -> None:
    terminal.resize(30, 120)
    source = terminal.home / "sums.py"
    source.write_text(PROGRAM)
    os.mkfifo(terminal.home / "called")
    terminal.send(f":connect dap -- {sys.executable} -m debugpy.adapter{ENTER}")
    terminal.wait_for(r"^dap · \d+ requests")
    terminal.send(f'setBreakpoints source={{"path": "{source}"}} breakpoints=[{{"line": 3, "hit')
    terminal.wait_for(r"^ +hitCondition +string")
    terminal.send(TAB + '"4"}]' + ENTER)
    terminal.wait_for("^held null")
    terminal.wait_until_keys()
    terminal.send(f"launch program={source}{ENTER}")
    terminal.wait_for("^result null")
    terminal.wait_for("^<- .*stopped")
    terminal.wait_until_keys()
    terminal.mark()
    terminal.send("stackTrace levels=1 threadId=")
    terminal.wait_for(r"threadId=\n +1 *$")
    terminal.send(TAB + ENTER)
    terminal.wait_for('"line": 3')
    terminal.wait_until_keys()
    terminal.send("frame = $_.stackFrames[0].id" + ENTER)
    terminal.wait_for(r"^\$frame \d+")
    terminal.wait_until_keys()
    terminal.send('evaluate expression="total" frameId=$frame' + ENTER)
    terminal.wait_for('"result": "3"')
    terminal.wait_until_keys()
    terminal.send('evaluate expression="1 / 0" frameId=$frame context=repl' + ENTER)
    terminal.wait_for("^error -32000: Traceback")
    terminal.wait_until_keys()
    called = terminal.home / "called"
    waits = f"[open('{called}', 'w').write('x'), __import__('time').sleep(1000)]"
    terminal.send(f'evaluate expression="{waits}" frameId=$frame context=repl{ENTER}')
    wait_for_calls(terminal)
    terminal.send(CTRL_C)
    terminal.wait_for("cancelled: the session goes on")
    assert leave(terminal) == 0
