"""Serving a service object out of a test's own process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpcserver import Context, RpcError, Service
from rpcserver.testing import Client, RunningServer, ServerFailed, serve
from rpcwire.worker_models import MODELS
from tests.servers import PATIENCE, all_gone, until, watched


def shop(name: str = "shop") -> Service:
    service = Service(name)
    sold = 0

    @service.method
    def price(item: str, count: int = 1) -> float:
        return 2.5 * count

    @service.method
    def refuse() -> None:
        raise RpcError("no", code=404, data={"why": "not"})

    @service.method
    def sell() -> int:
        nonlocal sold
        sold += 1
        return sold

    @service.method
    async def who(context: Context) -> int:
        context.log.warning("asked who")
        return context.worker.pid

    @service.method
    def wait(entered: str) -> None:
        with open(entered, "wb", buffering=0) as file:  # noqa: PTH123 - a FIFO
            file.write(b".")
        threading.Event().wait()

    @service.method
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()

    return service


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serve(shop()) as running:
        yield running


@pytest.mark.parametrize("params", [{"item": "tea", "count": 2}, ["tea", 2]])
def test_a_handler_is_called_in_a_worker(server: RunningServer, params: object) -> None:
    assert server.call("price", params) == 5.0
    assert server.call("who") in server.workers
    assert os.getpid() not in {server.pid, *server.workers}
    assert len(server.workers) == 2


def test_an_error_reply_is_raised_with_all_its_parts(server: RunningServer) -> None:
    with pytest.raises(RpcError) as raised:
        server.call("refuse")
    assert (raised.value.message, raised.value.code, raised.value.data) == ("no", 404, {"why": "not"})


def test_the_whole_reply_can_be_had(server: RunningServer) -> None:
    with server.connect() as client:
        reply = client.request("who", meta=True)
        assert reply.meta is not None
        assert reply.meta.pid == reply.result
        assert client.request("refuse").fault is not None
        assert client.call("who") == reply.result


def test_the_servers_log_can_be_read(server: RunningServer) -> None:
    server.call("who")
    assert server.wait_for_log("who: asked .*") == "who: asked who"
    assert "who: asked who" in server.log()
    with pytest.raises(TimeoutError, match="never logged"):
        server.wait_for_log("never logged", 0.1)


@pytest.mark.samples(2)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_serves(model: str) -> None:
    with serve(shop(), model=model, workers=1) as server:
        assert server.model == model
        assert server.call("price", ["tea"]) == 2.5
        assert server.call("who") > 0


def test_what_handlers_change_stays_theirs() -> None:
    kept: list[int] = []
    service = Service("s")

    @service.method
    def add(number: int) -> int:
        kept.append(number)
        return sum(kept)

    with serve(service, workers=1) as server:
        assert [server.call("add", [2]), server.call("add", [3])] == [2, 5]
    assert kept == []


@pytest.mark.parametrize(
    "app", [{"double": lambda params: 2 * params}, lambda: Service.from_dict({"double": lambda params: 2 * params})]
)
def test_whatever_can_be_an_app_can_be_served(app: object) -> None:
    with serve(app, workers=1) as server:  # type: ignore[arg-type] # a union that lambdas do not show
        assert server.call("double", 21) == 42


def test_an_app_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "calc.py"
    file.write_text("service = {'double': lambda params: 2 * params}")
    with serve(str(file), workers=1) as server:
        assert server.call("double", 21) == 42


def test_a_unix_socket_can_be_served(tmp_path: Path) -> None:
    with serve(shop(), workers=1, bind=f"unix:{tmp_path / 's'}") as server:
        assert server.address == f"unix:{tmp_path / 's'}"
        assert server.call("price", ["tea"]) == 2.5
    assert not (tmp_path / "s").exists()


def test_settings_are_passed_on() -> None:
    with serve(shop(), workers=1, max_frame=64) as server, pytest.raises(RpcError) as raised:
        server.call("price", ["x" * 100])
    assert raised.value.code == -32003


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"no_such": 1}, TypeError),
        ({"model": "none"}, ValueError),
        ({"bind": "nowhere"}, ValueError),
        ({"workers": 0}, ValueError),
        ({"reload": True}, ValueError),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(settings: dict[str, object], kind: type[Exception]) -> None:
    with pytest.raises(kind), serve(shop(), **settings):  # type: ignore[arg-type] # wrong on purpose
        pass


def test_a_service_that_cannot_be_served_fails_with_the_reason() -> None:
    service = Service("s")

    @service.method
    def odd(thing: NotDefined) -> None:  # type: ignore[name-defined] # noqa: F821 - wrong on purpose
        pass

    with pytest.raises(ServerFailed, match="odd") as raised, serve(service):
        pass
    assert "NotDefined" in raised.value.message


def test_a_hook_that_fails_shows_its_own_traceback() -> None:
    service = Service("s")

    @service.on_worker_start
    def connect() -> None:
        raise ValueError("no database")

    with pytest.raises(ServerFailed, match="no database") as raised, serve(service):
        pass
    assert 'raise ValueError("no database")' in str(raised.value.traceback)


def test_an_address_that_is_taken_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match="in use"), serve(shop(), bind=f"127.0.0.1:{port}"):
            pass


def test_an_exception_in_the_block_carries_the_log() -> None:
    with pytest.raises(RpcError) as raised, serve(shop(), workers=1) as server:
        server.call("refuse", server.call("who") and None)
    assert "who: asked who" in "\n".join(raised.value.__notes__)


def test_a_server_that_dies_meanwhile_is_an_error() -> None:
    def kill_in_a_test() -> None:
        with serve(shop(), workers=1) as server:
            os.kill(server.pid, signal.SIGKILL)
            assert server.wait(PATIENCE)

    with pytest.raises(ServerFailed, match="was killed by SIGKILL"):
        kill_in_a_test()


def test_a_server_that_was_asked_to_stop_is_none() -> None:
    with serve(shop(), workers=1) as server:
        server.signal(signal.SIGTERM)
        assert server.wait(PATIENCE)
    assert server.log().endswith("stopped\n")
    assert server.workers == []


def test_nothing_is_left_when_the_block_ends() -> None:
    before = {entry.name for entry in Path("/proc/self/fd").iterdir()}
    with contextlib.ExitStack() as stack:
        with serve(shop(), workers=2) as server:
            processes = stack.enter_context(watched([server.pid, *server.workers]))
            with server.connect() as client:
                client.call("who")
        assert all_gone(processes, 0)
    assert {entry.name for entry in Path("/proc/self/fd").iterdir()} == before


def test_a_client_outlives_a_reload_without_losing_a_call() -> None:
    with serve(shop(), workers=1) as server, server.connect() as client:
        first = client.call("who")
        server.signal(signal.SIGHUP)
        for _ in range(100_000):
            if client.call("who") != first:
                break
        else:
            pytest.fail("the worker was not replaced")


def test_a_lost_connection_is_told_from_an_error_reply() -> None:
    with serve(shop(), workers=1) as server, server.connect() as client:
        with pytest.raises(ConnectionError, match="die"):
            client.call("die")
        # A new worker takes over, on a new connection.
        assert client.call("price", ["tea"]) == 2.5


def test_a_call_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    reader = os.open(entered, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with serve(shop(), workers=2) as server, server.connect(timeout=1) as client:
            with pytest.raises(TimeoutError, match=r"wait was not answered within 1 s"):
                client.call("wait", [str(entered)])
            assert os.read(reader, 1) == b"."
            assert client.call("price", ["tea"]) == 2.5
    finally:
        os.close(reader)


def test_nobody_listens_after_the_block() -> None:
    with serve(shop(), workers=1) as server:
        address = server.address
    with pytest.raises(ConnectionRefusedError):
        Client(address)


def test_a_server_at_an_abstract_socket_is_called() -> None:
    address = f"unix:@rpcserver-test-{os.getpid()}"
    with serve(shop(), workers=1, bind=address) as server, server.connect() as client:
        assert server.address == address
        assert client.call("price", ["tea"]) == 2.5


def test_two_servers_run_side_by_side_without_holding_each_others_connections() -> None:
    with serve(shop(), workers=1) as first, first.connect() as client:
        client.call("who")
        with serve(shop(), workers=1) as second:
            assert second.call("price", ["tea"]) == 2.5
            client.close()
            # The only worker is free again, although the second server's processes inherited the socket.
            assert first.call("price", ["tea"]) == 2.5


def test_a_server_can_be_started_beside_other_threads() -> None:
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    try:
        with serve(shop(), workers=1) as server:
            assert server.call("price", ["tea"]) == 2.5
    finally:
        leave.set()
        thread.join()


def test_a_client_may_be_shared_by_threads_and_forked_processes() -> None:
    service = Service("guests")

    @service.method
    def greet(name: str, context: Context) -> list[str]:
        return [name, context.peer.address]

    with serve(service, workers=1, model="thread") as server, server.connect() as client:
        parent = client.call("greet", ["parent"])
        child = os.fork()
        if child == 0:
            status = 1
            try:
                name, address = client.call("greet", ["child"])
                client.close()
                status = 0 if name == "child" and address != parent[1] else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.call("greet", ["parent"]) == parent
        strangers: list[object] = []

        def call(name: str) -> None:
            strangers.extend(reply for _ in range(20) if (reply := client.call("greet", [name])) != [name, parent[1]])

        threads = [threading.Thread(target=call, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not strangers


def test_workers_of_a_preloaded_service_come_of_one_stem_and_stop_with_the_block() -> None:
    calls: list[int] = []
    service = shop()

    @service.on_preload
    def load() -> None:
        calls.append(os.getpid())

    @service.method
    def loaded() -> list[int]:
        return calls

    with serve(service, workers=2, preload=True) as server:
        workers = server.workers
        assert len(workers) == 2
        [stem] = server.call("loaded")
        assert stem not in {os.getpid(), server.pid, *workers}
        processes = [stem, *workers]
        with watched(processes) as ends:
            server.signal(signal.SIGTERM)
            assert all_gone(ends, PATIENCE)


@pytest.mark.thorough
@pytest.mark.parametrize("model", MODELS)
def test_no_call_is_lost_whatever_becomes_of_the_stem_of_a_preloaded_service(model: str) -> None:
    loaded: list[int] = []
    service = shop()

    @service.on_preload
    def load() -> None:
        loaded.append(os.getpid())

    @service.method
    def stem() -> int:
        return loaded[0]

    enough = threading.Event()

    def call(server: RunningServer) -> int:
        count = 0
        with server.connect() as client:
            while not enough.is_set():
                assert client.call("price", ["tea"]) == 2.5
                count += 1
        return count

    with serve(service, model=model, workers=3, preload=True) as server, ThreadPoolExecutor(2) as threads:
        callers = [threads.submit(call, server) for _ in range(2)]
        try:
            for reloads in range(1, 3):
                former = server.call("stem")
                os.kill(former, signal.SIGKILL)
                until(lambda: server.log().count("the app is loaded") == 2 * reloads)  # noqa: B023 - it is over by then
                server.signal(signal.SIGHUP)
                server.wait_for_log(f"reloaded: 3 workers of generation {reloads}", PATIENCE)
                # A worker that leaves may take one more client.
                until(lambda: server.call("stem") != former)  # noqa: B023
                for scaled, workers in ((signal.SIGTTIN, 4), (signal.SIGTTOU, 3)):
                    server.signal(scaled)
                    until(lambda: len(server.workers) == workers)  # noqa: B023
        finally:
            enough.set()
        assert all(caller.result(PATIENCE) for caller in callers)
