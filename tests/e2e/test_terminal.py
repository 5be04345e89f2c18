import json
import os
import re
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.e2e.shells import FOOTER, SPAWNED, hang, leave, spawn, spawn_waiting, wait_for_calls
from tests.e2e.terminal import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    ENTER,
    RIGHT,
    TAB,
    UP,
    Terminal,
    arbiter_of,
    servers_of,
    wait_until_ended,
)
from tests.servers import needs_server

pytestmark = needs_server


@pytest.mark.thorough
def test_the_first_screen_says_what_to_type(terminal: Terminal) -> None:
    assert terminal.lines[0].startswith("rpcshell ")
    assert ":spawn 10" in terminal.lines[0]
    assert ":connect HOST:PORT" in terminal.lines[0]
    assert ":help" in terminal.lines[0]
    assert leave(terminal) == 0


def test_from_nothing_to_replies_and_back(tmp_path: Path) -> None:
    with Terminal(tmp_path, afresh=True) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        address = spawn(terminal, "10")
        assert terminal.wait_for(SPAWNED)[1] == "10"
        servers = servers_of(terminal.home)
        assert len(servers) == 11

        terminal.send("pi")
        terminal.wait_for(r"^ +ping +Answer")
        terminal.send(TAB)
        terminal.wait_for(r"> ping$")
        terminal.send(' {"a":1}' + ENTER)
        terminal.wait_for(r"^pong \{\"a\": 1\}$")
        footer = terminal.wait_for(FOOTER)
        assert 1 <= int(footer[2]) <= 10
        assert int(footer[3]) in servers

        terminal.send('ping <"a":1>' + ENTER)
        terminal.wait_for(rf"^{re.escape(address)}> ping <\"a\":1>\npong \{{\"a\": 1\}}\n{FOOTER[1:]}")

        assert leave(terminal) == 0
        assert "stopping the server" in terminal.text
        wait_until_ended(servers)
        assert not servers_of(terminal.home)


@pytest.mark.thorough
def test_the_toolbar_says_how_a_method_is_called_and_what_is_wrong(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send("add ")
    terminal.wait_for(r"^add\(a: number, b: number = 0\)")
    terminal.send('{"c": 1} ')
    terminal.wait_for(r"column \d+: .*c")


def test_replies_are_coloured(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f'ping {{"key": "text", "n": [12]}}{ENTER}')
    terminal.wait_for(FOOTER)
    assert terminal.style_at("pong").bold
    colours = {terminal.style_at(text).fg for text in ('"key"', '"text"', "12]")}
    assert len(colours) == 3
    assert "default" not in colours


@pytest.mark.thorough
def test_no_color_is_heeded(tmp_path: Path) -> None:
    with Terminal(tmp_path, environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        spawn(terminal)
        terminal.send(f'ping {{"key": "text"}}{ENTER}')
        terminal.wait_for(FOOTER)
        assert terminal.style_at('"key"').fg == "default"
        assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m", terminal.raw)


@pytest.mark.thorough
def test_a_dumb_terminal_gets_no_escapes(tmp_path: Path) -> None:
    with Terminal(tmp_path, environment={"TERM": "dumb"}) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":spawn 2{ENTER}")
        terminal.wait_for(SPAWNED)
        terminal.send(f'ping {{"key": "text"}}{ENTER}')
        terminal.wait_for(r"^pong \{\"key\": \"text\"\}$")
        terminal.wait_for(FOOTER)
        assert b"\x1b[" not in terminal.raw


def test_a_broken_handler_file_shows_its_traceback_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import os\n\n\ndef helper():\n    return missing_name\n\n\nhelper()\n")
    with Terminal(tmp_path, columns=200) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":spawn 2 broken.py{ENTER}")
        terminal.wait_for(r"^NameError: name 'missing_name' is not defined\nrpcshell> \n")
        shown = terminal.all_text.partition(":spawn 2 broken.py\n")[2].partition("\nrpcshell>")[0]
        assert shown.startswith("Traceback (most recent call last):\n")
        assert shown.endswith("\nNameError: name 'missing_name' is not defined")
        assert set(re.findall(r'File "([^"]+)"', shown)) == {str(file)}
        assert not servers_of(tmp_path)


