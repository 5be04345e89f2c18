"""Fleets that are found: in a real ZooKeeper, which comes and goes, and in a DNS that a test answers for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rpcshell import ConnectionFailed, FleetEvent, UsageError, connect, connect_async
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.fleet.sources import source_of
from rpcshell.client.target import ServersetTarget
from rpcwire.serverset import Endpoint, Instance, Member, encode_member, member_name
from tests.rpcshell.client.test_fleet_clients import named
from tests.rpcshell.client.test_sharing import in_child
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, PeerServer, free_port, serving
from tests.way import Way
from tests.zookeeper import Serverset


def endpoint(server: PeerServer) -> Endpoint:
    host, _, port = str(server.target).rpartition(":")
    return Endpoint(host, int(port))


def register(serverset: Serverset, server: PeerServer, **told: Any) -> str:
    where = endpoint(server)
    name = member_name(where)
    serverset.put(name, encode_member(Member(where, rpc=Instance(address=f"tcp://{where}", **told))))
    return name


class Heard:
    """What a client tells of its fleet."""

    def __init__(self) -> None:
        self.events: queue.Queue[FleetEvent] = queue.Queue()

    def until(self, kind: str) -> FleetEvent:
        while (event := self.events.get(timeout=DEADLINE)).kind != kind:
            pass
        return event


@contextlib.contextmanager
def two() -> Iterator[tuple[PeerServer, PeerServer]]:
    with serving(named("a")) as first, serving(named("b")) as second:
        yield first, second


@pytest.fixture(autouse=True)
def _nobody_is_left_behind() -> Iterator[None]:
    """Hold that whoever watched a registry ends with its client, or where connecting failed and there is none."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(("watch ", "look up ")):
            thread.join(DEADLINE)
            assert not thread.is_alive()


@pytest.mark.thorough
def test_calls_go_to_who_is_registered(serverset: Serverset, connect: Connect) -> None:
    with two() as (first, second):
        register(serverset, first, weight=3, model="async", workers=4, version="1.2")
        register(serverset, second)
        with connect(serverset.url) as client:
            assert {client.call("who") for _ in range(60)} == {"a", "b"}
            told = {
                state.target: (state.weight, state.model, state.workers, state.version) for state in client.instances
            }
            assert told == {first.target: (3, "async", 4, "1.2"), second.target: (1, "", 0, "")}


def test_who_comes_and_goes_and_changes_is_told(serverset: Serverset) -> None:
    with two() as (first, second):
        register(serverset, first)
        heard = Heard()
        with connect(serverset.url) as client:
            client.on_change(heard.events.put)
            client.let_go()
            assert not client.connected
            name = register(serverset, second)
            assert heard.until("added").instance.target == second.target
            assert {client.call("who") for _ in range(60)} == {"a", "b"}
            register(serverset, second, weight=5)
            assert heard.until("updated").instance.weight == 5
            serverset.remove(name)
            assert heard.until("removed").instance.target == second.target
            assert {client.call("who") for _ in range(20)} == {"a"}


def test_who_comes_is_told_on_an_event_loop_too(serverset: Serverset) -> None:
    async def calls(second: PeerServer) -> None:
        added = asyncio.Event()
        async with connect_async(serverset.url) as client:
            client.on_change(lambda _event: added.set())
            await asyncio.to_thread(register, serverset, second)
            async with asyncio.timeout(DEADLINE):
                await added.wait()
            assert {await client.call("who") for _ in range(60)} == {"a", "b"}

    with two() as (first, second):
        register(serverset, first)
        asyncio.run(calls(second))


