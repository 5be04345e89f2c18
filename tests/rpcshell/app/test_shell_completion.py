"""Completion of the command in the user's shell: click's protocol, and a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpcshell.app.shell_completion import completes_bench
from rpcshell.servers.target_memory import TargetMemory
from tests.e2e.terminal import CTRL_D, SHELL, TAB, Terminal

SHELLS = ("bash", "zsh", "fish")
KILL_LINE = "\x15"
CONFIG = "[targets]\nproduction = 'tls://rpc.example.org:8443'\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    config = tmp_path / "config" / "rpcshell"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(CONFIG)
    state = tmp_path / "state" / "rpcshell"
    state.mkdir(parents=True)
    TargetMemory(lambda: state).used("127.0.0.1:38607")
    return tmp_path


def complete(home: Path, shell: str, line: str) -> list[str]:
    """What the command offers for the last word of a line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "_RPCSHELL_COMPLETE": f"{shell}_complete",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_WORDBREAKS": " :=",
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(SHELL, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("rpcshell prod", ["plain,production", "file,prod"]),
        ("rpcshell 127.0", ["plain,127.0.0.1:38607", "file,127.0"]),
        ("rpcshell 127.0.0.1:3", ["plain,38607", "file,3"]),
        ("rpcshell --mod", ["plain,--model"]),
        ("rpcshell --model p", ["plain,pool"]),
        ("rpcshell --set form", ["plain,format="]),
        ("rpcshell --set format=t", ["plain,table"]),
        ("rpcshell --tls-ca x", ["file,x"]),
        ("rpcshell ben", ["plain,bench", "file,ben"]),
        ("rpcshell bench --spa", ["plain,--spawn"]),
        ("rpcshell bench prod", ["plain,production", "file,prod"]),
    ],
)
def test_bash_is_offered_what_fits_without_what_it_takes_for_another_word(
    home: Path, line: str, offers: list[str]
) -> None:
    assert complete(home, "bash", line) == offers


@pytest.mark.parametrize(
    ("line", "left"), [("rpcshell bench --s", "bench --s"), ("rpcshell  bench ", "bench "), ("rpcshell bench", None)]
)
def test_behind_bench_the_line_is_one_of_its_own(line: str, left: str | None) -> None:
    environment = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    assert completes_bench(environment) is (left is not None)
    assert environment == {"COMP_LINE": left or line, "COMP_POINT": str(len(left or line))}
    environment = {"COMP_WORDS": line, "COMP_CWORD": "2"}
    completes_bench(environment)
    assert environment == {"COMP_WORDS": left or line, "COMP_CWORD": "2" if left is None else "1"}


@pytest.mark.thorough
def test_zsh_and_fish_are_offered_the_same(home: Path) -> None:
    assert complete(home, "zsh", "rpcshell prod")[:3] == ["plain", "production", "_"]
    assert "plain,production" in ",".join(complete(home, "fish", "rpcshell prod"))


def script_for(shell: str) -> str:
    done = subprocess.run([*SHELL, "--completion", shell], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


@pytest.mark.samples(1)
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_of_its_own(shell: str) -> None:
    assert f"_RPCSHELL_COMPLETE={shell}_complete" in script_for(shell)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell}"))
        for shell in SHELLS
    ],
)
def test_the_script_is_good_for_its_shell(shell: str) -> None:
    subprocess.run([shell, "-n"], input=script_for(shell), text=True, timeout=30, check=True)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_tab_completes_in_a_real_bash(home: Path) -> None:
    command = home / "rpcshell"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rpcshell "$@"\n')
    command.chmod(0o755)
    environment = {"PATH": f"{home}:{os.environ['PATH']}", "PS1": "bash> "}
    with Terminal(home, ("bash", "--norc", "--noprofile", "-i"), environment=environment) as terminal:
        terminal.send('eval "$(rpcshell --completion bash)" && echo re""ady\r')
        terminal.wait_for("^ready")
        for typed, whole in (
            ("prod", "production "),
            ("127.0.0.1:3", "127.0.0.1:38607 "),
            ("--model as", "--model async "),
        ):
            terminal.send(f"rpcshell {typed}{TAB}")
            terminal.wait_for(f"rpcshell {whole}")
            terminal.send(KILL_LINE)
        terminal.send(CTRL_D)
        assert terminal.wait_for_exit() == 0
