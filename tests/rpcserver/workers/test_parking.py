"""Parked connections: one thread has each, whatever comes between the steps of parking one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers.layers import Layers
from rpcserver.workers.next_step import ANSWER, LINGER, READ, WRITE
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
        Terms(settings, Layers(None, {}), None),
        lambda connection, new: made.submitted.append((connection, new)),
        lambda: None,
        lambda: made.hastened.append(None),
    )
    made = Lot(parking, client)
    assert parking.add(accepted)
    with accepted, client:
        yield made


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


def test_what_a_client_waits_for_is_told_to_epoll_though_it_was_parked_anew_meanwhile(lot: Lot) -> None:
    lot.client.sendall(request("echo", 1))
    connection = taken(lot)
    connection.receive()
    parking = lot.parking
    modify = parking._modify

    def interrupted(descriptor: int, events: int) -> None:
        # Another thread takes it at its deadline, and parks it for something else, before epoll hears of the first.
        parking._modify = modify
        assert parking._parked.pop(descriptor) is connection
        parking.park(connection, WRITE)
        modify(descriptor, events)

    parking._modify = interrupted  # type: ignore[assignment]
    parking.park(connection, LINGER)
    assert taken(lot) is connection
    assert connection.awaits is WRITE


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
