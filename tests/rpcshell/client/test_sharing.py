"""One client in several threads, processes that were forked, signal handlers and event loops: each call's own reply."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rpcshell import CallTimeout, ConnectionLost, UsageError, connect, connect_async
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.peers import DEADLINE, Peer, echo, serving

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def in_child(work: Callable[[], object]) -> Any:
    """What `work` returns, or raises as text, in a process that is forked."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:  # noqa: BLE001 - the parent's test tells of it
            os.write(writing, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)


class Gate:
    """A server that answers each request with its params, "hold" only once it was released."""

    def __init__(self) -> None:
        self.holding, self.released = threading.Event(), threading.Event()

    def __call__(self, peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["params"] == "hold":
                self.holding.set()
                assert self.released.wait(DEADLINE)
            peer.send({"out": "pong", "result": request["params"]})


def test_a_forked_child_calls_over_a_connection_of_its_own() -> None:
    with serving(echo) as server, connect(server.target) as client:
        assert in_child(lambda: [client.call("ping", 1), client.connections]) == [1, 2]
        assert client.call("ping", 2) == 2
        assert (server.accepted, client.connections) == (2, 1)


def test_a_call_of_another_thread_does_not_hold_a_forked_child_up() -> None:
    gate = Gate()
    with serving(gate) as server, connect(server.target) as client:
        calling = threading.Thread(target=client.call, args=("ping", "hold"))
        calling.start()
        assert gate.holding.wait(DEADLINE)
        assert in_child(lambda: client.call("ping", 1, timeout=DEADLINE)) == 1
        gate.released.set()
        calling.join(DEADLINE)
        assert server.accepted == 2


def test_a_forked_child_lets_go_of_the_connection_that_its_parent_closes() -> None:
    ended = threading.Event()

    def notice_the_end(peer: Peer) -> None:
        echo(peer)
        ended.set()

    with serving(notice_the_end) as server:
        client = connect(server.target)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
        client.close()
        assert ended.wait(DEADLINE)
        os.close(writing)
        os.waitpid(child, 0)


def test_a_forked_child_leaves_its_parents_encrypted_connection_alone(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)

    def close_and_call() -> object:
        client.close()
        return client.call("ping", 1)

    with (
        serving(echo, tls=certificates.server()) as server,
        connect(server.target, tls=certificates.trusting) as client,
    ):
        assert in_child(close_and_call) == 1
        assert client.call("ping", 2) == 2
        assert (server.accepted, client.connections) == (2, 1)


def test_threads_that_share_a_client_get_their_own_replies() -> None:
    strangers: list[object] = []

    def call(name: int) -> None:
        strangers.extend(reply for at in range(50) if (reply := client.call("ping", [name, at])) != [name, at])

    with serving(echo) as server, connect(server.target) as client:
        threads = [threading.Thread(target=call, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert (strangers, client.requests, server.accepted) == ([], 200, 1)


def test_waiting_for_the_call_of_another_thread_counts_to_a_calls_time() -> None:
    gate = Gate()
    with serving(gate) as server, connect(server.target) as client:
        calling = threading.Thread(target=client.call, args=("ping", "hold"))
        calling.start()
        assert gate.holding.wait(DEADLINE)
        with pytest.raises(CallTimeout) as caught:
            client.call("ping", 1, timeout=0.05)
        assert not caught.value.may_have_run
        gate.released.set()
        calling.join(DEADLINE)
        assert (client.call("ping", 2), server.accepted) == (2, 1)


def test_closing_ends_the_call_of_another_thread() -> None:
    gate = Gate()
    lost: list[BaseException] = []

    def call() -> None:
        with pytest.raises(ConnectionLost) as caught:
            client.call("ping", "hold", timeout=None)
        lost.append(caught.value)

    with serving(gate) as server, connect(server.target) as client:
        calling = threading.Thread(target=call)
        calling.start()
        assert gate.holding.wait(DEADLINE)
        client.close()
        calling.join(DEADLINE)
        gate.released.set()
        assert len(lost) == 1
        assert client.call("ping", 2) == 2


@pytest.mark.parametrize("name", ["call", "close"])
def test_a_signal_handler_cannot_disturb_the_call_that_it_interrupts(name: str) -> None:
    gate = Gate()
    handled = threading.Event()

    def interrupt() -> None:
        assert gate.holding.wait(DEADLINE)
        # Again and again: one that comes just before the call sleeps in the kernel does not end its sleep.
        while not handled.wait(0.05):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def handle(*_: object) -> None:
        handled.set()
        if name == "close":
            client.close()
            return
        with pytest.raises(UsageError, match="a call is under way"):
            client.call("ping", "inner")
        gate.released.set()

    with serving(gate, echo) as server, connect(server.target) as client:
        former = signal.signal(signal.SIGUSR1, handle)
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        try:
            if name == "call":
                assert client.call("ping", "hold") == "hold"
            else:
                with pytest.raises(ConnectionLost):
                    client.call("ping", "hold")
        finally:
            handled.set()
            interrupting.join(DEADLINE)
            signal.signal(signal.SIGUSR1, former)
            gate.released.set()
        assert client.call("ping", "outer") == "outer"


@pytest.mark.parametrize("factory", LOOPS)
def test_a_forked_child_has_a_loop_and_connections_of_its_own(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run(target: Any) -> None:
        async with connect_async(target) as client:
            assert in_child(lambda: asyncio.run(client.call("ping", 1, timeout=DEADLINE))) == 1
            assert await client.call("ping", 2) == 2
            assert in_child(lambda: asyncio.run(client.close())) is None
            assert await client.call("ping", 3, timeout=DEADLINE) == 3

    with serving(echo) as server:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(server.target))
        assert server.accepted == 2


@pytest.mark.parametrize("factory", LOOPS)
def test_a_client_of_another_loop_is_refused_while_that_may_run(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def join(target: Any) -> Any:
        return await connect_async(target)

    with serving(echo) as server, asyncio.Runner(loop_factory=factory) as other:
        with asyncio.Runner(loop_factory=factory) as runner:
            client = runner.run(join(server.target))
            assert runner.run(client.call("ping", 1)) == 1
            for step in (client.call("ping", 2), client.connect(), client.close()):
                with pytest.raises(UsageError, match="another event loop"):
                    other.run(step)
            assert runner.run(client.call("ping", 3)) == 3
            assert server.accepted == 1
            runner.run(client.close())
        assert other.run(client.call("ping", 4)) == 4
        other.run(client.close())
