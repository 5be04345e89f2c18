"""Socket activation and notifications, as a service manager does them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rpcserver.system.addresses import BindError
from rpcserver.system.systemd import AdoptedListener, Notifier, inherited_listeners
from tests.models import preloaded_too
from tests.servers import PATIENCE, Client

# Adopts what was passed to it, and says what that is and what is left in the environment.
ADOPTER = """
import json, os, sys
from rpcserver.system.addresses import BindError
from rpcserver.system.systemd import inherited_listeners
try:
    listeners = inherited_listeners()
except BindError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
print(json.dumps({
    "addresses": [listener.address for listener in listeners],
    "descriptors": [listener.fileno() for listener in listeners],
    "blocking": [listener.socket.getblocking() for listener in listeners],
    "inheritable": [listener.socket.get_inheritable() for listener in listeners],
    "environment": [name for name in os.environ if name.startswith("LISTEN_")],
}))
"""


def command(program: Sequence[str], passed: Sequence[socket.socket], **variables: str) -> list[str]:
    """A command line that runs a program with sockets from descriptor 3 on, and its own pid in LISTEN_PID."""
    # High copies first, so that none of the moves falls on one that is still needed.
    moves = [f"exec {50 + index}<&{passing.fileno()}" for index, passing in enumerate(passed)]
    moves += [f"exec {3 + index}<&{50 + index} {50 + index}<&-" for index in range(len(passed))]
    settings = {"LISTEN_FDS": str(len(passed)), "LISTEN_PID": "$$", **variables}
    exports = [f'export {name}="{value}"' for name, value in settings.items()]
    return ["/bin/bash", "-c", "; ".join([*moves, *exports, 'exec "$@"']), "activation", *program]


def adopt(*passed: socket.socket, **variables: str) -> dict[str, Any]:
    done = subprocess.run(
        command([sys.executable, "-P", "-c", ADOPTER], passed, **variables),
        pass_fds=[passing.fileno() for passing in passed],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_passed_sockets_are_adopted_in_their_order(listening: socket.socket, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        found = adopt(listening, unix, LISTEN_FDNAMES="calls:local")
    port = listening.getsockname()[1]
    assert found["addresses"] == [f"127.0.0.1:{port}", f"unix:{path}"]
    assert found["descriptors"] == [3, 4]
    assert found["blocking"] == found["inheritable"] == [False, False]
    assert found["environment"] == []
    assert path.exists()


def test_sockets_for_another_process_are_left_alone(listening: socket.socket) -> None:
    found = adopt(listening, LISTEN_PID="1")
    assert (found["addresses"], found["environment"]) == ([], [])


@pytest.mark.parametrize("meant_for", [{}, {"LISTEN_PID": "1"}])
def test_sockets_for_another_process_are_said_once(meant_for: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    environment = {"LISTEN_FDS": "1", **meant_for}
    assert inherited_listeners(environment) == inherited_listeners(environment) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "LISTEN_FDS are not used" in caplog.text


def test_without_passed_sockets_there_are_none(caplog: pytest.LogCaptureFixture) -> None:
    assert inherited_listeners({}) == []
    assert caplog.records == []


def test_an_abstract_address_is_written_with_an_at() -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0rpcserver-test-{os.getpid()}")
        unix.listen()
        assert adopt(unix)["addresses"] == [f"unix:@rpcserver-test-{os.getpid()}"]


@pytest.mark.parametrize("count", ["", "x", "-1", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 20])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(BindError, match="LISTEN_FDS"):
        inherited_listeners({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("kind", "hint"), [(socket.SOCK_STREAM, "Accept=no"), (socket.SOCK_DGRAM, "ListenStream=")], ids=["tcp", "udp"]
)
def test_a_socket_that_cannot_be_served_is_refused_by_its_name(kind: socket.SocketKind, hint: str) -> None:
    with socket.socket(socket.AF_INET, kind) as useless:
        useless.bind(("127.0.0.1", 0))
        error = adopt(useless, LISTEN_FDNAMES="calls")["error"]
    assert "descriptor 3 of LISTEN_FDS (calls)" in error
    assert hint in error


def test_a_descriptor_that_is_not_open_is_refused(listening: socket.socket) -> None:
    error = adopt(listening, LISTEN_FDS="2")["error"]
    assert "descriptor 4 of LISTEN_FDS" in error
    assert "no open socket" in error


def test_withdrawing_leaves_the_socket_to_the_next_server(listening: socket.socket) -> None:
    mine = listening.dup()
    mine.setblocking(False)
    listener = AdoptedListener(mine, "")
    with socket.create_connection(listening.getsockname(), PATIENCE):
        select.select([listening], [], [], PATIENCE)
        listener.withdraw()
        taken = listener.take_queued()
        listener.close()
    assert len(taken) == 1
    taken[0].close()
    with socket.create_connection(listening.getsockname(), PATIENCE):
        assert select.select([listening], [], [], PATIENCE)[0]


class Manager:
    """A service manager's notification socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def told(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@rpcserver-notify-{os.getpid()}")
    yield made
    made.close()


