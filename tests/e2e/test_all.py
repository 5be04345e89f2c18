import os
import re

import pytest

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the server is for Linux only")


def test_answers_of_all_workers_are_shown_beside_each_other(terminal: Terminal) -> None:
    prompt = re.escape(f"{spawn(terminal, '3')}> ")
    terminal.send(f":all whoami{ENTER}")
    found = terminal.wait_for(
        r"^worker +pid +time +result\n─.*\n"
        r" +1 +(\d+) .*\n +2 +(\d+) .*\n +3 +(\d+) .*\n"
        rf"(.*\n)*3 different answers of 3 workers\n{prompt}"
    )
    workers = re.findall(
        r"^another on each worker: (.*)$", terminal.text.replace("    another", "another"), re.MULTILINE
    )
    assert workers[:2] == ["1, 2, 3", ", ".join(found.groups()[:3])]
    assert terminal.style_at("≠ $.pid").bold

    terminal.wait_until_keys()
    terminal.send(f":all sleep seconds=2{ENTER}")
    terminal.wait_until_signals()
    terminal.send(CTRL_C)
    terminal.wait_for(
        # A Ctrl-C that comes before the line runs is heard as well: then it does not run.
        rf":all sleep seconds=2\n"
        rf"(error: cancelled: (the call was sent to no worker|workers 1, 2, 3 may still be running it)\n)?{prompt}"
    )
    assert leave(terminal) == 0
