"""Servers in a real ZooKeeper: there while they are ready and tick, and gone before they drain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, PROBE_APP, Server, all_gone, running, watched
from tests.way import Way
from tests.zookeeper import SESSION, Serverset

PASSWORD = "hunter2-is-no-password"  # noqa: S105


@contextlib.contextmanager
def registered(url: str, folder: Path, *options: str, bind: str = "127.0.0.2:0") -> Iterator[Server]:
    """A server that was told to register, and may be."""
    with running("--register", url, *options, folder=folder, bind=[bind]) as server:
        yield server


def name_of(server: Server) -> str:
    return f"member_{server.addresses[0]}"


def companion_of(server: Server) -> int:
    """The pid of the process that holds the session: the child that is no worker."""
    with steering(server) as arbiter:
        workers = {worker["pid"] for worker in arbiter.workers()}
    (pid,) = set(server.workers()) - workers
    return pid


def states(server: Server) -> tuple[str, str | None]:
    with steering(server) as arbiter:
        found = arbiter.status()["registration"]
    return found["state"], found["problem"]


def wait_for_state(server: Server, state: str) -> None:
    with steering(server) as arbiter:
        arbiter.wait_until(lambda status: status["registration"]["state"] == state)


def test_a_server_is_there_from_when_it_is_ready_until_it_is_told_to_stop(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path, "-m", "async", "-w", "2") as server:
        (member,) = serverset.wait_for_addresses(server.addresses[0]).values()
        assert (member.alive, member.address) == (True, f"tcp://{server.addresses[0]}")
        told = member.rpc
        assert (told.model, told.workers, told.weight, told.generation) == ("async", 2, 2, 0)
        assert (told.service, told.version, told.close, told.tls) == ("probe", "0", True, False)
        assert told.openrpc
        wait_for_state(server, "registered")
        with steering(server) as arbiter:
            assert "registered" in {event["kind"] for event in arbiter.call("arbiter.events", after=0)["events"]}
            arbiter.call("arbiter.scale", workers=3)
            serverset.wait_for(lambda members: [member.rpc.workers for member in members.values()] == [3])
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert serverset.members() == {}
        lines = server.log().splitlines()
        (left,) = (number for number, line in enumerate(lines) if "not registered at" in line)
        (drained,) = (number for number, line in enumerate(lines) if "workers have" in line)
        assert left < drained


@pytest.mark.thorough
def test_one_that_stops_at_once_leaves_nothing_behind(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path) as server:
        serverset.wait_for_addresses(server.addresses[0])
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert serverset.members() == {}


def test_a_reload_leaves_it_there_all_the_time(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path, "-w", "1") as server:
        serverset.wait_for_addresses(server.addresses[0])
        created = serverset.node(name_of(server))[1].czxid
        before = serverset.members()[name_of(server)].rpc.openrpc
        (tmp_path / "probe.py").write_text(PROBE_APP.replace("def blob", "def big_blob"))
        server.signal(signal.SIGHUP)
        members = serverset.wait_for(lambda members: [member.rpc.generation for member in members.values()] == [1])
        assert members[name_of(server)].rpc.openrpc != before
        assert serverset.node(name_of(server))[1].czxid == created


@pytest.mark.thorough
def test_a_server_whose_workers_stand_still_leaves_and_comes_back(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path, "-w", "2", "--timeout", "0") as server, steering(server) as arbiter:
        serverset.wait_for_addresses(server.addresses[0])
        workers = [worker["pid"] for worker in arbiter.workers()]
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            serverset.wait_for_addresses()
            wait_for_state(server, "absent")
            assert server.wait_for_log("2 of 2 ready workers are stalled")
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        serverset.wait_for_addresses(server.addresses[0])


@pytest.mark.thorough
def test_a_node_that_was_removed_or_changed_by_hand_comes_back(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path) as server:
        (member,) = serverset.wait_for_addresses(server.addresses[0]).values()
        serverset.remove(name_of(server))
        serverset.wait_for_addresses(server.addresses[0])
        serverset.put(name_of(server), b"nonsense")
        assert serverset.wait_for(lambda members: members) == {name_of(server): member}


@pytest.mark.thorough
def test_a_node_of_a_former_life_is_replaced_at_once(serverset: Serverset, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        address = f"127.0.0.2:{taken.getsockname()[1]}"
    serverset.put(f"member_{address}", b"{}", ephemeral=True)
    with registered(serverset.url, tmp_path, bind=address) as server:
        serverset.wait_for_addresses(server.addresses[0])
        # Whoever takes it in the same session is another server, with which it does not fight.
        serverset.remove(name_of(server))
        serverset.wait_for_addresses(server.addresses[0])
    with registered(serverset.url, tmp_path, "--advertise", address) as server:
        serverset.wait_for_addresses(address)
        with registered(serverset.url, tmp_path, "--advertise", address) as other:
            wait_for_state(other, "registered")
            server.wait_for_log("another server is registered as")
            assert states(server)[0] == "absent"
            other.signal(signal.SIGTERM)
            assert other.wait() == 0
        wait_for_state(server, "registered")


@pytest.mark.thorough
def test_a_companion_that_dies_is_started_again(serverset: Serverset, tmp_path: Path) -> None:
    with registered(serverset.url, tmp_path, "--register-session", "60") as server:
        serverset.wait_for_addresses(server.addresses[0])
        owner = serverset.node(name_of(server))[1].ephemeralOwner
        os.kill(companion_of(server), signal.SIGKILL)
        server.wait_for_log("registry companion")
        server.wait_for_log("registered as", 2)
        serverset.wait_for(lambda _members: serverset.node(name_of(server))[1].ephemeralOwner != owner)


@pytest.mark.thorough
def test_the_companion_dies_with_the_arbiter_and_the_node_with_its_session(
    serverset: Serverset, tmp_path: Path
) -> None:
    with registered(serverset.url, tmp_path, "--register-session", str(SESSION)) as server:
        serverset.wait_for_addresses(server.addresses[0])
        with watched([companion_of(server)]) as companion:
            server.signal(signal.SIGKILL)
            assert all_gone(companion, PATIENCE)
        serverset.wait_for_addresses()


@pytest.mark.thorough
def test_a_server_that_is_stopped_as_a_whole_leaves_with_its_session_and_comes_back(
    serverset: Serverset, tmp_path: Path
) -> None:
    with registered(serverset.url, tmp_path, "--register-session", str(SESSION)) as server:
        serverset.wait_for_addresses(server.addresses[0])
        processes = [server.pid, *server.workers()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        serverset.wait_for_addresses()
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        serverset.wait_for_addresses(server.addresses[0])


@pytest.mark.thorough
def test_a_registry_that_is_away_at_the_start_is_said_once_and_joined_later(
    serverset: Serverset, way: Way, tmp_path: Path
) -> None:
    way.cut()
    with registered(serverset.by(way), tmp_path) as server:
        server.wait_for_log("is not reached: the server serves without it")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert states(server)[0] == "connecting"
        way.mend()
        serverset.wait_for_addresses(server.addresses[0])
        assert server.wait_for_log("registered as").count("is not reached") == 1


def test_a_registry_that_goes_away_takes_nothing_along(serverset: Serverset, way: Way, tmp_path: Path) -> None:
    with registered(serverset.by(way), tmp_path, "--register-session", str(SESSION)) as server:
        # The registry has it before the server has heard so, and is not reached instead of away for one that has not.
        wait_for_state(server, "registered")
        owner = serverset.node(name_of(server))[1].ephemeralOwner
        way.cut()
        server.wait_for_log("is away")
        assert states(server)[0] == "away"
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        serverset.wait_for_addresses()
        way.mend()
        serverset.wait_for_addresses(server.addresses[0])
        assert serverset.node(name_of(server))[1].ephemeralOwner != owner
        wait_for_state(server, "registered")
        way.hold()
        server.wait_for_log("is away", 2)
        way.mend()
        wait_for_state(server, "registered")


@pytest.mark.thorough
def test_a_stop_waits_for_no_registry_that_is_away(serverset: Serverset, way: Way, tmp_path: Path) -> None:
    with registered(serverset.by(way), tmp_path, "--register-session", "60") as server:
        serverset.wait_for_addresses(server.addresses[0])
        way.hold()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        way.mend()


@pytest.mark.thorough
def test_calls_that_come_while_the_registry_forgets_a_server_are_answered(serverset: Serverset, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with registered(serverset.url, tmp_path, "-m", "thread", "--drain-settle", "60") as server:
        serverset.wait_for_addresses(server.addresses[0])
        with server.connect() as client:
            gate.hold(client)
            server.signal(signal.SIGTERM)
            serverset.wait_for_addresses()
            with server.connect() as late:
                assert late.call("echo", 1).result == 1
            gate.release(client)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def credentials(folder: Path, acl: str = "") -> Path:
    file = folder / "credentials.toml"
    file.write_text(f'user = "calc"\npassword = "{PASSWORD}"\n{acl}')
    file.chmod(0o600)
    return file


@pytest.mark.thorough
def test_a_node_belongs_to_the_user_of_the_file_and_nothing_says_the_password(
    serverset: Serverset, tmp_path: Path
) -> None:
    options = ("--register-credentials", str(credentials(tmp_path)), "--log-level", "debug")
    with registered(serverset.url, tmp_path, *options) as server:
        serverset.wait_for_addresses(server.addresses[0])
        acl, _ = serverset.client.get_acls(f"{serverset.path}/{name_of(server)}")
        assert [(entry.perms, entry.id.scheme, entry.id.id) for entry in acl] == [
            # ZooKeeper does not say what the password's digest is.
            (31, "digest", "calc:x"),
            (1, "world", "anyone"),
        ]
        with steering(server) as arbiter:
            told = str(arbiter.status())
        processes = [server.pid, *server.workers()]
        told += "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in processes)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert PASSWORD not in told + server.log()


@pytest.mark.thorough
def test_a_server_that_may_not_write_says_what_to_do(serverset: Serverset, tmp_path: Path) -> None:
    from kazoo.security import make_acl

    serverset.client.ensure_path(serverset.path)
    serverset.client.set_acls(serverset.path, [make_acl("world", "anyone", read=True)])
    with registered(serverset.url, tmp_path) as server:
        server.wait_for_log("ZooKeeper does not let this server write there: see --register-credentials")
        assert states(server)[0] == "absent"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.thorough
def test_the_session_may_speak_tls(serverset: Serverset, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with tls_before(serverset.hosts, authority) as port:
        url = f"zks://localhost:{port}{serverset.path}"
        with registered(url, tmp_path, "--register-ca", str(tmp_path / "ca.pem")) as server:
            serverset.wait_for_addresses(server.addresses[0])
        with registered(url, tmp_path) as server:
            server.wait_for_log("certificate verify failed")


@contextlib.contextmanager
def tls_before(hosts: str, authority: trustme.CA) -> Iterator[int]:
    """A port at which TLS is spoken, and taken off before a ZooKeeper."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    host, _, port = hosts.rpartition(":")

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            try:
                client = context.wrap_socket(accepted, server_side=True)
            except OSError:
                accepted.close()
                continue
            server = socket.create_connection((host, int(port)))
            ends = [(client, server), (server, client)]
            threads.extend(threading.Thread(target=carry, args=pair, daemon=True) for pair in ends)
            open_sockets.extend((client, server))
            for thread in threads[-2:]:
                thread.start()

    threads: list[threading.Thread] = []
    open_sockets: list[socket.socket] = []
    with socket.create_server(("localhost", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(PATIENCE)
    for connection in open_sockets:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(PATIENCE)
    for connection in open_sockets:
        connection.close()