@pytest.mark.samples(1)
@pytest.mark.parametrize("line", ["ping", ":disconnect", ":methods", ":doc ping"])
def test_without_a_server_one_line_says_what_to_do(terminal: Terminal, line: str) -> None:
    terminal.send(line + ENTER)
    terminal.wait_for(r"^error: .*:spawn")
    terminal.wait_for(r"^error: .*\n(.*\n)?rpcshell> \n")
    assert len([row for row in terminal.lines if "error" in row]) == 1
    assert "Traceback" not in terminal.text


@pytest.mark.thorough
def test_spawning_twice_is_refused(terminal: Terminal) -> None:
    address = spawn(terminal)
    terminal.send(f":spawn 3{ENTER}")
    terminal.wait_for(rf"^error: a server is running already: 2 workers \(sync\) on {re.escape(address)}")
    terminal.wait_for(":stop ends it")
    assert len(servers_of(terminal.home)) == 3


@pytest.mark.thorough
def test_stop_ends_the_server_and_keeps_the_shell(terminal: Terminal) -> None:
    spawn(terminal)
    servers = servers_of(terminal.home)
    terminal.send(f":stop{ENTER}")
    terminal.wait_for(r"^stopped: 2 workers \(sync\) on .*, pid \d+\nrpcshell> \n")
    wait_until_ended(servers)
    spawn(terminal, "1")


def test_ctrl_c_cancels_a_call_and_the_prompt_lives(terminal: Terminal) -> None:
    address = hang(terminal)
    terminal.send(CTRL_C)
    terminal.wait_for(r"^error: cancelled: .*may still be running")
    terminal.wait_for(rf"may still be running.*\n(.*\n)*{re.escape(address)}> ")
    terminal.send(f"ping 7{ENTER}")
    terminal.wait_for(r"^pong 7$")


def test_ctrl_c_in_the_instant_of_enter_cancels_the_line_and_what_was_typed_before_it(terminal: Terminal) -> None:
    address = spawn_waiting(terminal)
    terminal.send(f"hang{ENTER}ping 1{ENTER}{CTRL_C}ping 2{ENTER}ping 3{ENTER}")
    terminal.wait_for(rf"^{re.escape(address)}> hang\n+error: cancelled\n{re.escape(address)}> ping 2\npong 2$")
    terminal.wait_for("^pong 3$")


def test_keys_pressed_during_a_call_are_for_the_next_prompt(terminal: Terminal) -> None:
    address = spawn_waiting(terminal)
    terminal.send(f"pause{ENTER}")
    wait_for_calls(terminal)
    terminal.wait_until_signals()
    terminal.send(f"ping 7{ENTER}{CTRL_D}")
    (terminal.home / "go").open("w").close()
    assert terminal.wait_for_exit() == 0
    assert f"{address}> ping 7\npong 7\n" in terminal.all_text
    assert terminal.all_text.count("ping 7") == 1


def test_ctrl_c_at_the_prompt_clears_the_line(terminal: Terminal) -> None:
    terminal.send("some text")
    terminal.wait_for("some text")
    terminal.send(CTRL_C)
    terminal.wait_for(r"^rpcshell> some text\n(.*\n)*rpcshell> \n")


