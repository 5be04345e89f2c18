"""Finding and steering servers of one's own; the servers are real."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rpcshell.client.errors import CallError, ConnectionFailed, NotConnected, UsageError
from rpcshell.client.target import Target, UnixTarget
from rpcshell.servers import directory
from rpcshell.servers.control import Control
from rpcshell.servers.directory import (
    LocalServer,
    SilentServer,
    ask_local_servers,
    control_folders,
    server_of,
    servers_at,
    sorted_servers,
)
from rpcshell.servers.listeners import listens_at
from rpcshell.servers.processes import is_stopped
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.dialect_finder import is_own_server
from rpcshell.shell.session import Session
from rpcshell.shell.supervisor import Supervisor
from rpcwire.control import ListenerStatus, ServerStatus, TotalStatus
from tests.forks import Forks
from tests.rpcshell.peers import DEADLINE, Peer, PeerServer, serving
from tests.servers import running, until

NOBODY = 65534

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture(scope="module")
def server(forked: Forks) -> Iterator[SpawnedServer]:
    started = SpawnedServer.start(SpawnOptions(2))
    yield started
    started.stop()


def fill_queue(path: str) -> None:
    with contextlib.ExitStack() as asking, contextlib.suppress(BlockingIOError):
        while True:
            client = asking.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(path)


def local_servers() -> list[LocalServer]:
    return sorted_servers(ask_local_servers(DEADLINE))


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
            control.kill_worker(99)


@pytest.mark.parametrize("abstract", [True, False], ids=["abstract", "file"])
def test_a_server_whose_sockets_have_names_that_are_no_utf8_is_found_and_steered(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    written = f"unix:@rpcshell-\\udce9-{os.getpid()}" if abstract else f"unix:{tmp_path}/caf\\udce9/calc.sock"
    started = SpawnedServer.start(SpawnOptions(1, bind=(written,)))
    session = Session()
    try:
        assert started.addresses == (written,)
        control = path_of(started)
        assert control == f"{tmp_path}/caf\\udce9/rpcserver/{started.pid}.sock"
        for given in (written, written.replace("\\udce9", "\udce9")):
            session.connect(given)
            assert session.call("ping", 1).result == 1
            assert str(session.target) == written
            assert Supervisor(session).path() == control
        supervisor = Supervisor(session)
        for name in (written, control, str(started.pid)):
            assert supervisor.attach(name).path == control
        assert supervisor.names_server(control)
        with supervisor.control() as steered:
            assert steered.status().listeners[0].address == written
    finally:
        session.close()
        started.stop()


def test_a_server_at_an_abstract_socket_is_started_found_and_steered() -> None:
    address = f"unix:@rpcshell-test-{os.getpid()}"
    started = SpawnedServer.start(SpawnOptions(1, bind=(address,)))
    session = Session()
    try:
        assert started.addresses == (address,)
        session.connect(address)
        assert session.call("ping", 1).result == 1
        assert Supervisor(session).path() == path_of(started)
        assert Supervisor(session).attach(address).status.pid == started.pid
        assert not listens_at(address, Target.parse(f"{address}2"))
        assert not listens_at(address, UnixTarget(str(Path.cwd() / address.removeprefix("unix:"))))
    finally:
        session.close()
        started.stop()
    with pytest.raises(ConnectionFailed):
        Session().connect(address)


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
    dead = Path(path_of(server)).with_name(f"{2**22 + os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    try:
        found = local_servers()
    finally:
        dead.unlink(missing_ok=True)
    assert server.pid in [one.status.pid for one in found]
    assert str(dead) not in [one.path for one in found]


def test_of_two_servers_at_one_address_the_first_by_process_id_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "rpcserver"
    folder.mkdir(0o700)
    other_told = threading.Event()
    # One that is late is waited for where its process listens there.
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"

    def tell(peer: Peer, pid: int) -> None:
        listeners = [ListenerStatus(address)]
        status = ServerStatus(pid=pid, model="sync", workers=[], totals=TotalStatus(), listeners=listeners)
        peer.answer(msgspec.to_builtins(status))

    def tell_first(peer: Peer) -> None:
        tell(peer, 2)
        peer.wait_for_end()
        other_told.set()

    def tell_later(peer: Peer) -> None:
        other_told.wait(DEADLINE)
        tell(peer, 1)

    with (
        listener,
        serving(tell_first, unix=folder / "2.sock"),
        serving(tell_later, unix=folder / "1.sock"),
        contextlib.closing(Session()) as session,
    ):
        assert Supervisor(session).path(Target.parse(address)) == str(folder / "1.sock")


class Silence:
    """A server of this process that takes what its control socket is asked, and says nothing."""

    def __init__(self) -> None:
        self.given_up = threading.Event()

    def __call__(self, peer: Peer) -> None:
        if peer.read() is not None:
            peer.wait_for_end()
            self.given_up.set()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells where a process listens")
@pytest.mark.parametrize("at", ["tcp", "unix"])
def test_a_server_that_is_silent_holds_up_nobody_who_asks_about_another(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(directory, "_STATUS_TIMEOUT", 3600.0)
    silence = Silence()
    where = {"tcp": "127.0.0.1:0", "unix": f"unix:{tmp_path}/calc.sock"}[at]
    with (
        running("-w", "1", folder=tmp_path, bind=(where,)) as server,
        serving(silence, unix=tmp_path / "rpcserver" / "0.sock"),
        contextlib.closing(Session()) as session,
    ):
        supervisor = Supervisor(session)
        target = Target.parse(server.addresses[0])
        assert Path(supervisor.path(target)).stem == str(server.pid)
        for name in (str(server.pid), str(target)):
            assert supervisor.attach(name).status.pid == server.pid
        strange = Target.parse("127.0.0.1:1")
        assert not is_own_server(strange)
        with pytest.raises(UsageError, match="no server of yours"):
            supervisor.path(strange)
        assert not silence.given_up.is_set()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells where a process listens")
def test_a_server_that_is_silent_is_named_to_whoever_asks_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(directory, "_STATUS_TIMEOUT", 0.3)
    path = tmp_path / "rpcserver" / f"{os.getpid()}.sock"
    path.parent.mkdir(0o700)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        serving(Peer.wait_for_end, unix=path),
        contextlib.closing(Session()) as session,
    ):
        target = Target.parse(f"127.0.0.1:{listener.getsockname()[1]}")
        told = f"does not say what it is: its process is {os.getpid()}"
        with pytest.raises(UsageError, match=f"^{target} {told}$"):
            Supervisor(session).path(target)
        with pytest.raises(UsageError, match=f"^the server {told}$"):
            Supervisor(session).attach(str(os.getpid()))
        assert server_of(os.getpid()) == SilentServer(os.getpid())


def test_where_nothing_tells_who_listens_a_silent_server_is_waited_for_until_the_one_is_found(
    server: SpawnedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_STATUS_TIMEOUT", 3600.0)
    monkeypatch.setattr(directory, "listener_at", lambda _path: None)
    silence = Silence()
    with serving(silence, unix=Path(path_of(server)).with_name(f"{2**22 + os.getpid()}.sock")):
        target = Target.parse(server.addresses[0])
        found = servers_at([target])[target]
        assert isinstance(found, LocalServer)
        assert found.status.pid == server.pid
        assert not silence.given_up.is_set()


def test_a_server_is_found_once_where_two_paths_lead_to_its_control_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    # Where servers go whose paths are too long elsewhere.
    link.symlink_to(Path("/", "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(link))
    with running("-w", "1", folder=tmp_path, env={"XDG_RUNTIME_DIR": str(tmp_path / ("x" * 90))}) as server:
        name = Path(str(server.ready["control"]).removeprefix("unix:")).name
        assert len([folder for folder in control_folders() if (folder / name).exists()]) == 2
        assert [one.status.pid for one in local_servers()].count(server.pid) == 1


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells of stopped processes")
@pytest.mark.parametrize("asked", ["for the first time", "until its queue is full"])
def test_a_server_whose_arbiter_is_stopped_is_said_to_stand_still(server: SpawnedServer, asked: str) -> None:
    session = Session(plain=True)
    session.connect(server.addresses[0])
    supervisor = Supervisor(session)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        until(lambda: is_stopped(server.pid))
        if asked == "until its queue is full":
            fill_queue(path_of(server))
        with pytest.raises(UsageError, match=rf"{session.target} stands still: its process {server.pid} is stopped"):
            supervisor.control()
        with pytest.raises(UsageError, match=f"process {server.pid} is stopped") as refused:
            supervisor.attach(str(server.pid))
        assert refused.value.hint == f"kill -CONT {server.pid} has it go on"
        assert servers_at([Target.parse("127.0.0.1:1")]) == {}
    finally:
        os.kill(server.pid, signal.SIGCONT)
        session.close()


def test_a_control_socket_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no socket"):
        Control(str(tmp_path / "file"))
    with Control(str(tmp_path / "nothing")) as control, pytest.raises(ConnectionFailed):
        control.status()


@contextlib.contextmanager
def impostor(path: Path, claims: SpawnedServer) -> Iterator[list[Any]]:
    """A control socket that is another user's, though the file is not, and says that it steers a server of this user's.

    Yields:
        What it is sent.
    """
    asked: list[Any] = []
    with Control(path_of(claims)) as control:
        status = msgspec.to_builtins(control.status()) | {"pid": 1}

    def claim(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            asked.append(request)
            peer.send({"out": "pong", "result": status})

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    # unix(7): SO_PEERCRED tells who has called listen(2).
    os.seteuid(NOBODY)
    try:
        listener.listen()
    finally:
        os.seteuid(0)
    with contextlib.closing(PeerServer(listener, UnixTarget(str(path)), (claim,), None)):
        yield asked


@only_root
def test_another_users_process_is_told_nothing_wherever_its_socket_is(
    server: SpawnedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "rpcserver" / "1.sock"
    path.parent.mkdir(0o700)
    with impostor(path, server) as asked, contextlib.closing(Session()) as session:
        supervisor = Supervisor(session)
        assert str(path) not in [found.path for found in local_servers()]
        for name in ("1", str(path)):
            with pytest.raises(UsageError, match=r"another user's|no server of yours"):
                supervisor.attach(name)
        with Control(str(path)) as control, pytest.raises(UsageError, match=f"another user's \\(uid {NOBODY}\\)"):
            control.stop()
        assert asked == []
