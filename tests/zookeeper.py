"""A real ZooKeeper for tests: one server a run, and a path of it a test.

`from tests.zookeeper import …`: the fixtures are known everywhere (`tests/conftest.py`). Tests that kill or stop the
server itself start one of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rpcwire import InvalidMember
from rpcwire.serverset import Member, ServersetAddress, decode_member, is_member_name
from tests.servers import PATIENCE
from tests.way import Way

JAR = Path("/usr/share/java/zookeeper.jar")
JAVA = shutil.which("java")

SESSION = 1.0
"""Seconds after which the server forgets who is silent, where a test wants to see it; it takes 0.4 to 60."""

_CONFIGURATION = """
dataDir={folder}
clientPortAddress=127.0.0.1
clientPort={port}
tickTime=200
maxSessionTimeout=60000
maxClientCnxns=0
admin.enableServer=false
preAllocSize=64
"""
_JAVA = ("-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dzookeeper.forceSync=no")
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_KEEPER = """
import os, select, subprocess, sys
if os.fork():
    os._exit(0)
owner = os.pidfd_open(int(sys.argv[1]))
server = subprocess.Popen(sys.argv[2:], stdout=2)
print(server.pid, flush=True)
os.close(1)
select.select([owner, os.pidfd_open(server.pid)], [], [])
server.kill()
"""
"""Starts the server, says its pid, and ends it with the process that it is for, which need not be who started it."""


def why_not() -> str | None:
    """Why there is no ZooKeeper here, or None."""
    if JAVA is None or not JAR.exists():
        return "ZooKeeper is not installed: apt install zookeeper"
    if importlib.util.find_spec("kazoo") is None:
        return "kazoo is not installed: pip install 'rpcshell[zookeeper]'"
    return None


class ZooKeeper:
    """A ZooKeeper server, which may be killed and started again: what it is told outlives it.

    Args:
        folder: where it keeps that.
        owner: with which process it ends at the latest; this one unless given.
        ensemble: more of its configuration, where it is one of several.
    """

    def __init__(self, folder: Path, owner: int | None = None, ensemble: str = "") -> None:
        self._folder = folder
        self._owner = owner or os.getpid()
        self._ensemble = ensemble
        self.port = 0
        self.pid = 0

    @property
    def hosts(self) -> str:
        """Its address, as kazoo takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def mode(self) -> str:
        """What it is: standalone, leader or follower; nothing where it does not serve."""
        return _mode(self.port)

    def start(self, *, wait: bool = True) -> None:
        """Start it, where it was before, and wait until it answers."""
        for _ in range(10):
            if self._has_started(wait):
                return
        raise AssertionError(f"ZooKeeper does not start: {(self._folder / 'output').read_text()}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with _pidfd(self.pid) as process:
            signal.pidfd_send_signal(process, number)

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError), _pidfd(self.pid) as process:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            assert select.select([process], [], [], PATIENCE)[0]

    def _has_started(self, wait: bool) -> bool:
        before, port = self.port, self.port or _free_port()
        configuration = self._folder / "zoo.cfg"
        configuration.write_text(_CONFIGURATION.format(folder=self._folder / "data", port=port) + self._ensemble)
        keeper = (sys.executable, "-I", "-S", "-c", _KEEPER, str(self._owner))
        server = (str(JAVA), *_JAVA, "-cp", str(JAR), _MAIN, str(configuration))
        with (self._folder / "output").open("ab") as output:
            told = subprocess.run(
                [*keeper, *server], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, check=True
            )
        self.pid = int(told.stdout)
        # One that ends has lost its port to somebody else meanwhile.
        self.port = port
        if wait and not self.wait_until_it_serves():
            self.port = before
            return False
        return True

    def wait_until_it_serves(self) -> bool:
        """Wait until it serves; False where it ends."""
        with contextlib.suppress(ProcessLookupError), _pidfd(self.pid) as process:
            while not self.mode:
                if select.select([process], [], [], 0.02)[0]:
                    return False
            return True
        return False


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _mode(port: int) -> str:
    """What the ZooKeeper there says that it is, to a word of four letters; nothing where none serves."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(b"srvr")
            found = re.search(rb"Mode: (\w+)", connection.recv(65536, socket.MSG_WAITALL))
    except OSError:
        return ""
    return "" if found is None else found[1].decode()


class Ensemble:
    """Three ZooKeeper servers of one ensemble.

    Args:
        folder: where they keep what they are told.
    """

    def __init__(self, folder: Path) -> None:
        peers = "".join(f"server.{number}=127.0.0.1:{_free_port()}:{_free_port()}\n" for number in (1, 2, 3))
        self.servers: list[ZooKeeper] = []
        for number in (1, 2, 3):
            own = folder / str(number)
            (own / "data").mkdir(parents=True)
            (own / "data/myid").write_text(str(number))
            self.servers.append(ZooKeeper(own, ensemble=f"initLimit=50\nsyncLimit=25\n{peers}"))

    @property
    def hosts(self) -> str:
        """Their addresses, as kazoo takes them."""
        return ",".join(server.hosts for server in self.servers)

    def start(self) -> None:
        """Start all that do not run, and wait until each is a leader or a follower."""
        down = [server for server in self.servers if not server.mode]
        for server in down:
            server.start(wait=False)
        for server in down:
            server.wait_until_it_serves()

    def find(self, mode: str) -> ZooKeeper:
        """One of the servers that is that, as leader."""
        return next(server for server in self.servers if server.mode == mode)

    def kill(self) -> None:
        """Kill all."""
        for server in self.servers:
            server.kill()


class Serverset:
    """A path of a test's own, and what is there.

    Args:
        hosts: the ZooKeeper.
    """

    def __init__(self, hosts: str) -> None:
        from kazoo.client import KazooClient
        from kazoo.retry import KazooRetry

        self.hosts = hosts
        self.path = f"/test-{uuid.uuid4().hex}/calc"
        self.client: Any = KazooClient(hosts, timeout=10.0)
        self.client.start(PATIENCE)
        # Its session ends too where a ZooKeeper stands still, and the next one has to see.
        self.retry = KazooRetry(max_tries=-1, max_delay=0.5, deadline=PATIENCE)

    @property
    def url(self) -> str:
        """Its address."""
        return f"zk://{self.hosts}{self.path}"

    def by(self, way: Way) -> str:
        """Its address by way of something that can be cut."""
        return str(ServersetAddress.parse(f"zk://{way.hosts}{self.path}"))

    def wait_for(self, condition: Callable[[dict[str, Member]], object]) -> dict[str, Member]:
        """Wait until its members, by the names of their nodes, are as wanted, and return them."""
        deadline = time.monotonic() + PATIENCE
        while True:
            changed = threading.Event()
            members = self.members(partial(_set, changed))
            if condition(members):
                return members
            assert changed.wait(max(0.0, deadline - time.monotonic())), f"the members stay {members}"

    def wait_for_addresses(self, *addresses: str) -> dict[str, Member]:
        """Wait until exactly the servers with these addresses, `host:port`, are there."""
        return self.wait_for(
            lambda members: {str(member.service_endpoint) for member in members.values()} == set(addresses)
        )

    def members(self, watch: Callable[[object], None] | None = None) -> dict[str, Member]:
        """Its members; `watch` is called once when they are others."""
        from kazoo.exceptions import NoNodeError

        try:
            names = self.retry(self.client.get_children, self.path, watch=watch)
        except NoNodeError:
            if self.retry(self.client.exists, self.path, watch=watch) is None:
                return {}
            return self.members(watch)
        found = {}
        for name in filter(is_member_name, names):
            with contextlib.suppress(NoNodeError, InvalidMember):
                found[name] = decode_member(self.retry(self.client.get, f"{self.path}/{name}", watch=watch)[0])
        return found

    def node(self, name: str) -> tuple[bytes, Any]:
        """What a node holds, and what ZooKeeper tells about it."""
        found: tuple[bytes, Any] = self.client.get(f"{self.path}/{name}")
        return found

    def put(self, name: str, data: bytes, *, ephemeral: bool = False) -> None:
        """Make a node, or change what it holds."""
        node = f"{self.path}/{name}"
        if self.client.exists(node) is None:
            self.client.create(node, data, ephemeral=ephemeral, makepath=True)
        else:
            self.client.set(node, data)

    def remove(self, name: str) -> None:
        """Remove a node."""
        self.client.delete(f"{self.path}/{name}")

    def close(self) -> None:
        """Remove all of it that may be."""
        from kazoo.exceptions import NoAuthError

        with contextlib.suppress(NoAuthError):
            self.client.delete(self.path.rpartition("/")[0], recursive=True)
        self.client.stop()
        self.client.close()


def _set(changed: threading.Event, _event: object) -> None:
    changed.set()


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the run's ZooKeeper, which all of its processes share, and which ends with the run."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    of_many = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent if of_many else tmp_path_factory.getbasetemp()
    told = folder / "zookeeper.address"
    with (folder / "zookeeper.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            (folder / "zookeeper").mkdir()
            server = ZooKeeper(folder / "zookeeper", os.getppid() if of_many else os.getpid())
            server.start()
            told.write_text(server.hosts)
    return told.read_text()


@pytest.fixture
def serverset(zookeeper: str) -> Iterator[Serverset]:
    """A path of the test's own in the run's ZooKeeper."""
    found = Serverset(zookeeper)
    yield found
    found.close()


@pytest.fixture
def own_zookeeper(tmp_path: Path) -> Iterator[ZooKeeper]:
    """A ZooKeeper that the test may kill."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    folder = tmp_path / "zookeeper"
    folder.mkdir()
    server = ZooKeeper(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def way(zookeeper: str) -> Iterator[Way]:
    """A way to the run's ZooKeeper that can be cut."""
    found = Way(int(zookeeper.rpartition(":")[2]))
    yield found
    found.close()
