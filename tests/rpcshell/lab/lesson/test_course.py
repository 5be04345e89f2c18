"""The way through the steps: by keys, in a script, and where there is no server."""

# ruff: noqa: RUF001
# Chinese has punctuation marks of its own.

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import UsageError
from rpcshell.commands import load_commands
from rpcshell.lab.lesson.course import next_step
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.width import cells
from tests import forks
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server


@pytest.fixture
def shell() -> Iterator[Shell]:
    session = Session(background=False)
    yield Shell(session, Recording(), load_commands)
    session.close()


@pytest.mark.parametrize(
    ("key", "leads_to"),
    [
        (b"\n", 4),
        (b"\x1b[C", 4),
        (b"b", 2),
        (b"\x1b[D", 2),
        (b"9", 9),
        (b"3", 3),
        (b"0", 10),
        (b"q", 0),
        (b"\x04", 0),
        (b"", 0),
        (b"x", None),
        (b"12", None),
    ],
)
def test_keys_lead_through_the_steps(key: bytes, leads_to: int | None) -> None:
    assert next_step(key, 3, 10) == leads_to


def test_the_way_has_two_ends() -> None:
    assert next_step(b"b", 1, 10) == 1
    assert next_step(b"\n", 10, 10) == 11
    assert next_step(b"0", 1, 9) is None


def test_without_somebody_to_press_keys_it_says_what_to_do(shell: Shell) -> None:
    with pytest.raises(UsageError, match=r"waits for keys, and nobody can press any \(add --yes"):
        shell.execute(":lesson")


def test_where_no_server_runs_it_says_so_and_still_lists_its_steps(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    with pytest.raises(UsageError, match="the server runs on Linux only"):
        shell.execute(":lesson --yes")
    shell.execute(":lesson --list --language zh")
    assert isinstance(shell.output, Recording)
    assert len(shell.output.texts) == 10
    assert shell.output.texts[0] == " 1  一个工作进程，两个客户端"


@pytest.mark.thorough
@needs_server
def test_a_script_gets_plain_text_up_to_the_last_step(tmp_path: Path) -> None:
    done = forks.run(
        "rpcshell",
        ["-c", ":lesson 9 --yes --language zh"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(" ")[1] for line in lines if line.startswith("──") and "·" in line] == ["9/10", "10/10"]
    assert max(map(cells, lines)) <= 80
    assert "\x1b" not in done.stdout
    (sync,) = [line.split() for line in lines if line.startswith("sync ")]
    assert sync[-3] == "2/16"
    assert lines[-2:] == ["自己试试：", "    :bench --models all -c 8 ping  加上真正的压力再比"]
