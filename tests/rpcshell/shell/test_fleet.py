"""A shell over a fleet: which instance answered, which ones were tried before, and what is told of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from rpcshell import CallError, Target, connect
from rpcshell.client.fleet.instances import FleetEvent, InstanceState, Kind
from rpcshell.client.target import TcpTarget
from rpcshell.commands import load_commands
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.reading import surroundings
from rpcshell.shell.address_book import short_name
from rpcshell.shell.fleet import Digests
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.describing import META, Told, document, offering
from tests.rpcshell.peers import Peer, address, fleet, free_port, serving
from tests.steps import steps


def fails(peer: Peer) -> None:
    while (request := peer.read()) is not None:
        meta = {"meta": META} if request.get("meta") else {}
        peer.send({"out": "error", "result": {"code": -32000, "message": "no"}, **meta})


def test_a_call_names_the_instance_that_answered(shell: Shell) -> None:
    with fleet(offering("ping"), offering("ping")) as servers:
        shell.session.connect(address(*servers))
        calls = [shell.session.call("ping", number) for number in range(30)]
    addresses = {str(server.target) for server in servers}
    assert {call.instance for call in calls} == addresses
    for call in calls:
        shell.journal.add(call)
    assert {server for server, _ in shell.journal.statistics.workers} == addresses


def test_calls_are_counted_by_instance_and_worker(shell: Shell, output: Recording) -> None:
    with fleet(offering("ping"), offering("ping")) as servers:
        shell.session.connect(address(*servers))
        # Workers are asked for where it is known what they offer.
        shell.session.method("ping")
        while len(shell.journal.statistics.workers) < 2:
            shell.journal.add(shell.session.attempt("ping"))
    shell.execute(":stats")
    assert output.texts[-1].split()[:3] == ["worker", "pid", "instance"]


def test_an_error_names_the_instance_too(shell: Shell) -> None:
    with fleet(fails, fails) as servers:
        shell.session.connect(address(*servers), plain=True)
        error = shell.session.attempt("ping").error
        assert getattr(error, "instance", "") in {str(server.target) for server in servers}


def test_why_tells_which_instances_were_tried_and_what_became_of_it(shell: Shell, output: Recording) -> None:
    gone = free_port()
    with fleet(offering("ping")) as servers:
        shell.session.connect(address(gone, *servers), plain=True)
        # Which one is asked first is drawn.
        while not (call := shell.session.call("ping")).trace.failed_attempts:
            shell.session.connect(address(gone, *servers), plain=True)
        shell.journal.add(call)
        shell.execute(":why")
    told = " ".join(output.texts[-1].split())
    assert f"127.0.0.1:{gone} did not answer it (connection refused)" in told
    assert f"tried 127.0.0.1:{gone}: connection refused {servers[0].target}: answered" in told


def test_wire_names_the_instance_that_was_connected_to(shell: Shell, output: Recording) -> None:
    with fleet(offering("ping"), offering("ping")) as servers:
        shell.session.connect(address(*servers), plain=True)
        while not (call := shell.session.call("ping")).trace.connected:
            pass
    shell.journal.add(call)
    shell.execute(":wire last")
    assert f"connected to {call.instance} in" in output.texts[-1]


def test_figures_stand_to_the_right_beside_a_call_that_has_none(shell: Shell, output: Recording) -> None:
    with serving(offering("ping")) as server:
        shell.session.connect(server.target)
        shell.journal.add(shell.session.call("ping"))
    shell.journal.add(shell.session.attempt("pong"))
    shell.execute(":stats")
    header, _, *rows = output.texts[0].splitlines()
    assert [row.rindex(row.split()[-1]) + len(row.split()[-1]) for row in rows] == [len(header)] * 2


def test_a_failed_instance_is_told_of_and_counted(session: Session, told: Told) -> None:
    gone = free_port()
    with fleet(offering("ping")) as servers:
        session.connect(address(gone, *servers))
        assert session.fleet is not None
        while session.fleet.count == "2":
            session.call("ping")
        assert session.fleet.count == "1/2"
        assert session.state == "connected"
        told.wait_until(lambda: told.notes)
        assert told.notes == [f"127.0.0.1:{gone} gets no calls until it works again: connection refused"]


def test_an_instance_that_ended_an_idle_connection_still_counts(session: Session) -> None:
    ended = threading.Semaphore(0)

    def serves_once(peer: Peer) -> None:
        peer.answer(1)
        peer.sock.shutdown(socket.SHUT_WR)
        ended.release()

    with fleet(serves_once, serves_once) as servers:
        session.connect(address(*servers), plain=True)
        assert session.fleet is not None
        while not any(instance.ejected for instance in session.fleet.instances):
            session.call("ping")
            assert ended.acquire(timeout=10)
        assert session.fleet.count == "2"


def test_an_instance_that_says_nothing_does_not_make_the_fleet_plain() -> None:
    asked = threading.Event()

    def silent(peer: Peer) -> None:
        if peer.read() is not None:
            asked.set()
        peer.wait_for_end()

    with fleet(silent, offering("ping")) as servers:
        while not asked.is_set():
            with connect(address(*servers)) as client:
                assert client.describe().missing is None


def test_instances_can_be_chosen_where_a_target_is_typed(session: Session) -> None:
    with fleet(offering("ping"), offering("ping")) as servers:
        session.connect(address(*servers), plain=True)
        offered = surroundings(LineContext(session, load_commands)).targets()
        assert {str(server.target) for server in servers} <= set(offered)


def test_a_call_that_is_lost_at_one_instance_leaves_the_fleet_connected(session: Session) -> None:
    def loses(peer: Peer) -> None:
        peer.read()

    with fleet(loses, loses, loses) as servers:
        session.connect(address(*servers), plain=True)
        call = session.attempt("ping")
        assert call.failure == "lost"
        assert session.state == "connected"
        assert session.fleet is not None
        assert session.fleet.count == "2/3"


def test_instances_of_other_generations_are_not_asked_anew_after_each_call(session: Session, told: Told) -> None:
    asked: list[str] = []

    def counting(generation: int) -> Callable[[Peer], None]:
        serve = offering("ping", generation=generation)

        def count(peer: Peer) -> None:
            read = peer.read

            def counted() -> dict[str, object] | None:
                request = read()
                if request is not None:
                    asked.append(request["in"])
                return request

            peer.read = counted  # type: ignore[method-assign]
            serve(peer)

        return count

    with fleet(counting(1), counting(2)) as servers:
        session.connect(address(*servers))
        told.wait_until(lambda: session.catalog.methods)
        for _ in range(20):
            session.call("ping", 1)
        session.close()
    # Once for the catalog, and once each to compare them.
    assert asked.count("rpc.discover") <= 3


def test_documents_that_differ_are_said_once_and_when_it_is_over(session: Session, told: Told) -> None:
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(serving(offering("ping")))
        new = stack.enter_context(serving(offering("ping", "pong")))
        session.connect(address(old, new))
        told.wait_until(lambda: told.notes)
        assert told.notes[0].startswith("the instances offer different things (1 and 1 alike)")
        session.refresh()
        told.wait_until(lambda: not session.discovering)
        assert session.fleet is not None
        assert session.fleet.compare() == ""
        assert len(set(session.fleet.offers.values())) == 2
        assert len(told.notes) == 1
        # Whoever cannot be asked may still offer something else.
        new.close()
        while not any(instance.ejected for instance in session.fleet.instances):
            session.attempt("ping")
        assert session.fleet.compare() == ""


def refusing(code: int, message: str = "no") -> Callable[[Peer], None]:
    """A server of another version, which refuses every call."""

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "rpc.discover":
                peer.send({"out": "discovered", "result": document("ping", deprecated=True)})
            else:
                peer.send({"out": "error", "result": {"code": code, "message": message}})

    return serve


@pytest.mark.parametrize("code", [-32601, -32602])
def test_what_one_instance_refuses_that_others_offer_is_no_mistake(shell: Shell, code: int) -> None:
    with fleet(offering("ping"), refusing(code)) as (new, old):
        shell.session.connect(address(new, old))
        assert shell.session.fleet is not None
        shell.session.fleet.compare()
        # Workers are asked for where it is known what they offer.
        shell.session.method("ping")

        def call_both() -> None:
            while True:
                shell.execute("ping a=1")

        with pytest.raises(CallError) as caught:
            call_both()
    assert caught.value.hint == f"{old.target} offers something else than others: :servers shows which"


def test_a_server_that_knows_no_near_names_has_them_told_for_it(shell: Shell) -> None:
    with serving(refusing(-32601)) as server:
        shell.session.connect(server.target)
        # Workers are asked for where it is known what they offer.
        shell.session.method("ping")
        with pytest.raises(CallError) as caught:
            shell.execute("pnig")
    assert caught.value.hint == "did you mean ping?"


@pytest.mark.parametrize(
    ("method", "said", "hint"),
    [
        ("pin", "there is no method 'pin'; did you mean ping?", None),
        ("pings", "there is no method 'pings'; did you mean ping?", None),
        ("pings", "there is no method 'pings'", "did you mean ping?"),
    ],
)
def test_a_near_name_that_the_server_has_told_is_not_told_again(
    shell: Shell, method: str, said: str, hint: str | None
) -> None:
    with serving(refusing(-32601, said)) as server:
        shell.session.connect(server.target)
        shell.session.method("ping")
        with pytest.raises(CallError) as caught:
            shell.execute(method)
    assert caught.value.hint == hint


def instance(number: int, offers: str) -> InstanceState:
    return InstanceState(TcpTarget(f"10.0.{number // 250}.{number % 250}", 80), openrpc=offers)


def test_a_change_takes_as_much_work_among_many_instances_as_among_few() -> None:
    def work(count: int) -> int:
        digests = Digests(instance(number, "old") for number in range(count))
        event = FleetEvent("updated", instance(0, "new"))
        return steps(lambda: digests.take(event))

    assert work(1000) == work(2)


def test_what_is_offered_is_news_where_it_was_not_offered_before_or_is_no_longer() -> None:
    digests = Digests([instance(1, "old"), instance(2, "old")])
    changes: list[tuple[Kind, InstanceState, bool]] = [
        ("added", instance(3, "old"), False),
        ("updated", instance(3, "new"), True),
        ("updated", instance(2, "new"), False),
        ("ejected", instance(1, "old"), False),
        ("removed", instance(1, "old"), True),
        ("removed", instance(2, "new"), False),
    ]
    for kind, state, news in changes:
        assert digests.take(FleetEvent(kind, state)) is news


@pytest.mark.parametrize(
    ("name", "target", "short"),
    [
        (None, "zk://h1:2181,h2:2181/services/echo", "zk://…/echo"),
        ("prod", "zk://h1:2181/services/echo", "prod"),
        ("10.0.0.1:80,10.0.0.2:80", "10.0.0.1:80,10.0.0.2:80", "10.0.0.1:80,…"),
        (None, "srv://_rpc._tcp.example.org", "srv://_rpc._tcp.example.org"),
    ],
)
def test_the_prompt_names_the_service(name: str | None, target: str, short: str) -> None:
    assert short_name(name, Target.parse(target)) == short
