"""Sessions with a server of their own: calls to it, its end, and what is said of that."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcshell import ConnectionFailed, ConnectionLost, UsageError
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from tests.rpcshell.peers import DEADLINE
from tests.rpcshell.processes import ended
from tests.servers import needs_server, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    needs_server,
    pytest.mark.usefixtures("forked"),
]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


def test_a_session_calls_the_server_it_spawned_and_stops_it(session: Session) -> None:
    server = session.spawn(SpawnOptions(workers=1))
    assert str(session.target) == server.addresses[0]
    outcome = session.call("ping", {"a": 1})
    assert outcome.result == {"a": 1}
    assert outcome.meta is not None
    assert session.method("ping") is not None
    session.stop()
    assert ended(server.pid)
    assert (session.server, session.target, session.state) == (None, None, "none")


def test_a_second_server_is_refused_while_one_runs(session: Session) -> None:
    session.spawn(SpawnOptions(workers=1))
    with pytest.raises(UsageError, match="running already"):
        session.spawn(SpawnOptions(workers=1))


def test_a_server_that_was_killed_is_said_with_its_log_and_can_be_spawned_anew(session: Session) -> None:
    notes: list[str] = []
    said = threading.Event()

    def note(text: str) -> None:
        notes.append(text)
        said.set()

    session.on_note(note)
    server = session.spawn(SpawnOptions(workers=1))
    session.call("ping")
    os.kill(server.pid, signal.SIGKILL)
    assert said.wait(DEADLINE)
    assert "was killed by SIGKILL" in notes[0]
    assert str(server.log) in notes[0]
    with pytest.raises((ConnectionFailed, ConnectionLost)) as caught:
        session.call("ping")
    assert "was killed by SIGKILL" in (caught.value.hint or "")
    assert session.state == "lost"
    session.spawn(SpawnOptions(workers=1))
    assert session.call("ping", 1).result == 1


def test_no_call_is_lost_when_the_worker_that_serves_it_is_told_to_end(session: Session) -> None:
    session.spawn(SpawnOptions(workers=2))
    pids: set[int] = set()

    def call() -> bool:
        outcome = session.call("ping", len(pids))
        assert outcome.result == len(pids)
        assert outcome.meta is not None
        pids.add(outcome.meta.pid)
        # One that was told already may answer what has arrived, and be gone a moment later.
        with contextlib.suppress(ProcessLookupError):
            os.kill(outcome.meta.pid, signal.SIGTERM)
        return len(pids) > 3

    until(call)


def test_a_server_may_listen_on_a_unix_socket(session: Session, tmp_path: Path) -> None:
    session.spawn(SpawnOptions(workers=1, bind=(f"unix:{tmp_path}/s",)))
    assert str(session.target) == f"unix:{tmp_path}/s"
    assert session.call("ping", 1).result == 1


def test_closing_the_session_stops_its_server(session: Session) -> None:
    server = session.spawn(SpawnOptions(workers=2))
    session.call("ping")
    session.close()
    assert ended(server.pid)


def test_a_worker_that_died_of_a_call_is_said_with_the_log(session: Session, tmp_path: Path) -> None:
    app = tmp_path / "dies.py"
    app.write_text("import os\nservice = {'die': lambda params: os._exit(3)}\n")
    server = session.spawn(SpawnOptions(workers=1, app=str(app)))
    with pytest.raises(ConnectionLost) as caught:
        session.call("die")
    assert caught.value.hint == f"the server goes on; its log is {server.log}"
