"""A session whose memory of plain targets lies in the test's own folder, and what it tells."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.commands import load_commands
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests import forks
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.describing import Told
from tests.rpcshell.faces import FACES, Connect
from tests.rpcshell.peers import DEADLINE

BOTH = {"test_client.py", "test_connection.py", "test_exchange.py", "test_fleet_clients.py", "test_jsonrpc.py"}
"""What shows the two clients themselves; of what is above both, as dialects are, one shows enough."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.path.name not in BOTH and hasattr(item, "callspec"):
            face = item.callspec.params.get("connect")
            # Some tests have the one and some the other.
            if face in FACES and face is not FACES[zlib.crc32(item.originalname.encode()) % 2]:
                item.add_marker("thorough")


@pytest.fixture(params=FACES, ids=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Connect:
    made: Connect = request.param
    return made


@pytest.fixture(autouse=True, scope="package")
def _patient() -> Iterator[None]:
    """A server of one's own may stand still for a while, as on a busy machine, before it is looked at more closely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rpcshell.shell.discovery.PATIENCE", 2.0)
        patch.setattr("rpcshell.client.trace.CallTrace.patience", 2.0)
        yield


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is guessed at may do so as well."""
    monkeypatch.setattr("rpcshell.client.detecting.PATIENCE", 0.6)
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", DEADLINE)
    monkeypatch.setattr("rpcshell.shell.dialect_finder._LIMIT_AFTER_GREETING", DEADLINE)
    # A monitor greets the next client when it has let go of the one that looked, which a busy machine puts off.
    monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", DEADLINE)
    monkeypatch.setattr("rpcshell.client.dialects.qmp.NEGOTIATION_TIMEOUT", DEADLINE)


@pytest.fixture
def memory(tmp_path: Path) -> TargetMemory:
    return TargetMemory(lambda: tmp_path)


@pytest.fixture
def session(memory: TargetMemory) -> Iterator[Session]:
    session = Session(memory=lambda: memory)
    yield session
    session.close()


@pytest.fixture
def told(session: Session) -> Told:
    return Told(session)


@pytest.fixture(scope="module")
def forked() -> Iterator[forks.Forks]:
    """Have servers and load processes that tests of a module start be forks of processes that have imported them."""
    with forks.in_place_of_interpreters() as started:
        yield started


@pytest.fixture
def output() -> Recording:
    return Recording()


@pytest.fixture
def shell(output: Recording) -> Iterator[Shell]:
    session = Session(background=False)
    yield Shell(session, output, load_commands, interactive=True)
    session.close()
