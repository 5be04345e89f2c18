"""Sessions: one connection, the catalog in the background, retries and lost servers."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from typing import Any

import pytest

from rpcshell import (
    CallError,
    ConnectionFailed,
    ConnectionLost,
    NotConnected,
    TcpTarget,
    UsageError,
)
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.config import Config
from rpcshell.shell.session import Session
from rpcshell.view.settings import Settings
from rpcwire import encode_value
from tests.rpcshell.describing import META, Told, document, offering
from tests.rpcshell.enveloped import KEA
from tests.rpcshell.peers import DEADLINE, Peer, free_port, serving
from tests.zookeeper import Serverset


def test_a_new_session_has_no_target_and_says_so(session: Session) -> None:
    assert (session.target, session.state, session.plain) == (None, "none", False)
    assert not session.catalog.methods
    assert session.method("ping") is None
    with pytest.raises(NotConnected):
        session.call("ping")


def test_a_server_of_one_call_a_connection_is_asked_once_what_it_offers() -> None:
    def once(peer: Peer) -> None:
        request = json.loads(peer.sock.recv(65536))
        names = ["echo"] if request["command"] == "list-commands" else None
        peer.sock.sendall(encode_value({"result": 0, "arguments": names or request.get("arguments")}))

    session = Session(config=Config(dialects={"once": KEA}))
    told = Told(session)
    with serving(once) as server, closing(session):
        session.connect(f"once:{server.target}")
        told.wait_until(lambda: session.catalog.methods)
        for number in range(3):
            reply = session.call("echo", {"a": number}).reply
            assert reply is not None
            assert reply.result == {"a": number}
        assert not session.discovering
        assert server.accepted == 4


def test_an_end_that_comes_as_a_call_is_over_is_told(
    session: Session, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(offering("ping")) as server:
        session.connect(str(server.target))
        told.wait_until(lambda: session.catalog.methods)
        connection = session._connection
        assert connection is not None
        reply = connection._client.exchange

        def reply_and_end(*args: Any, **options: Any) -> Any:
            replied = reply(*args, **options)
            # In the thread that reads, and who has called is not awake yet.
            connection._ended(ConnectionLost(server.target, "it has left", may_have_run=False))
            return replied

        with monkeypatch.context() as patch:
            patch.setattr(connection._client, "exchange", reply_and_end)
            session.call("ping")
        states = [session.state]
        session.call("ping")
        states.append(session.state)
        assert [note for note in told.notes if "it has left" in note]
        assert states == ["lost", "connected"]


def test_the_catalog_arrives_in_the_background(session: Session, told: Told) -> None:
    with serving(offering("add", "ping")) as server:
        session.connect(server.target)
        told.wait_until(lambda: session.catalog.methods)
        assert set(session.catalog.methods) == {"add", "ping"}
        assert session.state == "connected"
        assert not session.discovering
        assert server.accepted == 1


def test_a_call_waits_for_the_probe_and_goes_over_the_same_connection(session: Session) -> None:
    order: list[str] = []

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            order.append(request["in"])
            peer.send({"out": "pong", "result": document("ping")})

    with serving(serve) as server:
        session.connect(server.target)
        session.call("ping")
        assert order == ["rpc.discover", "ping"]
        assert server.accepted == 1


def test_the_outcome_tells_who_served_it_and_how_long_it_took(session: Session) -> None:
    with serving(offering("ping")) as server:
        session.connect(str(server.target))
        outcome = session.call("ping", {"a": 1})
    assert outcome.method == "ping"
    assert outcome.params == {"a": 1}
    assert outcome.result == {"a": 1}
    assert outcome.meta is not None
    assert outcome.meta.worker == 3
    assert outcome.elapsed > 0


def test_the_description_of_a_method_is_waited_for(session: Session) -> None:
    with serving(offering("ping")) as server:
        session.connect(server.target)
        method = session.method("ping")
        assert method is not None
        assert method.name == "ping"
        assert session.method("pong") is None


def test_without_a_background_the_target_is_asked_only_when_needed(memory: TargetMemory) -> None:
    seen: list[Any] = []

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            seen.append(request)
            peer.send({"out": "pong", "result": document("ping")})

    session = Session(background=False, settings=Settings(script=True), memory=lambda: memory)
    with serving(serve) as server:
        session.connect(server.target)
        session.call("ping")
        assert [request["in"] for request in seen] == ["ping"]
        assert "meta" not in seen[0]
        assert session.method("ping") is not None
        assert session.method("other") is None
        assert [request["in"] for request in seen] == ["ping", "rpc.discover"]
        session.close()


def test_an_error_reply_tells_who_answered(session: Session) -> None:
    def serve(peer: Peer) -> None:
        peer.answer(document("fail"))
        peer.read()
        peer.send({"out": "error", "result": {"code": 1, "message": "no"}, "meta": META})
        peer.wait_for_end()

    with serving(serve) as server:
        session.connect(server.target)
        with pytest.raises(CallError) as caught:
            session.call("fail")
        assert caught.value.meta is not None
        assert caught.value.meta.pid == 42
        assert session.state == "connected"
        session.close()


def test_a_failed_connect_keeps_the_target_from_before(session: Session) -> None:
    with serving(offering("ping")) as server:
        session.connect(server.target)
        with pytest.raises(ConnectionFailed):
            session.connect(TcpTarget("127.0.0.1", free_port()))
        assert session.target == server.target
        assert session.call("ping", 1).result == 1


def test_a_fleet_that_cannot_be_connected_to_is_not_watched_on(session: Session, serverset: Serverset) -> None:
    with serving(offering("ping")) as server:
        session.connect(server.target)
        with pytest.raises(ConnectionFailed, match="no server is registered"):
            session.connect(serverset.url)
        for thread in threading.enumerate():
            if thread.name == f"watch {serverset.url}":
                thread.join(DEADLINE)
                assert not thread.is_alive()
        assert session.call("ping", 1).result == 1


def test_a_target_that_was_down_at_first_is_tried_again_by_each_call(session: Session, told: Told) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        target = TcpTarget("127.0.0.1", sock.getsockname()[1])
        with pytest.raises(ConnectionFailed):
            session.connect(target)
        assert (session.state, session.target) == ("lost", target)
        with pytest.raises(ConnectionFailed):
            session.call("ping")

        sock.listen()

        def accept() -> None:
            connection, _ = sock.accept()
            with connection:
                offering("ping")(Peer(connection, 0))

        accepted = threading.Thread(target=accept)
        accepted.start()
        assert session.call("ping", 1).result == 1
        assert session.state == "connected"
        told.wait_until(lambda: session.catalog.methods)
        session.close()
        accepted.join()


def test_a_connection_lost_on_the_way_says_that_the_call_may_have_run(session: Session) -> None:
    def lose(peer: Peer) -> None:
        peer.answer(document("ping"))
        peer.read()

    with serving(lose, offering("ping")) as server:
        session.connect(server.target)
        with pytest.raises(ConnectionLost) as caught:
            session.call("ping", 1)
        assert caught.value.may_have_run
        states = [session.state]
        assert session.call("ping", 2).result == 2
        assert [*states, session.state] == ["lost", "connected"]


def test_a_method_the_catalog_calls_idempotent_is_sent_again(session: Session, told: Told) -> None:
    def lose(peer: Peer) -> None:
        peer.answer(document("ping", **{"x-idempotent": True}))
        peer.read()

    with serving(lose, offering("ping")) as server:
        session.connect(server.target)
        told.wait_until(lambda: session.catalog.methods)
        assert session.call("ping", 1).result == 1


def test_a_reload_of_the_server_refreshes_the_catalog(session: Session, told: Told) -> None:
    generation = 0
    names = ["old"]

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "rpc.discover":
                peer.send({"out": "discovered", "result": document(*names)})
            else:
                peer.send({"out": "pong", "result": 1, "meta": {**META, "generation": generation}})

    with serving(serve) as server:
        session.connect(server.target)
        session.call("old")
        names[:] = ["new"]
        generation = 1
        session.call("old")
        told.wait_until(lambda: "new" in session.catalog.methods)
        assert "old" not in session.catalog.methods
        session.close()


def test_the_catalog_is_fetched_anew_when_asked(session: Session, told: Told) -> None:
    names = ["old"]

    def serve(peer: Peer) -> None:
        while peer.read() is not None:
            peer.send({"out": "discovered", "result": document(*names)})

    with serving(serve) as server:
        session.connect(server.target)
        told.wait_until(lambda: session.catalog.methods and not session.discovering)
        names[:] = ["new"]
        session.refresh()
        told.wait_until(lambda: "new" in session.catalog.methods)
        session.close()


def test_the_answer_of_a_target_that_was_left_is_dropped(session: Session, told: Told) -> None:
    release = threading.Event()

    def slow(peer: Peer) -> None:
        peer.read()
        release.wait(DEADLINE)
        peer.send({"out": "discovered", "result": document("slow")})
        peer.wait_for_end()

    with serving(slow) as first, serving(offering("fast")) as second:
        session.connect(first.target)
        session.connect(second.target)
        told.wait_until(lambda: "fast" in session.catalog.methods)
        release.set()
        assert session.call("fast", 1).result == 1
        assert set(session.catalog.methods) == {"fast"}


def test_disconnecting_forgets_the_target(session: Session) -> None:
    with serving(offering("ping")) as server:
        session.connect(server.target)
        session.disconnect()
        assert (session.target, session.state) == (None, "none")
        with pytest.raises(NotConnected):
            session.call("ping")


def test_stopping_without_a_server_is_a_usage_error(session: Session) -> None:
    with pytest.raises(UsageError):
        session.stop()
