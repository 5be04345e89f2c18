"""A fault of the shell's own: one escaped line, the session goes on, and `--debug` shows where it was."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import ENTER, Terminal
from tests.rpcshell.describing import offering
from tests.rpcshell.peers import serving

EVIL = "boom\x1b]0;PWNED\x07\x9b31m"
FAULTY = f"""
import sys
import rpcshell.commands.methods, rpcshell.line.hint
from rpcshell.app.cli import main

def broken(*arguments, **options):
    raise RuntimeError({EVIL!r})

def broken_with_a_catalog(line, cursor, around):
    if around.catalog.methods:
        broken()
    return rpcshell.line.hint.NOTHING

rpcshell.commands.methods.describe_method = broken
rpcshell.line.hint.hint = broken_with_a_catalog
sys.exit(main())
"""
SHELL = (sys.executable, "-c", FAULTY)
ONE_LINE = r"error: unexpected RuntimeError: boom\\x1b\]0;PWNED\\x07\\x9b31m"


@pytest.mark.samples(1)
@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_at_the_prompt_is_one_line_and_the_prompt_goes_on(tmp_path: Path, debug: bool) -> None:
    options = ("--set", "pager=off", *(["--debug"] if debug else []))
    with (
        serving(offering("ping")) as server,
        Terminal(tmp_path, (*SHELL, *options, str(server.target)), rows=30, columns=160) as terminal,
    ):
        prompt = rf"{re.escape(str(server.target))}> "
        terminal.wait_for(rf"^{prompt}")
        terminal.send(f":methods{ENTER}")
        terminal.wait_for(r"^  ping")
        # While a line is typed: what was typed is there again, and can be run.
        terminal.send("ping a=1")
        terminal.wait_for(rf"(?s){ONE_LINE}.*{prompt}ping a=1")
        terminal.mark()
        terminal.send(ENTER)
        terminal.wait_for(r'pong \{"a": 1\}')
        terminal.mark()
        terminal.send(f":doc ping{ENTER}")
        terminal.wait_for(ONE_LINE)
        assert leave(terminal) == 0
    received = terminal.raw.decode()
    assert "\x1b]0;" not in received
    assert "\x9b" not in received
    assert ("Traceback" in received) is debug


@pytest.mark.samples(1)
@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_in_a_script_is_one_line_and_has_an_exit_code(debug: bool) -> None:
    options = ["--debug"] if debug else []
    with serving(offering("ping")) as server:
        command = [*SHELL, *options, str(server.target), "-k", "-c", ":doc ping", "-c", "ping a=1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert done.stdout == '{"a":1}\n'
    first, *more = done.stderr.splitlines()
    assert first.startswith(r"rpcshell: unexpected RuntimeError: boom\x1b]0;PWNED\x07\x9b31m")
    assert bool(more) is debug
    assert "\x1b" not in done.stderr