def test_enter_goes_on_inside_brackets_and_runs_what_is_complete(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send("ping {" + ENTER)
    terminal.wait_for(r"> ping \{\n")
    terminal.send('"a": [' + ENTER + "1," + ENTER + "2]" + ENTER + "}" + ENTER)
    terminal.wait_for(r"^pong \{\"a\": \[1, 2\]\}$")
    terminal.wait_for(r"^ +\"a\": \[$")


@pytest.mark.thorough
def test_alt_enter_always_opens_a_row(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send("ping" + ALT_ENTER + "5" + ENTER)
    terminal.wait_for(r"^pong 5$")


@pytest.mark.thorough
def test_a_server_that_was_killed_is_one_clear_line_and_the_prompt_lives(terminal: Terminal) -> None:
    address = spawn(terminal)
    servers = servers_of(terminal.home)
    arbiter = arbiter_of(servers)
    os.kill(arbiter, signal.SIGKILL)
    wait_until_ended(servers)
    terminal.wait_for(rf"^the server \(pid {arbiter}\) was killed by SIGKILL")
    terminal.send(f"ping{ENTER}")
    terminal.wait_for(r"^error: .*" + re.escape(address))
    terminal.wait_for(rf"^{re.escape(address)} \(lost\)> ")
    assert "Traceback" not in terminal.text
    spawn(terminal)
    terminal.send(f"ping 7{ENTER}")
    terminal.wait_for(r"^pong 7$")


def test_the_history_is_private_and_has_no_secrets(terminal: Terminal) -> None:
    terminal.send(f'login {{"user": "bob", "password": "hunter2"}}{ENTER}')
    terminal.wait_for(r"^error: ")
    terminal.send(f" unkept{ENTER}")
    terminal.wait_for(r"> +unkept\nerror: ")
    terminal.send(f"kept{ENTER}")
    terminal.wait_for(r"> kept\nerror: ")
    assert leave(terminal) == 0
    file = terminal.home / "state/rpcshell/history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        'login {"user": "bob", "password": "***"}',
        "kept",
    ]


def test_lines_of_the_last_shell_come_back(terminal: Terminal) -> None:
    terminal.send(f":help quit{ENTER}")
    terminal.wait_for("Usage: :quit")
    assert leave(terminal) == 0
    with Terminal(terminal.home) as second:
        second.wait_for(r"^rpcshell> ")
        second.send(":he")
        second.wait_for(r"^rpcshell> :help quit$")
        second.send(RIGHT + ENTER)
        second.wait_for("Usage: :quit")
        second.wait_until_keys()
        second.wait_for(r"Usage: :quit(.*\n)*rpcshell> \n")
        second.mark()
        second.send(":he" + CTRL_C)
        second.wait_for(r"^rpcshell> :he.*\n(.*\n)*rpcshell> \n")
        second.mark()
        second.send(UP)
        second.wait_for(r"^rpcshell> :help quit$")


@pytest.mark.thorough
def test_a_narrow_terminal_shows_everything(tmp_path: Path) -> None:
    with Terminal(tmp_path, rows=12, columns=30, environment={"PAGER": "cat"}) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":spawn 1{ENTER}")
        terminal.wait_for(r"1 worker \(sync\) on")
        terminal.send(f'ping {{"name": "a long text", "more": [1, 2, 3]}}{ENTER}')
        terminal.wait_for(r"^  \"name\": \"a long text\",$")


def test_a_resized_terminal_goes_on(terminal: Terminal) -> None:
    terminal.resize(30, 100)
    terminal.send(":nonsense")
    terminal.wait_for(":nonsense")
    terminal.send(ENTER)
    terminal.wait_for("^error: no command is called :nonsense")


@pytest.mark.thorough
def test_output_that_is_no_terminal_gets_no_prompt(tmp_path: Path) -> None:
    command = ("sh", "-c", f"{sys.executable} -m rpcshell --spawn 1 | cat")
    with Terminal(tmp_path, command) as terminal:
        terminal.wait_for("^reading lines without a prompt")
        terminal.send(f'ping <"a":1>{ENTER}')
        terminal.wait_for(r'^{"a":1}$')
        terminal.send(CTRL_D)
        assert terminal.wait_for_exit() == 0
        assert b"\x1b" not in terminal.raw