def test_the_manager_is_told_of_each_step(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, "OTHER": "1"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"OTHER": "1"}
    notifier.ready("4 workers\non 127.0.0.1:8080")
    assert manager.told() == {
        "READY": "1",
        "MAINPID": str(os.getpid()),
        "STATUS": "4 workers on 127.0.0.1:8080",
    }
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    told = manager.told()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    notifier.status("fine")
    assert manager.told() == {"STATUS": "fine"}
    notifier.stopping()
    assert manager.told()["STOPPING"] == "1"


def test_signs_of_life_come_twice_as_often_as_they_are_expected(manager: Manager) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000"})
    assert notifier.deadline is not None
    first = notifier.deadline
    notifier.run_due(first)
    assert manager.told() == {"WATCHDOG": "1"}
    assert notifier.deadline == first + 1.5
    notifier.run_due(first + 1.4)
    notifier.status("nothing came between")
    assert manager.told() == {"STATUS": "nothing came between"}


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)
def test_nobody_waits_for_signs_of_life_unless_it_says_so(manager: Manager, variables: dict[str, str]) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": manager.address, **variables}).deadline is None


def test_without_a_manager_nothing_is_sent() -> None:
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000"})
    notifier.ready("")
    assert notifier.deadline is None


@pytest.mark.parametrize("address", ["vsock:2:1234", "relative"])
def test_a_manager_that_cannot_be_reached_is_said_once(address: str, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_manager_that_is_gone_or_does_not_read_stops_nobody(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(manager.address)
    # Far more than the queue of a datagram socket takes: unix(7), max_dgram_qlen.
    for _ in range(2000):
        notifier.status("x" * 1000)
    manager.close()
    notifier.stopping()
    assert caplog.text.count("cannot be told") == 1


def test_a_server_that_leaves_says_so_once_and_is_not_ready_again(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.stopping()
    notifier.stopping()
    notifier.ready("too late")
    notifier.status("the end")
    assert manager.told()["STOPPING"] == "1"
    assert manager.told() == {"STATUS": "the end"}


@contextlib.contextmanager
def activated(listening: socket.socket, manager: Manager, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(
            [sys.executable, "-P", "-m", "rpcserver", "-w", "2", "--control", "none", *arguments],
            [listening],
            NOTIFY_SOCKET=manager.address,
        ),
        pass_fds=[listening.fileno()],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


@preloaded_too
@pytest.mark.samples(1)
def test_a_server_started_by_a_manager_serves_its_socket_and_leaves_it_open(
    preload: tuple[str, ...], listening: socket.socket, manager: Manager
) -> None:
    with activated(listening, manager, *preload) as process:
        told = manager.told()
        assert (told["READY"], told["MAINPID"]) == ("1", str(process.pid))
        with Client(socket.create_connection(listening.getsockname(), PATIENCE)) as client:
            assert client.call("ping", {"a": 1}).out == "pong"
        process.send_signal(signal.SIGHUP)
        assert manager.told()["RELOADING"] == "1"
        assert manager.told()["READY"] == "1"
        process.send_signal(signal.SIGTERM)
        assert manager.told()["STOPPING"] == "1"
        _, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, log.decode()
    with socket.create_connection(listening.getsockname(), PATIENCE):
        assert select.select([listening], [], [], PATIENCE)[0]
