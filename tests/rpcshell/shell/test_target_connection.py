"""The connection to a target: the lock between the thread that asks and the calls."""

from __future__ import annotations

import threading

import pytest

from rpcshell.client.client import Client
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.target_connection import TargetConnection
from tests.rpcshell.describing import document, offering
from tests.rpcshell.peers import DEADLINE, Peer, serving


def test_an_interrupt_while_the_thread_is_started_leaves_the_connection_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    with serving(offering("ping")) as server:
        connection = TargetConnection(Client(server.target), None, AddressBook().find(server.target))
        with monkeypatch.context() as patch:
            # No signal can be timed to come between two instructions.
            patch.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                connection.describe_in_background(lambda _connection, _found: None, probe_again=False)
        assert not connection.refreshing
        assert set(connection.describe(probe_again=False).catalog.methods) == {"ping"}
        connection.retire()
        assert not connection.connected


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
        connection = TargetConnection(Client(server.target), None, AddressBook().find(server.target))
        connection.describe_in_background(lambda _connection, _found: done.set(), probe_again=False)
        assert asked.wait(DEADLINE)
        connection.retire()
        assert connection.connected
        answer.set()
        assert done.wait(DEADLINE)
        assert not connection.connected
        assert closed.wait(DEADLINE)
