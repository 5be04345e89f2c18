"""The `rpcshell` command whose streams are closed or full, and that is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forks
from tests.rpcshell.peers import Peer, PeerServer, serving

if TYPE_CHECKING:
    pass
from tests.rpcshell.app.test_cli import RPCSHELL

pytestmark = pytest.mark.usefixtures("state")


def test_an_interrupt_ends_with_130_and_says_so() -> None:
    arrived = threading.Event()

    def stall(peer: Peer) -> None:
        peer.read()
        arrived.set()
        peer.wait_for_end()

    with (
        serving(stall) as server,
        subprocess.Popen(
            [*RPCSHELL, str(server.target), "-k", "-c", "ping {}", "-c", "ping 2"], stderr=subprocess.PIPE, text=True
        ) as shell,
    ):
        assert arrived.wait(30)
        shell.send_signal(signal.SIGINT)
        _, err = shell.communicate(timeout=30)
    assert shell.returncode == 130
    assert err == "rpcshell: cancelled: the connection was closed, but the server may still be running it\n"


def test_a_reader_that_goes_away_ends_the_run_quietly(server: PeerServer) -> None:
    with subprocess.Popen(
        [*RPCSHELL, str(server.target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stderr is not None
        shell.stdin.write("ping 1\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "1\n"
        shell.stdout.close()
        shell.stdin.write("ping 2\n")
        shell.stdin.flush()
        assert shell.wait(30) == 141
        assert shell.stderr.read() == ""


@pytest.mark.samples(2)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "ping 1"),
        ("-kc", "ping 1", "-c", "ping 2"),
        ("--help",),
        ("--version",),
        ("--completion", "bash"),
        ("--config-reference",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_output_that_cannot_be_written_is_said(
    server: PeerServer, arguments: tuple[str, ...], unbuffered: dict[str, str]
) -> None:
    env = {**os.environ, **unbuffered}
    said, written = os.pipe()
    with Path("/dev/full").open("wb") as full, os.fdopen(said) as said_file:
        shell = forks.start("rpcshell", [str(server.target), *arguments], stdout=full.fileno(), stderr=written, env=env)
        os.close(written)
        assert said_file.read() == "rpcshell: the output cannot be written: No space left on device\n"
    assert shell.wait(30) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_an_error_that_cannot_be_written_leaves_its_exit_code(server: PeerServer) -> None:
    with Path("/dev/full").open("wb") as full:
        shell = forks.start("rpcshell", [str(server.target), "-c", "fail 1"], stderr=full.fileno())
    assert shell.wait(30) == 1


def run_with_closed(server: PeerServer, closed: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *RPCSHELL, str(server.target), *arguments],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.samples(1)
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_closed_stream_is_no_crash(server: PeerServer, closed: str) -> None:
    assert run_with_closed(server, closed, "-c", "ping 1") == (0, "1\n", "")


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        (">&-", ("-c", "ping 1")),
        ("<&- >&-", ("-c", "ping 1")),
        (">&-", ("--help",)),
        (">&-", ("--config-reference",)),
    ],
)
def test_an_output_that_is_closed_cannot_be_written(
    server: PeerServer, closed: str, arguments: tuple[str, ...]
) -> None:
    code, _, said = run_with_closed(server, closed, *arguments)
    assert (code, said) == (2, "rpcshell: the output cannot be written: Bad file descriptor\n")


@pytest.mark.samples(1)
@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_where_nothing_is_written_a_closed_output_is_not_missed(server: PeerServer, closed: str) -> None:
    assert run_with_closed(server, closed, "-c", ":set indent=4") == (0, "", "")