@pytest.mark.parametrize("watchers", [3, pytest.param(40, marks=pytest.mark.soak)])
def test_only_nodes_that_are_new_are_read(serverset: Serverset, monkeypatch: pytest.MonkeyPatch, watchers: int) -> None:
    from kazoo.client import KazooClient

    read: Counter[str] = Counter()
    get_async = KazooClient.get_async

    def counted(client: Any, path: str, **options: Any) -> Any:
        read[path.rpartition("/")[2]] += 1
        return get_async(client, path, **options)

    monkeypatch.setattr(KazooClient, "get_async", counted)
    endpoints = [Endpoint("127.0.0.1", port) for port in range(1, 22)]
    names = [member_name(one) for one in endpoints]
    for one, name in zip(endpoints[:20], names, strict=False):
        serverset.put(name, encode_member(Member(one)))
    told: list[queue.Queue[Sequence[Listed]]] = [queue.Queue() for _ in range(watchers)]
    sources = [source_of(ServersetTarget(serverset.url), None) for _ in told]

    def wait_for(*ports: int) -> None:
        for heard in told:
            while {getattr(one.target, "port", 0) for one in heard.get(timeout=DEADLINE)} != set(ports):
                pass

    with contextlib.ExitStack() as started:
        for source, heard in zip(sources, told, strict=True):
            assert source is not None
            source.start(heard.put)
            started.callback(source.stop)
        wait_for(*range(1, 21))
        assert read == dict.fromkeys(names[:20], watchers)
        began = time.monotonic()
        serverset.remove(names[0])
        wait_for(*range(2, 21))
        print(f"{watchers} clients know after {(time.monotonic() - began) * 1000:.0f} ms that one of 20 has left")
        assert read == dict.fromkeys(names[:20], watchers)
        serverset.put(names[20], encode_member(Member(endpoints[20])))
        wait_for(*range(2, 22))
        assert read == dict.fromkeys(names, watchers)


def test_an_empty_registry_takes_nobody_away(serverset: Serverset) -> None:
    with two() as (first, second):
        name = register(serverset, first)
        heard = Heard()
        with connect(serverset.url) as client:
            client.on_change(heard.events.put)
            serverset.remove(name)
            register(serverset, second)
            heard.until("added")
            # It was told of an empty list in between, or of none.
            assert client.call("who") == "b"
            serverset.remove(member_name(endpoint(second)))
            serverset.put("other", b"")
            assert client.call("who") == "b"


def test_a_registry_that_is_away_takes_nobody_away_and_is_read_anew(serverset: Serverset, way: Way) -> None:
    with two() as (first, second):
        register(serverset, first)
        heard = Heard()
        with connect(serverset.by(way)) as client:
            client.on_change(heard.events.put)
            way.cut()
            assert client.call("who") == "a"
            register(serverset, second)
            assert client.call("who") == "a"
            way.mend()
            assert heard.until("added").instance.target == second.target
            assert {client.call("who") for _ in range(60)} == {"a", "b"}


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:9100/metrics"), ("a/b@c", ""), ("", "")])
def test_the_registry_tells_where_metrics_are(serverset: Serverset, host: str, url: str) -> None:
    with serving(named("a")) as server:
        where = endpoint(server)
        metrics = {"metrics": Endpoint(host, 9100)} if host else {}
        serverset.put(member_name(where), encode_member(Member(where, metrics)))
        with connect(serverset.url) as client:
            assert [instance.metrics for instance in client.instances] == [url]


def test_nodes_that_are_none_or_not_ours_are_left_out(serverset: Serverset, connect: Connect) -> None:
    with two() as (first, second):
        register(serverset, first)
        where = endpoint(second)
        serverset.put("member_broken", b"{}")
        serverset.client.create(f"{serverset.path}/member_of_zkcli", None)
        serverset.put("lock-1", b"")
        serverset.put("member_ill", encode_member(Member(where, status="DEAD")))
        other = Instance(address=f"line+tcp://{where}")
        serverset.put("member_jsonrpc", encode_member(Member(where, rpc=other)))
        with connect(serverset.url) as client:
            assert [state.target for state in client.instances] == [first.target]


def test_where_nobody_is_registered_the_error_says_so(serverset: Serverset, connect: Connect) -> None:
    with pytest.raises(ConnectionFailed, match="no server is registered"):
        connect(serverset.url)


