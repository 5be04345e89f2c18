"""What somebody who is new here types, in a real terminal."""

from __future__ import annotations

from tests.e2e.shells import spawn
from tests.e2e.terminal import ENTER, Terminal
from tests.servers import needs_server


@needs_server
def test_what_other_programs_have_taught_leads_on(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f":methods add{ENTER}")
    terminal.wait_for(r"^  add +Add")
    terminal.send(f"add 1 2{ENTER}")
    terminal.wait_for(r"^error: .*did you mean `add a=1 b=2` or `add \[1, 2\]`\?")
    terminal.send(f"ls{ENTER}")
    terminal.wait_for(r"^error: ls is no method — :methods lists the methods, !ls the files$")
    terminal.send(f"!echo sys''tem{ENTER}")
    terminal.wait_for(r"^system$")
    terminal.send(":")
    terminal.wait_for(r"^ +:connect +Talk +· Connect")
    terminal.send(f"drill{ENTER}")
    terminal.wait_for(r"^  :drill kill WORKER")
    terminal.send(f"exit{ENTER}")
    assert terminal.wait_for_exit() == 0
