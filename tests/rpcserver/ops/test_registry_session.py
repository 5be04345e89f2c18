"""One node in a real ZooKeeper, as the companion keeps it: what it reports, and whose node it touches."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from rpcserver.arbiter.registration import RegistryState, Report, Wish
from rpcwire.serverset import Endpoint, Instance, Member, encode_member, member_name
from tests.servers import PATIENCE
from tests.zookeeper import Serverset

ENDPOINT = Endpoint("10.0.0.1", 8080)
NAME = member_name(ENDPOINT)
MEMBER = encode_member(Member(ENDPOINT, rpc=Instance(model="async")))
OTHERS = encode_member(Member(ENDPOINT, rpc=Instance(model="sync")))


class Arbiter:
    """An arbiter as far as the companion knows it."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(PATIENCE)
        self._end = end
        self._wish = Wish()

    def tell(self, number: int, member: bytes | None) -> None:
        self._wish = Wish(number, member)
        self._answer()

    def wait_for(self, number: int, state: RegistryState, *, silent: bool = False) -> Report:
        """Wait for the report that a wish was heard, and of what came of it; answer those before it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            report = msgspec.msgpack.decode(self._end.recv(65536), type=Report)
            if (report.number, report.state) == (number, state):
                return report
            assert time.monotonic() < deadline, report
            if not silent:
                self._answer()

    def wait_until_reached(self) -> Report:
        """Wait for the first report that the registry was reached."""
        while not (report := msgspec.msgpack.decode(self._end.recv(65536), type=Report)).reached:
            self._answer()
        return report

    def _answer(self) -> None:
        self._end.send(msgspec.msgpack.encode(self._wish))


@pytest.fixture
def arbiter(serverset: Serverset) -> Iterator[Arbiter]:
    from kazoo.client import KazooClient
    from kazoo.security import OPEN_ACL_UNSAFE

    from rpcserver.ops.registry_session import LastWords, RegistryKeeper

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client = KazooClient(serverset.hosts, timeout=10.0)
    keeper = RegistryKeeper(theirs, client, serverset.path, NAME, OPEN_ACL_UNSAFE, LastWords())
    thread = threading.Thread(target=keeper.run)
    thread.start()
    yield Arbiter(ours)
    ours.close()
    thread.join(PATIENCE)
    client.stop()
    client.close()
    keeper.close()
    theirs.close()


def test_that_the_registry_is_reached_is_told_before_anything_is_done_there(arbiter: Arbiter) -> None:
    # A server that stops right then has to wait for its node to go.
    arbiter.tell(1, MEMBER)
    assert arbiter.wait_until_reached().state is RegistryState.CONNECTING
    assert arbiter.wait_for(1, RegistryState.REGISTERED).reached


def test_one_that_is_not_ready_takes_nobody_else_away(serverset: Serverset, arbiter: Arbiter) -> None:
    serverset.put(NAME, OTHERS, ephemeral=True)
    arbiter.wait_for(0, RegistryState.ABSENT)
    assert serverset.node(NAME)[0] == OTHERS
    arbiter.tell(1, MEMBER)
    arbiter.wait_for(1, RegistryState.REGISTERED)
    assert serverset.node(NAME)[0] == MEMBER
    assert serverset.node(NAME)[1].ephemeralOwner != serverset.client.client_id[0]


def test_what_a_former_session_has_left_goes_with_one_that_leaves(serverset: Serverset, arbiter: Arbiter) -> None:
    arbiter.wait_for(0, RegistryState.ABSENT)
    # As a companion that was started again hears it, after the arbiter has been registered.
    serverset.put(NAME, MEMBER, ephemeral=True)
    arbiter.tell(2, None)
    arbiter.wait_for(2, RegistryState.ABSENT)
    assert serverset.members() == {}


def test_a_node_that_another_server_took_is_left_to_it_until_it_goes(serverset: Serverset, arbiter: Arbiter) -> None:
    arbiter.tell(1, MEMBER)
    arbiter.wait_for(1, RegistryState.REGISTERED)
    change = serverset.client.transaction()
    change.delete(f"{serverset.path}/{NAME}")
    change.create(f"{serverset.path}/{NAME}", OTHERS, ephemeral=True)
    change.commit()
    report = arbiter.wait_for(1, RegistryState.ABSENT)
    assert "another server is registered as member_10.0.0.1:8080" in report.problem
    arbiter.tell(2, None)
    arbiter.wait_for(2, RegistryState.ABSENT)
    assert serverset.node(NAME)[0] == OTHERS
    arbiter.tell(3, MEMBER)
    serverset.remove(NAME)
    assert arbiter.wait_for(3, RegistryState.REGISTERED).problem == ""


def test_an_arbiter_that_says_nothing_is_not_vouched_for(serverset: Serverset, arbiter: Arbiter) -> None:
    arbiter.tell(1, MEMBER)
    arbiter.wait_for(1, RegistryState.REGISTERED)
    arbiter.wait_for(1, RegistryState.ABSENT, silent=True)
    assert serverset.members() == {}
    arbiter.tell(1, MEMBER)
    arbiter.wait_for(1, RegistryState.REGISTERED)
