"""A session whose memory of plain targets lies in the test's own folder, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.session import Session
from rpcshell.state import PlainTargets
from tests.rpcshell.describing import Told


@pytest.fixture
def memory(tmp_path: Path) -> PlainTargets:
    return PlainTargets(lambda: tmp_path)


@pytest.fixture
def session(memory: PlainTargets) -> Iterator[Session]:
    session = Session(memory=lambda: memory)
    yield session
    session.close()


@pytest.fixture
def told(session: Session) -> Told:
    return Told(session)
