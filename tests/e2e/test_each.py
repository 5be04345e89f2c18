import re

import pytest

from tests.e2e.shells import leave, spawn, spawn_waiting, wait_for_calls
from tests.e2e.terminal import CTRL_C, CTRL_D, ENTER, Terminal
from tests.servers import needs_server

pytestmark = needs_server


def test_answers_of_all_workers_are_shown_beside_each_other(terminal: Terminal) -> None:
    prompt = re.escape(f"{spawn(terminal, '3')}> ")
    terminal.send(f":each whoami{ENTER}")
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
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_ctrl_c_says_which_workers_may_still_run_the_call(terminal: Terminal) -> None:
    prompt = re.escape(f"{spawn_waiting(terminal, 3)}> ")
    terminal.send(f":each hang{ENTER}")
    wait_for_calls(terminal, 3)
    terminal.send(CTRL_C)
    terminal.wait_for(rf":each hang\nerror: cancelled: workers 1, 2, 3 may still be running it\n{prompt}")
    terminal.wait_until_keys()
    terminal.send(CTRL_D)
    terminal.wait_for("^stopping the server; Ctrl-C hurries it$")
    terminal.send(CTRL_C)
    assert terminal.wait_for_exit() == 0
