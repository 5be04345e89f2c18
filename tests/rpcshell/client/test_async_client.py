"""What only the asyncio client has: many tasks, cancellation, loops. The rest is in the tests of both clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
import uvloop

from rpcshell import CallTimeout, ConnectionFailed, ConnectionLost, UsageError, connect_async
from tests.rpcshell.peers import DEADLINE, Peer, echo, free_port, serving


def test_importing_it_loads_no_event_loop() -> None:
    code = "import sys; from rpcshell import AsyncClient, connect_async; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(run.stdout.split())
    assert {"rpcshell.client.async_client", "rpcshell.client.async_opening"} <= loaded
    assert not loaded & {"asyncio", "ssl", "click", "prompt_toolkit"}


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_calls_of_many_tasks_get_their_own_replies_over_as_many_connections_as_allowed(
    parallel: int, factory: type[asyncio.AbstractEventLoop]
) -> None:
    together = threading.Barrier(parallel)

    def meet(peer: Peer) -> None:
        # Nobody is answered before all have asked.
        request = peer.read()
        together.wait(DEADLINE)
        peer.send({"out": "pong", "result": request and request["params"]})
        echo(peer)

    async def run() -> None:
        async with connect_async(str(server.target), parallel=parallel) as client:
            values: list[object] = [*range(20), "x" * 500_000]
            assert await asyncio.gather(*(client.call("ping", value) for value in values)) == values
        assert not client.connected

    with serving(meet) as server, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())
        assert server.accepted == parallel


def test_a_cancelled_task_takes_its_connection_with_it_and_no_other() -> None:
    arrived, release = threading.Event(), threading.Event()

    def hang(peer: Peer) -> None:
        peer.read()
        arrived.set()
        peer.wait_for_end()
        release.set()

    async def run() -> None:
        async with connect_async(server.target, parallel=2) as client:
            hanging = asyncio.create_task(client.call("hang"))
            await asyncio.to_thread(arrived.wait, DEADLINE)
            assert await client.call("ping", 1) == 1
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            assert await asyncio.to_thread(release.wait, DEADLINE)
            assert await client.call("ping", 2) == 2
        assert server.accepted == 2

    with serving(hang, echo) as server:
        asyncio.run(run())


def test_closing_ends_what_is_under_way_and_the_next_call_connects_anew() -> None:
    arrived = threading.Event()

    def hang(peer: Peer) -> None:
        peer.read()
        arrived.set()
        peer.wait_for_end()

    async def run() -> None:
        client = await connect_async(server.target)
        hanging = asyncio.create_task(client.call("hang"))
        await asyncio.to_thread(arrived.wait, DEADLINE)
        with pytest.raises(CallTimeout, match="the request was not sent") as caught:
            await client.call("ping", timeout=0.05)
        assert not caught.value.may_have_run
        await client.close()
        with pytest.raises(ConnectionLost, match="it was closed here; the request may have run"):
            await hanging
        assert await client.call("ping", 1) == 1
        await client.close()

    with serving(hang, echo) as server:
        asyncio.run(run())


def test_what_makes_no_sense_is_said_before_there_is_a_connection() -> None:
    async def run() -> None:
        with pytest.raises(UsageError):
            connect_async("nowhere")
        with pytest.raises(UsageError, match="at least one"):
            connect_async("8080", parallel=0)
        with pytest.raises(ConnectionFailed):
            async with connect_async(f"127.0.0.1:{free_port()}"):
                pass

    asyncio.run(run())
