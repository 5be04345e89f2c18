"""Servers that are replaced one by one under clients that follow the registry: no call is lost or runs twice."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rpcwire import Goodbye, Reply
from rpcwire.worker_models import MODELS
from tests.fleet import SYNC_WORKERS, Fleet
from tests.servers import PATIENCE, PROBE_APP, Client
from tests.zookeeper import Ensemble, Serverset, ZooKeeper, why_not

pytestmark = pytest.mark.thorough

APP = (
    PROBE_APP
    + '''
import time

@service.method
def nap(path: str) -> int:
    """Take 50 ms."""
    time.sleep(0.05)
    return count(path)
'''
)
CLIENTS = SYNC_WORKERS


@dataclass
class Caller:
    """Clients in closed loops, each with a connection to a server that the registry names; what they have seen.

    A call goes on to the next server where it surely was not run: it was never sent, or `close` came in place of its
    reply. Anything else that is no reply is lost.
    """

    serverset: Serverset
    marks: Path
    addresses: tuple[str, ...] = ()
    replies: int = 0
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0
    served: dict[str, int] = field(default_factory=dict)
    knows: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(self) -> None:
        while not self.over.is_set():
            changed = threading.Event()
            members = self.serverset.members(lambda _event, changed=changed: changed.set())  # type: ignore[misc]
            # A registry that is empty takes nobody away.
            self.addresses = tuple(str(member.service_endpoint) for member in members.values()) or self.addresses
            if self.addresses:
                self.knows.set()
            while not (changed.wait(0.1) or self.over.is_set()):
                pass

    def call(self, number: int, method: str) -> None:
        turns = itertools.count(number)
        client, address = None, ""
        while not self.over.is_set():
            began, fate = time.monotonic(), None
            while fate is None:
                if client is None or address not in self.addresses:
                    if client is not None:
                        client.close()
                    client, address = self.connect(turns)
                fate = self.attempt(client, method)
                if fate != "reply":
                    client.close()
                    client = None
            with self.lock:
                self.longest = max(self.longest, time.monotonic() - began)
                self.replies += fate in {"reply", "last reply"}
                self.served[address] = self.served.get(address, 0) + 1
                if fate not in {"reply", "last reply"}:
                    self.lost.append(f"{address}: {fate}")
            self.over.wait(0.005)
        if client is not None:
            client.close()

    def connect(self, turns: Iterator[int]) -> tuple[Client, str]:
        deadline = time.monotonic() + PATIENCE
        while True:
            addresses = self.addresses
            address = addresses[next(turns) % len(addresses)]
            host, _, port = address.rpartition(":")
            try:
                return Client(socket.create_connection((host, int(port)), 0.5)), address
            except OSError:
                assert time.monotonic() < deadline

    def attempt(self, client: Client, method: str) -> str | None:
        """What became of a call; None where it was not run."""
        try:
            client.send(method, [str(self.marks)], close=True)
            received = client.receive()
        except OSError as error:
            return str(error)
        if isinstance(received, Goodbye):
            return None
        if not isinstance(received, Reply) or received.fault is not None:
            return str(received)
        return "last reply" if received.close else "reply"


@contextlib.contextmanager
def under_load(serverset: Serverset, marks: Path, *methods: str) -> Iterator[Caller]:
    caller = Caller(serverset, marks)
    marks.write_bytes(b"")
    follower = threading.Thread(target=caller.follow)
    follower.start()
    assert caller.knows.wait(PATIENCE)
    work = [(number, methods[number % len(methods)]) for number in range(CLIENTS)]
    threads = [threading.Thread(target=caller.call, args=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield caller
    finally:
        caller.over.set()
        for thread in (*threads, follower):
            thread.join(PATIENCE)


def deploy(serverset: Serverset, folder: Path, models: Sequence[str], rounds: int = 1) -> Caller:
    """Replace all servers under load; what the clients have seen."""
    marks = folder / "marks"
    with contextlib.ExitStack() as opened:
        fleet = Fleet(serverset, folder, models, opened, app=APP)
        with under_load(serverset, marks, "count", "nap") as caller:
            for number in list(range(len(models))) * rounds:
                fleet.replace(number)
        assert caller.lost == []
        assert caller.replies == marks.stat().st_size
        assert set(caller.served) == set(fleet.addresses)
    return caller


def test_a_rolling_deploy_loses_no_call(serverset: Serverset, tmp_path: Path) -> None:
    deploy(serverset, tmp_path, ("sync", "async"))


@pytest.mark.thorough
def test_a_rolling_deploy_loses_no_call_in_any_model(serverset: Serverset, tmp_path: Path) -> None:
    deploy(serverset, tmp_path, tuple(MODELS))


@pytest.mark.soak
@pytest.mark.parametrize("model", MODELS)
def test_deploy_after_deploy_loses_no_call(serverset: Serverset, tmp_path: Path, model: str) -> None:
    caller = deploy(serverset, tmp_path, [model] * 3, rounds=5)
    print(f"{model}: {caller.replies} calls, none lost, the longest took {caller.longest * 1000:.0f} ms")


@pytest.mark.soak
@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_zookeeper_that_goes_away_costs_no_call(own_zookeeper: ZooKeeper, tmp_path: Path, how: str) -> None:
    serverset = Serverset(own_zookeeper.hosts)
    with contextlib.closing(serverset), contextlib.ExitStack() as opened:
        fleet = Fleet(serverset, tmp_path, ["async"] * 3, opened, app=APP)
        with under_load(serverset, tmp_path / "marks", "count") as caller:
            if how == "killed":
                own_zookeeper.kill()
            else:
                own_zookeeper.signal(signal.SIGSTOP)
            for server in fleet.servers:
                server.wait_for_log("is away")
            until = caller.replies + 5_000
            while caller.replies < until:
                assert not caller.over.wait(0.1)
            if how == "killed":
                own_zookeeper.start()
            else:
                own_zookeeper.signal(signal.SIGCONT)
            for server in fleet.servers:
                server.wait_for_log("registered as", 2)
            serverset.wait_for_addresses(*fleet.addresses)
            for number in range(3):
                fleet.replace(number)
        assert caller.lost == []
        assert caller.replies == (tmp_path / "marks").stat().st_size


@pytest.mark.soak
def test_of_three_zookeepers_any_may_die(tmp_path: Path) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    ensemble = Ensemble(tmp_path / "zookeeper")
    with contextlib.ExitStack() as opened:
        opened.callback(ensemble.kill)
        ensemble.start()
        serverset = opened.enter_context(contextlib.closing(Serverset(ensemble.hosts)))
        fleet = Fleet(serverset, tmp_path, ["async"] * 3, opened, app=APP)
        with under_load(serverset, tmp_path / "marks", "count") as caller:
            for mode in ("follower", "leader"):
                owners = {name: serverset.node(name)[1].ephemeralOwner for name in serverset.members()}
                ensemble.find(mode).kill()
                until = caller.replies + 2_000
                while caller.replies < until:
                    assert not caller.over.wait(0.1)
                serverset.wait_for_addresses(*fleet.addresses)
                assert {name: serverset.node(name)[1].ephemeralOwner for name in owners} == owners
                fleet.replace(0)
                ensemble.start()
        assert caller.lost == []
        assert caller.replies == (tmp_path / "marks").stat().st_size
