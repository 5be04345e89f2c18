"""Finding and steering servers of one's own; the servers are real."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, ConnectionFailed, NotConnected, UsageError
from rpcshell.client.target import Target
from rpcshell.servers.control import Control
from rpcshell.servers.directory import listens_at, local_servers
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.supervisor import Supervisor


@pytest.fixture(scope="module")
def server() -> Iterator[SpawnedServer]:
    started = SpawnedServer.start(SpawnOptions(2))
    yield started
    started.stop()


def path_of(server: SpawnedServer) -> str:
    assert server.control is not None
    return server.control


def test_a_control_tells_what_the_server_and_its_workers_do(server: SpawnedServer) -> None:
    with Control(path_of(server)) as control:
        status = control.status()
    assert (status.pid, status.model, status.wanted) == (server.pid, "sync", 2)
    assert [worker.worker for worker in status.workers] == [1, 2]
    assert all(worker.pid != server.pid and worker.memory > 0 for worker in status.workers)
    assert status.listeners[0].address == server.addresses[0]
    found = status.find(2)
    assert found is not None
    assert found.worker == 2
    assert status.find(3) is None


def test_a_control_steers(server: SpawnedServer) -> None:
    with Control(path_of(server)) as control:
        assert control.scale(3) == 2
        assert control.status().wanted == 3
        killed = control.kill_worker(3, "CONT")
        assert (killed.worker, killed.signal) == (3, "CONT")
        assert control.scale(2) == 3
        assert any("listening" in line.lower() or "ready" in line.lower() for line in control.logs(50))
        with pytest.raises(CallError, match="no worker 99"):
            control.stop_worker(99)


def test_the_server_that_a_session_talks_to_is_found_by_its_address(server: SpawnedServer) -> None:
    port = server.addresses[0].rpartition(":")[2]
    session = Session()
    try:
        session.connect(f"localhost:{port}")
        assert Supervisor(session).path() == path_of(server)
    finally:
        session.close()


@pytest.mark.parametrize("form", ["pid", "address", "socket"])
def test_attaching_joins_a_server_however_it_is_named(server: SpawnedServer, form: str) -> None:
    name = {"pid": str(server.pid), "address": server.addresses[0], "socket": path_of(server)}[form]
    session = Session()
    try:
        supervisor = Supervisor(session)
        assert supervisor.attach(name).status.pid == server.pid
        assert str(session.target) == server.addresses[0]
        with supervisor.control() as control:
            assert control.status().pid == server.pid
    finally:
        session.close()


def test_local_servers_leave_out_what_does_not_answer(server: SpawnedServer, tmp_path: Path) -> None:
    dead = Path(path_of(server)).with_name(f"{2**22 + 1}.sock")
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    try:
        found = local_servers()
    finally:
        dead.unlink(missing_ok=True)
    assert server.pid in [one.status.pid for one in found]
    assert str(dead) not in [one.path for one in found]


def test_what_is_not_the_users_own_on_this_machine_is_refused() -> None:
    session = Session()
    with pytest.raises(NotConnected):
        Supervisor(session).path()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        session = Session(plain=True)
        try:
            session.connect(f"127.0.0.1:{stranger.getsockname()[1]}")
            with pytest.raises(UsageError, match="no server of yours"):
                Supervisor(session).control()
        finally:
            session.close()
    with pytest.raises(UsageError, match="no server of yours on this machine is '999999999'"):
        Supervisor(session).attach("999999999")


def test_a_control_socket_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no socket"):
        Control(str(tmp_path / "file"))
    with Control(str(tmp_path / "nothing")) as control, pytest.raises(ConnectionFailed):
        control.status()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a socket another user's")
def test_another_users_server_is_not_touched() -> None:
    # The folders of tests are closed to others, and this one looks at a socket as another user.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)
        theirs = f"{folder}/theirs.sock"
        listener.bind(theirs)
        child = os.fork()
        if not child:
            os.seteuid(65534)
            try:
                Control(theirs)
            except UsageError as error:
                os._exit(0 if "another user's" in error.message else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("address", "target", "same"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "localhost:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "192.0.2.1:80", False),
        ("[::1]:80", "[::1]:80", True),
        ("tls://127.0.0.1:80", "tls://localhost:80", True),
        ("unix:/tmp/a", "unix:/tmp/a", True),
        ("unix:/tmp/a", "127.0.0.1:80", False),
        ("what is this", "127.0.0.1:80", False),
    ],
)
def test_an_address_of_a_server_is_told_from_others(address: str, target: str, same: bool) -> None:
    assert listens_at(address, Target.parse(target)) is same
