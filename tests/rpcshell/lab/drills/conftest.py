"""A shell that keeps what it shows, with a server of its own in any model, for running drills as programs see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.lab.drills.drilling import Drilled


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drilled]:
    """A server that several tests may use, since none harms it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        session = Session(background=False)
        output = Recording()
        session.spawn(SpawnOptions(2))
        yield Drilled(Shell(session, output, load_commands), output)
        session.close()


@pytest.fixture
def drilled() -> Iterator[Callable[..., Drilled]]:
    """Starts a server, and returns what runs drills on it."""
    sessions: list[Session] = []

    def start(workers: int, model: str = "sync", *, app: str | None = None, options: tuple[str, ...] = ()) -> Drilled:
        session = Session(background=False)
        sessions.append(session)
        output = Recording()
        shell = Shell(session, output, load_commands)
        session.spawn(SpawnOptions(workers, app, model, extra=options))
        return Drilled(shell, output)

    yield start
    for session in sessions:
        session.close()
