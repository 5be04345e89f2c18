"""Envelopes whose connections end with a call, or take no second one before the reply."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from rpcshell import (
    CallTimeout,
    ConnectionLost,
    connect_async,
)
from rpcshell import connect as connect_blocking
from rpcwire import encode_value
from tests.rpcshell.enveloped import KEA, WATCHMAN
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, say, serving


def once(peer: Peer) -> None:
    """As Kea: a reply, and the end."""
    request = json.loads(peer.sock.recv(65536))
    if request["command"] == "hang":
        peer.wait_for_end()
    elif request["command"] != "end":
        peer.sock.sendall(encode_value({"result": 0, "arguments": request}))


def test_each_call_has_a_connection_of_its_own(connect: Connect) -> None:
    with serving(once) as server, connect(str(server.target), dialect=KEA) as client:
        assert [client.call("a", number) for number in (1, 2)] == [
            {"command": "a", "arguments": 1},
            {"command": "a", "arguments": 2},
        ]
        assert server.accepted == 2
        with pytest.raises(CallTimeout):
            client.call("hang", timeout=0.05)
        with pytest.raises(ConnectionLost) as caught:
            client.call("end")
        assert caught.value.may_have_run
        assert client.call("a") == {"command": "a"}
        assert server.accepted == 5


def test_a_call_that_is_idempotent_is_made_again_on_another_connection(connect: Connect) -> None:
    def ends(peer: Peer) -> None:
        peer.sock.recv(65536)

    with serving(ends, once) as server, connect(str(server.target), dialect=KEA) as client:
        assert client.call("a", idempotent=True) == {"command": "a"}
        assert server.accepted == 2


def test_a_connection_that_ended_before_its_call_is_made_anew(connect: Connect) -> None:
    with serving(lambda _: None, once) as server, connect(str(server.target), dialect=KEA) as client:
        assert client.call("a", idempotent=True) == {"command": "a"}


def test_calls_of_many_tasks_have_connections_of_their_own() -> None:
    async def call(target: str) -> list[Any]:
        async with connect_async(target, dialect=KEA, parallel=4) as client:
            found = await asyncio.gather(*(client.call("a", number) for number in range(8)))
            assert len((await client.describe()).document["methods"]) == 0
            hanging = asyncio.create_task(client.call("hang"))
            await asyncio.to_thread(hangs.wait, DEADLINE)
            await client.close()
            with pytest.raises(ConnectionLost):
                await hanging
            return found

    hangs = threading.Event()

    def serve(peer: Peer) -> None:
        if (request := json.loads(peer.sock.recv(65536)))["command"] == "hang":
            hangs.set()
            peer.wait_for_end()
        arguments = [] if request["command"] == "list-commands" else request.get("arguments")
        peer.sock.sendall(encode_value({"result": 0, "arguments": arguments}))

    with serving(serve) as server:
        assert asyncio.run(call(str(server.target))) == list(range(8))


def test_calls_of_many_tasks_take_turns_where_none_may_come_too_early() -> None:
    def serve(peer: Peer) -> None:
        while data := peer.sock.recv(65536):
            # Two at once would be one line too many.
            say(peer, json.loads(data))

    async def call(target: str) -> list[Any]:
        async with connect_async(target, dialect=WATCHMAN, parallel=4) as client:
            return await asyncio.gather(*(client.call("a", [number]) for number in range(8)))

    with serving(serve) as server:
        assert asyncio.run(call(str(server.target))) == [["a", number] for number in range(8)]


def test_a_call_that_is_given_up_closes_the_connection_where_the_next_may_not_come_before_its_reply() -> None:
    def serve(peer: Peer) -> None:
        for line in peer.sock.makefile("rb"):
            if b"never" not in line:
                say(peer, peer.number)

    with serving(serve) as server, connect_blocking(str(server.target), dialect=WATCHMAN) as client:
        assert client.call("a") == 0
        with pytest.raises(CallTimeout):
            client.call("never", timeout=0.05)
        assert client.call("a") == 1
