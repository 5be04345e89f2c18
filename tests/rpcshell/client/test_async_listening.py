"""What the asyncio client alone can do with a listening dialect: many calls at once, and coroutines that listen."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from rpcshell import AsyncClient, CallError, ConnectionLost, UsageError, connect, connect_async
from rpcshell.client.dialects import Event, ServerRequest
from rpcshell.client.hearing import MOST_REQUESTS
from rpcwire import ErrorCode
from tests.rpcshell import jsonrpc_peer
from tests.rpcshell.peers import DEADLINE, Handler, Peer, serving


def peer_of(peer: Peer) -> None:
    with suppress(SystemExit):
        jsonrpc_peer.serve("line", lambda: peer.sock.recv(65536), peer.sock.sendall)


def run(use: Callable[[AsyncClient], Awaitable[None]], *, serve: Handler = peer_of, parallel: int = 1) -> int:
    """Use a client of a server; how many connections that took."""

    async def connected(target: str) -> None:
        async with asyncio.timeout(DEADLINE), connect_async(target, parallel=parallel) as client:
            await use(client)

    with serving(serve) as server:
        asyncio.run(connected(f"jsonrpc+line:{server.target}"))
        return server.accepted


def test_calls_of_many_tasks_share_a_connection_and_are_answered_in_any_order() -> None:
    async def use(client: AsyncClient) -> None:
        kept = [asyncio.create_task(client.call("keep")) for _ in range(4)]
        await asyncio.sleep(0)
        assert await client.call("release") == 5
        assert await asyncio.gather(*kept) == [1, 2, 3, 4]

    assert run(use, parallel=8) == 1


def test_a_task_that_is_cancelled_leaves_the_connection_to_the_others() -> None:
    async def use(client: AsyncClient) -> None:
        task = asyncio.create_task(client.call("keep"))
        assert await client.call("add", [1]) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.call("release") == 3

    assert run(use, parallel=2) == 1


def test_events_come_between_calls_and_end_with_the_client() -> None:
    async def use(client: AsyncClient) -> None:
        await client.call("tell", [2])
        events = client.events()
        assert [await anext(events), await anext(events)] == [Event("told", {"number": n}) for n in range(2)]
        assert [event async for event in client.events(timeout=0)] == []
        waiting = asyncio.create_task(anext(events, None))
        await asyncio.sleep(0)
        await client.close()
        assert await waiting is None

    run(use)


def test_events_end_with_an_error_where_the_connection_does() -> None:
    async def use(client: AsyncClient) -> None:
        with pytest.raises(ConnectionLost):
            async for _ in client.events():
                pass

    run(use, serve=lambda peer: None)


def test_requests_are_answered_by_functions_and_coroutines() -> None:
    async def answer(request: ServerRequest) -> object:
        await asyncio.sleep(0)
        if request.method == "refused":
            raise CallError("no", code=7)
        return NotImplemented if request.method == "other" else request.params

    async def use(client: AsyncClient) -> None:
        client.on_request(lambda request: request.method)
        assert await client.call("ask", ["name"]) == "name"
        client.on_request(answer)
        assert await client.call("ask", ["name", 1]) == [1]
        assert (await client.call("ask", ["refused"]))["code"] == 7
        assert (await client.call("ask", ["other"]))["code"] == ErrorCode.METHOD_NOT_FOUND

    run(use)


def test_it_describes_whatever_the_dialect() -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.describe()).document == jsonrpc_peer.DOCUMENT

    run(use)


def test_a_server_that_only_answers_has_no_events_and_describes_itself_all_the_same() -> None:
    async def use(target: str) -> None:
        async with connect_async(target) as client:
            assert (await client.describe()).document == {"methods": []}
            with pytest.raises(UsageError, match="only answers"):
                await anext(client.events())

    with serving(lambda peer: peer.answer({"methods": []})) as server:
        asyncio.run(use(str(server.target)))


class Asking:
    """A server that asks for more than there is room for, and counts the refusals until there are as many as that."""

    def __init__(self) -> None:
        self.refused = 0

    def __call__(self, peer: Peer) -> None:
        lines = peer.sock.makefile("rb")
        call = json.loads(lines.readline())
        asked = MOST_REQUESTS + 10
        peer.sock.sendall(b"".join(b'{"id":%d,"method":"ask"}\n' % number for number in range(asked)))
        # One may be in the handler beside those that wait.
        while self.refused < 9:
            answer = json.loads(lines.readline())
            assert answer["error"]["code"] == ErrorCode.BUSY
            self.refused += 1
        peer.sock.sendall(json.dumps({"id": call["id"], "result": "done"}).encode() + b"\n")
        peer.wait_for_end()


def test_requests_over_the_limit_are_refused_at_once() -> None:
    async def never(_: ServerRequest) -> object:
        return await asyncio.get_running_loop().create_future()

    async def use(client: AsyncClient) -> None:
        client.on_request(never)
        assert await client.call("begin") == "done"

    run(use, serve=Asking())


def test_requests_over_the_limit_are_refused_at_once_by_the_blocking_client() -> None:
    go_on = threading.Event()
    with serving(Asking()) as server, connect(f"jsonrpc+line:{server.target}") as client:
        client.on_request(lambda _: go_on.wait(DEADLINE))
        assert client.call("begin") == "done"
        go_on.set()
