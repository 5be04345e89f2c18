"""Mistakes on purpose: what real servers do about them, and what is said of servers that do something else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from rpcshell.client.errors import UsageError
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.shell.why.mistakes import MistakeName, Provocation, judge, plan
from rpcwire import encode_request, frame
from tests.forks import Forks
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import DEADLINE, Handler, Peer, echo, serving
from tests.servers import needs_server

REQUEST = frame(encode_request("ping", {"a": 1}))
MISTAKES: tuple[MistakeName, ...] = get_args(MistakeName)


@pytest.fixture(scope="module")
def server(forked: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpawnedServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        # One worker that serves one connection at a time: nothing is seen if the shell keeps it for itself.
        started = SpawnedServer.start(SpawnOptions(workers=1))
    yield started
    started.stop()


@needs_server
@pytest.mark.parametrize("name", MISTAKES)
def test_a_server_does_what_the_protocol_wants(server: SpawnedServer, name: MistakeName) -> None:
    output = Recording()
    session = Session(background=False)
    shell = Shell(session, output, load_commands)
    session.connect(server.addresses[0])
    rate = " --rate 500" if name == "slow" else ""
    shell.execute(f':wire send {name}{rate} ping <"a": 1, "password": "geheim99">')
    session.close()
    text = " ".join(" ".join(output.texts).split())
    assert "as it should be, since" in text, text
    assert text.count("→ ") == {"split": 4, "truncated": 2}.get(name, 1)
    assert "geheim99" not in text
    assert b"geheim99"[:8].hex(" ") not in text


def provoke(name: MistakeName, *handlers: Handler) -> tuple[bool, str]:
    with serving(*handlers) as peers:
        provocation = Provocation(peers.target, None, DEADLINE)
        events = list(provocation.run(plan(name, REQUEST, 1000), REQUEST))
        provocation.close()
    return judge(name, events)


def hang_up(peer: Peer) -> None:
    peer.sock.recv(1)
    peer.reset()


def two_answers(peer: Peer) -> None:
    """Take a part of a frame for a whole one."""
    peer.sock.recv(1)
    peer.send({"out": "pong", "result": None})
    peer.wait_for_end()


@pytest.mark.parametrize(
    ("name", "handler", "verdict"),
    [
        ("split", echo, "an ordinary reply, and the connection goes on: as it should be"),
        ("split", hang_up, "no answer, and the connection was reset"),
        ("truncated", two_answers, "an ordinary reply, and the connection was closed: the protocol wants no answer"),
        ("zero", lambda peer: peer.sock.recv(4), "no answer, and the connection was closed: the protocol wants error"),
    ],
)
def test_a_server_that_does_something_else_is_found_out(name: MistakeName, handler: Handler, verdict: str) -> None:
    right, text = provoke(name, handler)
    assert right == ("as it should be" in verdict)
    assert text.startswith(verdict), text


def test_only_servers_of_ones_own_are_treated_like_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    session = Session(plain=True, background=False)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        session.connect(f"127.0.0.1:{stranger.getsockname()[1]}")
        accepted, _ = stranger.accept()
        with accepted, pytest.raises(UsageError, match="no server of yours on this machine"):
            Shell(session, Recording(), load_commands).execute(":wire send garbage")
        session.close()
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()


@pytest.mark.parametrize(
    "line", [":wire send", ":wire on zero", ":wire send zero --rate 5", ":wire send nothing", ":wire last"]
)
def test_what_makes_no_sense_is_refused(line: str) -> None:
    session = Session(background=False)
    with pytest.raises(UsageError):
        Shell(session, Recording(), load_commands).execute(line)
