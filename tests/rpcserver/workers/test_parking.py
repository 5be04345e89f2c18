"""Parked connections: one thread has each, whatever comes between the steps of parking one."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers.next_step import ANSWER, READ
from rpcserver.workers.parking import ParkedConnection, Parking
from rpcserver.workers.terms import Terms
from tests.servers import request


@dataclass
class Lot:
    """A parking with one connection in it, the client's end of that, and what has been asked of others."""

    parking: Parking
    client: socket.socket
    submitted: list[tuple[ParkedConnection, bool]] = field(default_factory=list)
    hastened: list[None] = field(default_factory=list)


@pytest.fixture
def lot() -> Iterator[Lot]:
    accepted, client = socket.socketpair()
    settings = ServerSettings(idle_timeout=0.001)
    parking = Parking(
        Terms(settings, None, None, {}),
        lambda connection, new: made.submitted.append((connection, new)),
        lambda: None,
        lambda: made.hastened.append(None),
    )
    made = Lot(parking, client)
    assert parking.add(accepted)
    with accepted, client:
        yield made


def is_told(lot: Lot) -> bool:
    """Whether epoll tells of anything, which must be of what a thread has."""
    into: deque[ParkedConnection] = deque()
    told = lot.parking.gather(into, 8, 0)
    assert not into
    return told


def taken(lot: Lot) -> ParkedConnection:
    connection = lot.parking.take(10)
    assert connection is not None
    return connection


def test_a_connection_is_taken_by_one_thread_until_it_is_parked_again(lot: Lot) -> None:
    lot.client.sendall(request("echo", 1))
    connection = taken(lot)
    lot.client.sendall(request("echo", 2))
    assert lot.parking.take(0) is None
    lot.parking.park(connection)
    assert taken(lot) is connection
    assert connection.read_request() is None
    assert lot.parking.settle(connection)


def test_what_waits_for_its_turn_is_taken_behind_the_others(lot: Lot) -> None:
    lot.parking.shared = True
    lot.client.sendall(request("echo", 0))
    first = taken(lot)
    assert first.read_request() is not None
    lot.parking.park(first)
    accepted, client = socket.socketpair()
    with accepted, client:
        lot.parking.add(accepted)
        lot.client.sendall(request("echo", 1) * 2)
        first = taken(lot)
        assert first.read_request() is None
        client.sendall(request("echo", 1))
        lot.parking.park(first, ANSWER)
        assert taken(lot) is not first
        assert taken(lot) is first


def test_epoll_is_not_asked_anew_between_two_requests(lot: Lot) -> None:
    asked: list[tuple[int, int]] = []
    lot.parking._modify = lambda *of: asked.append(of)
    for number in range(3):
        lot.client.sendall(request("echo", number))
        connection = taken(lot)
        assert connection.read_request() is not None
        lot.parking.park(connection)
    assert not is_told(lot)
    assert not asked


@pytest.mark.parametrize("shared", [False, True])
def test_epoll_tells_no_more_of_what_a_thread_has_until_that_parks_it(lot: Lot, shared: bool) -> None:
    lot.parking.shared = shared
    lot.client.sendall(request("echo", 1))
    connection = taken(lot)
    # Its loss is told once more, whatever else is asked for.
    lot.client.close()
    for _ in range(2):
        is_told(lot)
    assert not is_told(lot)
    lot.parking.park(connection)
    assert taken(lot) is connection


def test_epoll_tells_no_more_of_a_closed_connection_of_which_a_forked_child_has_a_copy(lot: Lot) -> None:
    copy = os.dup(next(iter(lot.parking._connections)))
    lot.client.close()
    connection = taken(lot)
    connection.receive()
    assert not lot.parking.settle(connection)
    assert not len(lot.parking)
    assert not is_told(lot)
    os.close(copy)


def test_only_one_of_many_threads_that_wait_is_told_of_a_request(lot: Lot) -> None:
    lot.parking.shared = True
    for number in range(3):
        lot.client.sendall(request("echo", number))
        connection = taken(lot)
        # It was parked as one thread waited.
        assert is_told(lot) is (number == 0)
        assert connection.read_request() is not None
        lot.parking.park(connection)


def test_a_request_that_came_by_the_deadline_is_answered(lot: Lot) -> None:
    lot.client.sendall(request("echo", 1))
    (connection,) = lot.parking._parked.values()
    connection.deadline = 0.001
    lot.parking.look_after()
    assert lot.submitted == [(connection, True)]
    assert connection.awaits is READ


def test_draining_many_looks_after_them_once(lot: Lot) -> None:
    lot.parking.drain()
    assert len(lot.hastened) == 1
    lot.client.sendall(request("echo", 1))
    connection = taken(lot)
    assert connection.read_request() is not None
    # It has until the end of the grace for one more request, as its client heeds no goodbye.
    lot.parking.look_after()
    lot.parking.park(connection)
    assert len(lot.hastened) == 1