def test_where_no_zookeeper_answers_the_error_says_so(connect: Connect) -> None:
    with pytest.raises(ConnectionFailed, match="ZooKeeper does not answer"):
        connect(f"zk://127.0.0.1:{free_port()}/calc", connect_timeout=0.3)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_watches_the_registry_by_itself(serverset: Serverset) -> None:
    with two() as (first, second):
        register(serverset, first)

        begun, tell_begun = os.pipe()

        def calls() -> list[Any]:
            heard = Heard()
            client.on_change(heard.events.put)
            known = client.call("who")
            os.write(tell_begun, b".")
            added = str(heard.until("added").instance.target)
            # This closes a session of its own.
            client.close()
            return [known, added]

        with connect(serverset.url) as client, ThreadPoolExecutor() as pool:
            assert client.call("who") == "a"
            child = pool.submit(in_child, calls)
            os.read(begun, 1)
            heard = Heard()
            client.on_change(heard.events.put)
            name = register(serverset, second)
            assert child.result(DEADLINE) == ["a", str(second.target)]
            heard.until("added")
            serverset.remove(name)
            heard.until("removed")
        os.close(begun)
        os.close(tell_begun)


class Dns:
    """A DNS server for one name, which answers as it is told."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int, int, str]] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rrset

        while len(data := self.socket.recvfrom(65536)) and data[0]:
            request = dns.message.from_wire(data[0])
            reply = dns.message.make_response(request)
            reply.flags |= dns.flags.RA
            texts = [f"{priority} {weight} {port} {host}" for priority, weight, port, host in self.records]
            if texts:
                reply.answer.append(dns.rrset.from_text(request.question[0].name, 1, "IN", "SRV", *texts))
            else:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self.socket.sendto(reply.to_wire(), data[1])

    def close(self) -> None:
        self.socket.sendto(b"", self.socket.getsockname())
        self._thread.join(DEADLINE)
        self.socket.close()


@pytest.fixture
def dns_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dns]:
    import dns.resolver

    server = Dns()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = server.socket.getsockname()[1]
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield server
    server.close()


def test_srv_records_tell_instances_until_others_do(dns_server: Dns, connect: Connect) -> None:
    with two() as (first, second):
        dns_server.records = [(1, 5, endpoint(first).port, "127.0.0.1."), (2, 1, endpoint(second).port, "127.0.0.1.")]
        with connect("srv://_rpc._tcp.calc.example") as client:
            told = {(state.target, state.priority, state.weight) for state in client.instances}
            assert told == {(first.target, 1, 5), (second.target, 2, 1)}
            assert {client.call("who") for _ in range(20)} == {"a"}


def test_srv_records_are_asked_for_again(dns_server: Dns) -> None:
    with two() as (first, second):
        dns_server.records = [(0, 0, endpoint(first).port, "127.0.0.1.")]
        heard = Heard()
        with connect("srv://_rpc._tcp.calc.example") as client:
            client.on_change(heard.events.put)
            dns_server.records = [(0, 0, endpoint(second).port, "127.0.0.1.")]
            heard.until("removed")
            assert client.call("who") == "b"


def test_a_name_that_the_dns_does_not_know_is_named(dns_server: Dns, connect: Connect) -> None:
    with pytest.raises(ConnectionFailed, match=r"_rpc\._tcp\.calc\.example: no server is registered there"):
        connect("srv://_rpc._tcp.calc.example")


def test_all_addresses_of_a_name_are_instances(connect: Connect) -> None:
    with serving(named("a")) as server, connect(f"dns://localhost:{endpoint(server).port}") as client:
        assert client.call("who") == "a"
        assert server.target in {state.target for state in client.instances}


@pytest.mark.parametrize(
    ("target", "module", "extra"),
    [("zk://h/calc", "kazoo", "zookeeper"), ("srv://_rpc._tcp.example.org", "dns", "dns")],
)
def test_an_extra_that_is_missing_is_named(
    target: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in tuple(sys.modules):
        if loaded.partition(".")[0] == module or loaded.startswith("rpcshell.client.fleet."):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match="is not installed") as caught:
        connect(target)
    assert caught.value.hint == f"pip install 'rpcshell[{extra}]'"
