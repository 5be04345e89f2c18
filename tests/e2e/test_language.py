"""Variables, pipes and files as a person types them."""

import json
import os
import re

import pytest

from tests.e2e.shells import FOOTER, leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal
from tests.servers import needs_server

pytestmark = needs_server

PASTE = "\x1b[200~{}\x1b[201~"


def test_results_are_kept_used_and_sent_on(terminal: Terminal) -> None:
    address = spawn(terminal)
    prompt = rf"{address}> "

    terminal.send(f'u = ping {{"id": 7, "items": [{{"id": 1}}]}}{ENTER}')
    terminal.wait_for(rf"^pong \{{\"id\": 7, .*\n{FOOTER[1:-1]}\n{prompt}")
    terminal.send(f'ping {{"n": $u.items[0].id, "t": $"no. ${{_.id}}"}}{ENTER}')
    terminal.wait_for(rf"^pong \{{\"n\": 1, \"t\": \"no\. 7\"\}}\n{FOOTER[1:-1]}\n{prompt}")

    terminal.send(f"ping $u.itmes{ENTER}")
    terminal.wait_for(rf"^error: \$u has no key itmes — did you mean items\?\n  ping \$u.itmes\n          \^\n{prompt}")

    terminal.send(f"$u | tr a-z A-Z{ENTER}")
    terminal.wait_for(rf'^\{{\n  "ID": 7,\n  "ITEMS": \[\n    \{{\n      "ID": 1\n    \}}\n  \]\n\}}\n{prompt}')
    terminal.send(f"ping $u > 'my file.json'{ENTER}")
    terminal.wait_for(rf"^\d+ bytes to my file.json\n{FOOTER[1:-1]}\n{prompt}")
    assert json.loads((terminal.home / "my file.json").read_text()) == {"id": 7, "items": [{"id": 1}]}
    assert leave(terminal) == 0


def test_a_shell_command_has_the_terminal_and_ctrl_c_is_its_own(terminal: Terminal) -> None:
    address = spawn(terminal)
    terminal.send(f"ping 1 | echo ready; read x </dev/tty; echo got $x{ENTER}")
    terminal.wait_for(r"^ready$")
    terminal.send("typed\n")
    terminal.wait_for(rf"^ready\ntyped\ngot typed\n{FOOTER[1:-1]}\n{address}> ")

    os.mkfifo(terminal.home / "begun")
    terminal.send(f"ping 1 | echo > begun; sleep 100{ENTER}")
    # Until its end: who writes to nobody any more ends by SIGPIPE.
    (terminal.home / "begun").read_text()
    # dash forgets an interrupt that comes while it forks.
    terminal.press_until(CTRL_C, r"^error: `echo > begun; sleep 100` was interrupted\n")
    terminal.wait_until_keys()
    terminal.send(f"ping 3{ENTER}")
    terminal.wait_for(r"^pong 3$")
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_several_lines_pasted_at_once_run_in_order_until_one_fails(terminal: Terminal) -> None:
    spawn(terminal)
    rows = ["a = ping 1", "b = ping [$a,", "  2]   # both", "$b | tr 1 7", "ping $nothing", "ping 5"]
    terminal.send(PASTE.format("\r".join(rows)))
    terminal.wait_for(r"line 5, column 6: no variable is called \$nothing")
    terminal.send(ENTER)
    terminal.wait_for(
        r"^\[\n  7,\n  2\n\]\nerror: no variable is called \$nothing; .*\n(.*\n)+?what came after line 5 was"
    )
    assert not re.search(r"^5$", terminal.all_text, re.MULTILINE)
    assert leave(terminal) == 0
