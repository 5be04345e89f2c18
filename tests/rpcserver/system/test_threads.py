"""Where no thread, no process and no descriptor is left: less is served, and a line says so.

What is imported late elsewhere is imported here: another user may not read the folders of this Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import signal
import socket

import pytest

from rpcserver import RpcError
from rpcserver.service.coroutines import CoroutineRunner
from rpcserver.service.on_loop import OnLoop
from rpcserver.system.strays import StrayGuard
from rpcserver.system.threads import NoThread, start_thread
from rpcserver.testing import ServerFailed, serve
from rpcserver.workers import load_model
from rpcserver.workers.aio_calls import HandlerThreads, ThreadCalls
from rpcwire import ErrorCode
from rpcwire.worker_models import MODELS
from tests.models import of_each_kind
from tests.poverty import few_descriptors, few_processes, in_a_child
from tests.servers import PATIENCE

for late in ("concurrent.futures.thread", "encodings.idna", "rpcserver.run"):
    importlib.import_module(late)
for model in MODELS:
    load_model(model)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user without any process")


def test_what_needs_a_thread_is_done_without_or_refused_by_name() -> None:
    async def calls() -> None:
        loop = asyncio.get_running_loop()
        threads = ThreadCalls(HandlerThreads(2, loop))
        for number in range(3):
            assert await threads.submit(abs, -number) == number
        assert await OnLoop(StrayGuard()).run_large(abs, -3) == 3

    async def coroutine() -> None:
        pass

    def lonely() -> None:
        with pytest.raises(NoThread, match="ulimit"):
            start_thread(lonely, "probe")
        asyncio.run(calls())
        call = coroutine()
        with pytest.raises(RpcError, match="no thread") as refused:
            CoroutineRunner().run(call)
        call.close()
        assert refused.value.code == ErrorCode.BUSY

    in_a_child(lonely, few_processes(1))


def echo(params: object) -> object:
    return params


@pytest.mark.samples(1)
@only_root
@pytest.mark.parametrize(
    ("model", "processes", "said"),
    [
        ("pool", 5, "the pool has 1 of 8 threads"),
        ("async", 4, "there are 0 of 8 threads for calls"),
        ("async", 5, "there are 1 of 8 threads for calls"),
    ],
)
def test_a_server_goes_on_with_the_threads_that_there_are(model: str, processes: int, said: str) -> None:
    def lonely() -> None:
        # This process, the arbiter and the worker are three.
        with serve({"echo": echo}, model=model, workers=1) as server, server.connect() as client:
            for number in range(3):
                assert client.call("echo", number) == number
            log = server.log()
        assert log.count(said) == 1
        assert "Traceback" not in log

    in_a_child(lonely, few_processes(processes))


@only_root
def test_a_quick_stop_without_a_thread_that_could_insist_is_a_line() -> None:
    def lonely() -> None:
        with serve({"echo": echo}, model="async", workers=1) as server:
            assert server.call("echo", 1) == 1
            server.signal(signal.SIGINT)
            assert server.wait(PATIENCE)
            log = server.log()
        assert log.count("may outlast this stop") == 1
        assert "Traceback" not in log

    in_a_child(lonely, few_processes(4))


@pytest.mark.samples(1)
@only_root
@pytest.mark.parametrize("model", ["pool", "async"])
def test_a_server_that_can_have_no_thread_at_all_says_so(model: str) -> None:
    def lonely() -> None:
        with pytest.raises(ServerFailed) as failed, serve({"echo": echo}, model=model, workers=1):
            pass
        assert failed.value.message == (
            "the worker cannot start: no thread can be started: the limits of processes allow no more "
            "(ulimit -u, pids.max)"
        )
        assert "Traceback" not in failed.value.log

    in_a_child(lonely, few_processes(3))


@pytest.mark.samples(1)
@only_root
@pytest.mark.parametrize(
    ("model", "what"), [("thread", "no thread can be started"), ("fork", "no process can be made")]
)
def test_clients_that_are_turned_away_for_want_of_processes_are_said_once(model: str, what: str) -> None:
    def lonely() -> None:
        with serve({"echo": echo}, model=model, workers=1) as server:
            host, _, port = server.address.rpartition(":")
            for _ in range(5):
                # Nothing is asked: what comes is the end of the connection, or a word before it.
                with (
                    contextlib.suppress(ConnectionResetError),
                    socket.create_connection((host, int(port)), PATIENCE) as client,
                ):
                    client.recv(1000)
            assert server.log().count(what) == 1

    in_a_child(lonely, few_processes(3))


@pytest.mark.samples(1)
@of_each_kind
def test_a_server_without_descriptors_says_so(model: str) -> None:
    def poor() -> None:
        try:
            with serve({"echo": echo}, model=model, workers=1) as server, server.connect() as client:
                assert client.call("echo", 1) == 1
        except ServerFailed as failed:
            assert "Too many open files" in failed.message
            assert "Traceback" not in failed.log
        except OSError as error:
            # It is the client, or who starts the server, that has none left.
            assert error.errno == errno.EMFILE

    for more in range(4, 24, 2):
        in_a_child(poor, few_descriptors(more))
