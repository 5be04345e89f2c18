"""Sessions that find out soon what is spoken with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.session import Session


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look soon at one that would say nothing later either, or is as good at being looked at."""
    monkeypatch.setattr("rpcshell.client.trace.CallTrace.patience", 0.1)
    monkeypatch.setattr("rpcshell.shell.discovery.PATIENCE", 0.1)


@pytest.fixture
def brief(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look no longer at one that says nothing at all."""
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", 0.3)


@pytest.fixture
def script(memory: TargetMemory) -> Iterator[Session]:
    """A session of a run without a prompt."""
    session = Session(memory=lambda: memory, background=False)
    yield session
    session.close()
