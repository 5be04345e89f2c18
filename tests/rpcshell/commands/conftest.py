"""A shell whose output is kept, and a server of the demo for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from tests.forks import Forks


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _forked(forked: Forks) -> None:
    """Servers and load processes cost a fork."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        server = SpawnedServer.start(SpawnOptions(workers=1))
    yield server.addresses[0]
    server.stop()
