import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import ENTER, SHELL, TAB, Terminal, wait_until_ended
from tests.servers import needs_server

pytestmark = needs_server

DOWN = "\x1b[B"


def worker_pid(terminal: Terminal, number: int) -> int:
    return int(terminal.wait_for(rf"^ *{number} +(\d+) (ready|busy) ")[1])


def test_a_server_is_watched_and_steered(terminal: Terminal) -> None:
    address = spawn(terminal, "3")
    terminal.resize(24, 120)
    terminal.send(f":top{ENTER}")
    terminal.wait_for(r"^ W▴ +PID STATE +CALL +CONN +CALLS CALLS/s LATELY +ERR +BUSY +PSS +USS +RSS +AGE +GEN$")
    assert terminal.lines[0].startswith(f"{address} · the demo · sync model · pid ")
    terminal.wait_for(r"^queue ░{16} 0/\d+ · 3 workers, 0 busy · generation 0$")
    victim = worker_pid(terminal, 2)

    terminal.send(DOWN)
    terminal.send("k")
    terminal.wait_for(rf"^TERM to worker 2\? y/n · Tab KILL · pid {victim}$")
    terminal.send(f"{TAB}y")
    terminal.wait_for(rf"^KILL was sent to worker 2, pid {victim}$")
    wait_until_ended({victim})
    terminal.wait_for(r"1 died, 0 lost")
    assert worker_pid(terminal, 2) != victim

    terminal.send("+")
    terminal.wait_for(r"^queue .* 4 workers, 0 busy · generation 0$")
    terminal.send("-")
    terminal.wait_for(r"^queue .* 3 workers, 0 busy · generation 0$")
    terminal.send("R")
    terminal.wait_for(r"^queue .* 3 workers, 0 busy · generation 1$")

    terminal.send("sssss")
    terminal.wait_for(r"^  W .*CALLS/s▾")
    terminal.send(ENTER)
    terminal.wait_for(r"^log of worker 2$")
    terminal.resize(20, 40)
    terminal.wait_for(r"^  W STATE +CALL +CALLS/s▾ +BUSY$")
    assert max(map(len, terminal.lines)) <= 40

    terminal.send("\x1b")
    terminal.wait_until_gone(r"^log of worker")
    terminal.send("q")
    terminal.wait_for(rf"^{re.escape(address)}> ")
    # pyte knows no alternate screen; a terminal that does shows again what was there before.
    assert terminal.raw.count(b"\x1b[?1049h") == terminal.raw.count(b"\x1b[?1049l") == 1
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?1049l")
    terminal.send(f"ping 7{ENTER}")
    terminal.wait_for(r"^pong 7$")
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_from_the_command_line_a_lost_server_is_told_and_the_terminal_left_in_order(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "rpcserver", "-w", "1", "-b", "unix:server.sock")
    with Terminal(tmp_path, command) as server:
        server.wait_for("control socket")
        top = (*SHELL, "./server.sock", "-c", ":top")
        with Terminal(tmp_path, top, environment={"NO_COLOR": "1"}) as terminal:
            terminal.wait_for(r"^queue .* 0/\d+ · 1 worker, 0 busy")
            assert terminal.style_at("0/").fg == "default"
            server.kill()
            terminal.wait_for(r"^no answer, waiting: it has gone$")
            terminal.wait_for(r"^  1 +\d+ ready")
            # The shell is told to end, and not by a key.
            os.kill(terminal.pid, signal.SIGTERM)
            assert terminal.wait_for_exit() == 128 + signal.SIGTERM
            assert terminal.raw.count(b"\x1b[?1049h") == terminal.raw.count(b"\x1b[?1049l") == 1
            assert b"\x1b[?25h" in terminal.raw[terminal.raw.rindex(b"\x1b[?1049l") :]
