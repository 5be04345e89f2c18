import re

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal
from tests.servers import needs_server

pytestmark = needs_server


def test_a_call_is_watched_and_the_shell_goes_on(terminal: Terminal) -> None:
    address = spawn(terminal)
    terminal.send(f":watch 0.05 now{ENTER}")
    terminal.wait_for(r"^every 0\.05 s · now · \d\d:\d\d:\d\d · call (?:[3-9]|\d\d+) · Ctrl-C stops$")
    terminal.wait_for(r'^every .*\nnow "20')
    assert terminal.style_at('"20').reverse
    assert not terminal.style_at("now").reverse
    assert terminal.raw.count(b"\x1b[?1049h") == 1
    terminal.send(CTRL_C)
    terminal.wait_for(rf"^\d+ calls in [\d.]+ m?s\n{re.escape(address)}> ")
    assert terminal.raw.count(b"\x1b[?1049l") == 1
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.index(b"\x1b[?1049h")

    terminal.send(f"nonesuch{ENTER}")
    terminal.wait_for(r"^error -32601: there is no method 'nonesuch' — :methods lists what there is$")
    terminal.send(f":history{ENTER}")
    terminal.wait_for(r"^1  \d\d:\d\d:\d\d  error -32601  .* ms  nonesuch$")
    terminal.send(f":history --lines -n 3{ENTER}")
    terminal.wait_for(r"^nonesuch\n:history\n:history --lines -n 3$")
    assert leave(terminal) == 0
