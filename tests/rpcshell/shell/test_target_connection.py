"""The connection to a target: the lock between the thread that asks and the calls."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rpcshell.client.client import Client
from rpcshell.client.errors import Cancelled
from rpcshell.client.opening import client_of
from rpcshell.client.target import Target
from rpcshell.client.trace import CallTrace
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.discovery import Discovery
from rpcshell.shell.listeners import Reports
from rpcshell.shell.target_connection import TargetConnection
from tests.interrupts import interrupted
from tests.rpcshell.describing import document, offering
from tests.rpcshell.mcp_peer import McpPeer
from tests.rpcshell.peers import DEADLINE, Peer, serving


def test_an_interrupt_while_the_thread_is_started_leaves_the_connection_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    with serving(offering("ping")) as server:
        client = Client(server.target)
        connection = TargetConnection(client, None, AddressBook().find(server.target))
        with monkeypatch.context() as patch:
            # No signal can be timed to come between two instructions.
            patch.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                connection.describe_in_background(probe_again=False)
        assert not connection.refreshing
        connection.describe(probe_again=False)
        assert connection.catalog is not None
        assert set(connection.catalog.methods) == {"ping"}
        connection.retire()
        assert not client.connected


def test_a_connection_that_is_retired_while_it_asks_is_closed_by_its_thread() -> None:
    asked = threading.Event()
    answer = threading.Event()
    closed = threading.Event()
    done = threading.Event()

    def slow(peer: Peer) -> None:
        peer.read()
        asked.set()
        answer.wait(DEADLINE)
        peer.send({"out": "discovered", "result": document("ping")})
        peer.wait_for_end()
        closed.set()

    with serving(slow) as server:
        reports = Reports(described=lambda _connection, _found: done.set())
        client = Client(server.target)
        connection = TargetConnection(client, None, AddressBook().find(server.target), reports=reports)
        connection.describe_in_background(probe_again=False)
        assert asked.wait(DEADLINE)
        connection.retire()
        assert client.connected
        answer.set()
        assert done.wait(DEADLINE)
        assert not client.connected
        assert closed.wait(DEADLINE)


def test_what_a_fleet_tells_while_no_connection_is_held_is_asked_for_with_the_next_call() -> None:
    with serving(offering("ping")) as one, serving(offering("ping")) as other:
        client = client_of(Target.parse(f"{one.target},{other.target}"))
        connection = TargetConnection(client, None, AddressBook().find(client.target))
        connection.describe(probe_again=False)
        connection.close()
        connection.offers_changed()
        for thread in threading.enumerate():
            if thread.name == "catalog":
                thread.join(DEADLINE)
        assert not client.connected
        renewed = [connection.exchange("ping", 1, timeout=DEADLINE, meta=False, trace=CallTrace())[2]]
        connection.describe(probe_again=False)
        renewed.append(connection.exchange("ping", 1, timeout=DEADLINE, meta=False, trace=CallTrace())[2])
        assert renewed == [True, False]
        connection.retire()


def test_an_interrupt_of_a_call_to_who_may_speak_unasked_keeps_the_connection() -> None:
    arrived = threading.Event()

    def serve(peer: Peer) -> None:
        peer.sock.recv(1)
        arrived.set()
        peer.wait_for_end()

    with serving(serve) as server:
        target = Target.parse(f"jsonrpc:{server.target}")
        client = Client(target)
        connection = TargetConnection(client, None, AddressBook().find(target))
        with interrupted(arrived.wait), pytest.raises(Cancelled, match="goes on, but the server cannot be") as caught:
            connection.exchange("slow", None, timeout=DEADLINE, meta=False, trace=CallTrace())
        assert caught.value.at_end.startswith("cancelled: the connection was closed, but")
        assert client.connected
        connection.retire()


def test_what_a_server_has_told_is_asked_for_anew_when_it_says_that_it_has_changed() -> None:
    tools = ["learn"]

    def learn(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        tools.append("learnt")
        yield {"method": "notifications/tools/list_changed"}
        yield {"id": id, "result": {"content": []}}

    def listed(id: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"id": id, "result": {"tools": [{"name": name} for name in tools]}}

    with serving(McpPeer({"tools/call": learn, "tools/list": listed})) as server:
        told: queue.SimpleQueue[Discovery] = queue.SimpleQueue()
        target = Target.parse(f"mcp:{server.target}")
        reports = Reports(described=lambda _connection, found: told.put(found))
        connection = TargetConnection(Client(target), None, AddressBook().find(target), reports=reports)
        connection.describe_in_background(probe_again=False)
        assert "learnt" not in told.get(timeout=DEADLINE).catalog.methods
        connection.exchange("learn", None, timeout=None, meta=False, trace=CallTrace())
        assert "learnt" in told.get(timeout=DEADLINE).catalog.methods
        connection.retire()
