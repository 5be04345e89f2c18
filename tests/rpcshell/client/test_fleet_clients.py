"""Both clients of a fleet against servers that behave as a test wants: which calls go on, and which are lost."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from rpcshell import (
    CallError,
    CallTimeout,
    ConnectionFailed,
    ConnectionLost,
    FleetEvent,
    ListTarget,
    Target,
    TcpTarget,
    UsageError,
    connect,
    connect_async,
    detect,
)
from rpcshell.client.async_opening import async_client_of
from rpcshell.client.dialling import dial
from rpcshell.client.fleet.balancer import Balancer
from rpcshell.client.fleet.instances import Candidate
from rpcshell.client.opening import client_of
from rpcshell.shell.session import Session
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.client.test_sharing import in_child
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Handler, Peer, address, echo, fleet, free_port, serving


def named(name: str) -> Handler:
    """A server whose replies tell its name."""

    def answer(peer: Peer) -> None:
        while peer.read() is not None:
            peer.send({"out": "pong", "result": name})

    return answer


def says_goodbye(peer: Peer) -> None:
    """A server that leaves: what it is asked it does not run."""
    if peer.read() is not None:
        peer.send({"close": True})


def loses(peer: Peer) -> None:
    """A server that dies when it is called."""
    peer.read()


def silent(peer: Peer) -> None:
    """A server that stands still."""
    peer.read()
    peer.wait_for_end()


def fails(peer: Peer) -> None:
    while peer.read() is not None:
        peer.send({"out": "error", "result": {"code": -32000, "message": "no"}})


def test_calls_are_shared_out(connect: Connect) -> None:
    with fleet(named("a"), named("b"), named("c")) as servers, connect(address(*servers)) as client:
        assert {client.call("who") for _ in range(100)} == {"a", "b", "c"}
        assert [server.accepted for server in servers] == [1, 1, 1]


def test_who_takes_no_connection_costs_no_call(connect: Connect) -> None:
    with fleet(named("a")) as servers, connect(address(free_port(), servers[0], free_port())) as client:
        assert {client.call("who") for _ in range(20)} == {"a"}


def test_an_error_names_all_who_take_no_connection(connect: Connect) -> None:
    first, second = free_port(), free_port()
    with pytest.raises(ConnectionFailed) as caught:
        connect(address(first, second))
    assert all(f"127.0.0.1:{port}: connection refused" in caught.value.reason for port in (first, second))
    assert isinstance(caught.value.target, ListTarget)


def test_a_call_that_was_turned_away_goes_on(connect: Connect) -> None:
    with fleet(says_goodbye, named("b")) as servers, connect(address(*servers)) as client:
        assert {client.call("who") for _ in range(20)} == {"b"}


def test_a_call_that_may_have_run_is_lost_and_the_error_names_where(connect: Connect) -> None:
    with fleet(loses, loses) as servers, connect(address(*servers)) as client:
        with pytest.raises(ConnectionLost, match="may have run") as caught:
            client.call("who")
        assert caught.value.target in [server.target for server in servers]


def test_an_idempotent_call_that_may_have_run_goes_on_once(connect: Connect) -> None:
    with fleet(loses, named("b")) as servers, connect(address(*servers)) as client:
        assert {client.call("who", idempotent=True) for _ in range(20)} == {"b"}
    with fleet(loses, loses, loses) as servers, connect(address(*servers)) as client:
        with pytest.raises(ConnectionLost, match="may have run"):
            client.call("who", idempotent=True)
        assert sum(server.accepted for server in servers) <= 3


def test_retries_end_with_their_budget(connect: Connect) -> None:
    with fleet(loses, loses) as servers, connect(address(*servers)) as client:
        for _ in range(20):
            with pytest.raises(ConnectionLost):
                client.call("who", idempotent=True)
        # Ten retries are allowed where no call succeeds; probes are connections too.
        assert sum(state.calls for state in client.instances) <= 20 + 10 + 1


def test_the_first_attempt_of_an_idempotent_call_has_half_of_the_time(connect: Connect) -> None:
    with fleet(silent, named("b")) as servers, connect(address(*servers)) as client:
        for timeout in (0.2, 2.0, 20.0):
            # Half of a time may be too short for the second attempt on a busy machine, and is not too short each time.
            with contextlib.suppress(CallTimeout):
                assert {client.call("who", idempotent=True, timeout=timeout) for _ in range(20)} == {"b"}
                return
    pytest.fail("no attempt was left any time")


def test_a_call_without_a_reply_in_time_names_where_it_went(connect: Connect) -> None:
    with fleet(silent, silent) as servers, connect(address(*servers)) as client:
        with pytest.raises(CallTimeout, match=r"who: no reply from 127\.0\.0\.1:\d+ within") as caught:
            client.call("who", timeout=0.05)
        assert caught.value.may_have_run
        assert caught.value.target in [server.target for server in servers]


def test_an_error_of_the_server_is_a_reply_which_is_never_asked_for_again(connect: Connect) -> None:
    with fleet(fails, fails) as servers, connect(address(*servers)) as client:
        with pytest.raises(CallError) as caught:
            client.call("who", idempotent=True)
        assert caught.value.target in [server.target for server in servers]
        assert sum(state.calls for state in client.instances) == 2


def test_tls_and_its_refusal_belong_to_each_instance(tmp_path: Path, connect: Connect) -> None:
    certificates = Certificates(tmp_path)
    with serving(named("a"), tls=certificates.server()) as good, serving(named("b")) as plain:
        assert isinstance(plain.target, TcpTarget)
        # The second one is believed to speak TLS too, as it says nothing else.
        with connect(f"{good.target},127.0.0.1:{plain.target.port}", tls=certificates.trusting) as client:
            assert {client.call("who") for _ in range(10)} == {"a"}


def test_a_fleet_has_neither_a_dialect_nor_answers() -> None:
    with pytest.raises(UsageError, match="native protocol"):
        connect("jsonrpc:127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(UsageError, match="only answers"):
        connect("127.0.0.1:1,127.0.0.1:2", answers={"a": lambda _request: None})


def test_threads_call_at_once_over_connections_of_their_own() -> None:
    together = threading.Barrier(4)

    def meet(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "meet":
                together.wait(DEADLINE)
            peer.send({"out": "pong", "result": request.get("params")})

    with fleet(meet, meet) as servers, connect(address(*servers)) as client:
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda number=number: results.append(client.call("meet", number)))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert sorted(results) == [0, 1, 2, 3]
        assert [state.outstanding for state in client.instances] == [0, 0]


def test_tasks_call_at_once_as_many_as_are_allowed() -> None:
    async def calls(where: str) -> list[Any]:
        async with connect_async(where, parallel=4) as client:
            results = await asyncio.gather(*(client.call("ping", number) for number in range(50)))
            assert [state.outstanding for state in client.instances] == [0, 0]
            return results

    with fleet(echo, echo) as servers:
        assert asyncio.run(calls(address(*servers))) == list(range(50))
        assert sum(server.accepted for server in servers) <= 2 * 4


def test_closing_ends_a_call_of_another_thread_and_the_next_connects_anew() -> None:
    called = threading.Event()

    def holds(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "hold":
                called.set()
                peer.wait_for_end()
                return
            peer.send({"out": "pong", "result": 1})

    with fleet(holds, holds) as servers, connect(address(*servers)) as client:
        ended: list[BaseException] = []

        def call() -> None:
            with pytest.raises(ConnectionLost, match="closed here") as caught:
                client.call("hold", idempotent=True)
            ended.append(caught.value)

        caller = threading.Thread(target=call)
        caller.start()
        assert called.wait(DEADLINE)
        client.close()
        caller.join(DEADLINE)
        assert len(ended) == 1
        assert not client.connected
        assert client.call("ping") == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_calls_over_connections_of_its_own() -> None:
    with fleet(echo, echo) as servers, connect(address(*servers)) as client:
        client.call("ping", 0)
        assert in_child(lambda: [client.call("ping", number) for number in range(20)]) == list(range(20))
        assert client.call("ping", 1) == 1


def test_who_failed_is_ejected_and_a_probe_brings_it_back() -> None:
    events: list[FleetEvent] = []
    restored = threading.Event()

    def heard(event: FleetEvent) -> None:
        events.append(event)
        if event.kind == "restored":
            restored.set()

    port = free_port()
    with fleet(named("a")) as servers, client_of(Target.parse(address(servers[0], port))) as client:
        client.on_change(heard)
        while not events:
            assert client.call("who") == "a"
        assert [(event.kind, event.instance.target) for event in events] == [("ejected", TcpTarget("127.0.0.1", port))]
        assert [state.ejected for state in client.instances] == [False, True]
        with serving(named("b"), port=port):
            assert restored.wait(DEADLINE)
            assert {client.call("who") for _ in range(50)} == {"a", "b"}


def test_who_failed_comes_back_on_an_event_loop_too() -> None:
    async def calls(where: str, port: int) -> None:
        events: list[FleetEvent] = []
        restored = asyncio.Event()

        def heard(event: FleetEvent) -> None:
            events.append(event)
            if event.kind == "restored":
                restored.set()

        async with async_client_of(Target.parse(where)) as client:
            client.on_change(heard)
            while not events:
                assert await client.call("who") == "a"
            with serving(named("b"), port=port):
                async with asyncio.timeout(DEADLINE):
                    await restored.wait()
                assert {await client.call("who") for _ in range(50)} == {"a", "b"}

    port = free_port()
    with fleet(named("a")) as servers:
        asyncio.run(calls(address(servers[0], port), port))


def test_where_all_are_ejected_all_are_tried(connect: Connect) -> None:
    ports = [free_port(), free_port()]
    with fleet(named("a")) as servers, connect(address(servers[0], *ports)) as client:
        for _ in range(20):
            client.call("who")
        servers[0].close()
        with pytest.raises((ConnectionFailed, ConnectionLost)):
            client.call("who")
        with serving(named("b"), port=ports[0]):
            assert client.call("who") == "b"


def test_a_function_that_fails_ends_no_call(recwarn: pytest.WarningsRecorder) -> None:
    told: list[object] = []

    def broken(event: FleetEvent) -> None:
        told.append(event)
        raise ValueError

    former, threading.excepthook = threading.excepthook, lambda args: told.append(args.exc_type)
    try:
        with fleet(named("a")) as servers, client_of(Target.parse(address(servers[0], free_port()))) as client:
            client.on_change(broken)
            while not told:
                assert client.call("who") == "a"
    finally:
        threading.excepthook = former
    assert ValueError in told


def test_changes_are_told_on_after_one_was_interrupted() -> None:
    told: list[object] = []

    def interrupted(event: FleetEvent) -> None:
        told.append(event.instance.target)
        if len(told) == 1:
            raise KeyboardInterrupt

    where = Target.parse(address(free_port(), free_port()))
    with client_of(where) as client:
        client.on_change(interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.call("who")
        with pytest.raises(ConnectionFailed):
            client.call("who")
    assert isinstance(where, ListTarget)
    assert set(told) == set(where.targets)


def test_a_single_server_is_its_own_only_instance(connect: Connect) -> None:
    with serving(echo) as server, connect(server.target) as client:
        assert [state.target for state in client.instances] == [server.target]


def test_a_fleet_speaks_the_native_protocol_which_nobody_has_to_find_out(session: Session) -> None:
    with fleet(named("a"), named("b")) as servers:
        where = Target.parse(address(*servers))
        assert detect(where) == where
        session.connect(where, plain=True)
        assert {session.call("who").result for _ in range(50)} == {"a", "b"}


def test_what_takes_one_server_refuses_a_fleet() -> None:
    with pytest.raises(UsageError, match="names several servers"):
        dial(Target.parse("127.0.0.1:1,127.0.0.1:2"), 1.0)


def test_an_ejection_wakes_none_that_look_after_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Candidate] = []
    probe_delay = Balancer.probe_delay

    def counted(balancer: Balancer, candidate: Candidate) -> float | None:
        asked.append(candidate)
        return probe_delay(balancer, candidate)

    monkeypatch.setattr(Balancer, "probe_delay", counted)
    port = free_port()
    fleet = ",".join(f"127.0.1.{number}:{port}" for number in range(1, 61))
    with client_of(Target.parse(fleet)) as client, pytest.raises(ConnectionFailed) as caught:
        client.call("ping")
    assert caught.value.message.startswith(f"cannot connect to {fleet[: fleet.index(',127.0.1.9:')]} and 52 more: ")
    assert caught.value.message.endswith("; and 56 more")
    # Each is asked for at first, and when it is due; by the ejections of all others it would be 1,800 times.
    assert len(asked) < 600
