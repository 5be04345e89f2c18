"""The fork model's own: a process for each connection, their number, and what becomes of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye
from tests.rpcserver.steering import Gate
from tests.servers import PATIENCE, PROBE_APP, Server, all_gone, children_of, running, until, watched

HOOKED_APP = (
    PROBE_APP
    + """
started = []

@service.on_worker_start
async def start() -> None:
    started.append(os.getpid())

@service.on_worker_stop
def stop() -> None:
    with open(os.environ["STOPPED"], "a") as file:
        file.write(f"{os.getpid()}\\n")

@service.method
def who_started() -> list[int]:
    return started
"""
)

FAILING_APP = (
    PROBE_APP
    + """
@service.on_worker_start
def start() -> None:
    raise OSError("no database")
"""
)


def test_each_connection_has_a_process_that_is_reaped_after_it(tmp_path: Path) -> None:
    with running("-m", "fork", "-w", "1", folder=tmp_path) as server, contextlib.ExitStack() as stack:
        (worker,) = server.workers()
        clients = [stack.enter_context(server.connect()) for _ in range(5)]
        pids = [client.call("pid").result for client in clients]
        assert len(set(pids)) == 5
        assert sorted(children_of(worker)) == sorted(pids)
        with watched(pids) as descriptors:
            for client in clients:
                client.close()
            assert all_gone(descriptors, PATIENCE)
        until(lambda: not children_of(worker))


def test_a_client_over_the_cap_is_told_to_try_again(tmp_path: Path) -> None:
    with (
        running("-m", "fork", "-w", "2", "--max-children", "2", "--access-log", folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(4)]
        # However they were shared out, four find room: a worker without any leaves them to the other for a moment.
        assert [client.call("echo", number).result for number, client in enumerate(clients)] == list(range(4))
        with server.connect() as fifth:
            reply = fifth.call("echo", 5)
            assert reply.fault is not None
            assert (reply.fault.code, reply.fault.data) == (ErrorCode.BUSY, {"retry": True})
            assert reply.close
            assert fifth.receive() is None
            host, port = fifth.socket.getsockname()
            log = server.wait_for_log(f"{host}:{port} - -32001 ")
            assert "all 2 processes are taken; more --max-children or --workers would help" in log
        gone = clients[0].call("pid").result
        with watched([gone]) as descriptors:
            clients[0].close()
            assert all_gone(descriptors, PATIENCE)
        answered = False
        deadline = time.monotonic() + PATIENCE
        while not answered:
            assert time.monotonic() < deadline
            with server.connect() as again:
                answered = again.call("echo", 6).fault is None


@pytest.mark.samples(1)
@pytest.mark.parametrize("victim", ["worker", "arbiter"])
def test_children_die_with_their_worker_and_with_the_arbiter(tmp_path: Path, gate: Gate, victim: str) -> None:
    with (
        running("-m", "fork", "-w", "1", folder=tmp_path) as server,
        server.connect() as idle,
        server.connect() as busy,
    ):
        (worker,) = server.workers()
        idle_pid = idle.call("pid").result
        gate.hold(busy)
        pids = children_of(worker)
        assert idle_pid in pids
        with watched([worker, *pids]) as descriptors:
            os.kill(worker if victim == "worker" else server.pid, signal.SIGKILL)
            assert all_gone(descriptors, PATIENCE)


def test_a_drain_is_passed_on_to_every_child(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "fork", "-w", "2", folder=tmp_path) as server,
        server.connect() as busy,
        contextlib.ExitStack() as stack,
    ):
        idle = [stack.enter_context(server.connect()) for _ in range(6)]
        for client in idle:
            assert client.call("echo", 1, close=True).result == 1
        gate.hold(busy, close=True)
        server.signal(signal.SIGTERM)
        for client in idle:
            assert isinstance(client.receive(), Goodbye)
            client.close()
        gate.release(busy)
        busy.close()
        assert server.wait() == 0


def test_a_call_that_runs_too_long_costs_its_process_and_nobody_else(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "fork", "-w", "1", "--timeout", "0.3", folder=tmp_path) as server,
        server.connect() as stuck,
        server.connect() as other,
    ):
        (worker,) = server.workers()
        pid = other.call("pid").result
        gate.hold(stuck)
        with contextlib.suppress(ConnectionResetError):
            assert stuck.receive() is None
        log = server.wait_for_log("was killed by SIGABRT")
        assert "in gate" in log  # the stack says where
        assert other.call("pid").result == pid
        assert server.workers() == [worker]


def test_a_child_that_dies_takes_nobody_with_it(tmp_path: Path) -> None:
    with (
        running("-m", "fork", "-w", "1", folder=tmp_path) as server,
        server.connect() as doomed,
        server.connect() as other,
    ):
        (worker,) = server.workers()
        pid = other.call("pid").result
        doomed.send("die", [int(signal.SIGKILL)])
        with contextlib.suppress(ConnectionResetError):
            assert doomed.receive() is None
        server.wait_for_log("was killed by SIGKILL")
        assert other.call("pid").result == pid
        assert server.workers() == [worker]


NOTING_APP = (
    PROBE_APP
    + """
import logging

@service.method
def note() -> None:
    logging.warning("a note")
"""
)


def test_a_log_that_is_opened_again_while_a_child_is_made_is_that_childs_too(tmp_path: Path, gate: Gate) -> None:
    log = tmp_path / "log"
    hook = f"os.register_at_fork(after_in_parent=lambda: gate(*{gate.params!r}))\n"
    with (
        running(*("-m", "fork", "-w", "1", "--log-file", str(log)), app=NOTING_APP + hook, folder=tmp_path) as server,
        server.connect() as client,
    ):
        gate.wait()
        log.rename(tmp_path / "log.1")
        server.signal(signal.SIGUSR1)
        # The worker heeds it once the child is made.
        until(lambda: is_pending(signal.SIGUSR1, *server.workers()))
        gate.open()
        until(log.exists)
        until(lambda: client.call("note").fault is None and "a note" in log.read_text())


def is_pending(number: signal.Signals, pid: int) -> bool:
    """Whether a process has been sent a signal that it blocks."""
    [pending] = re.findall(r"^ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(pending, 16) & 1 << number - 1)


def test_a_log_that_is_opened_again_while_a_child_is_buried_costs_no_worker(tmp_path: Path) -> None:
    app = (
        NOTING_APP
        + """
from rpcserver.system.process import ChildProcess

close = ChildProcess.close

def close_as_the_signal_comes(child):
    close(child)
    signal.raise_signal(signal.SIGUSR1)

ChildProcess.close = close_as_the_signal_comes
"""
    )
    log = tmp_path / "log"
    with running("-m", "fork", "-w", "1", "--log-file", str(log), app=app, folder=tmp_path) as server:
        workers = server.workers()
        log.rename(tmp_path / "log.1")
        with server.connect() as client:
            client.call("echo", 1)
        until(log.exists)
        with server.connect() as client:
            client.call("note")
        assert "a note" in log.read_text()
        assert server.workers() == workers


def test_hooks_run_in_each_child(tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    environment = {"STOPPED": str(stopped)}
    with (
        running("-m", "fork", "-w", "1", app=HOOKED_APP, folder=tmp_path, env=environment) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        pids = [client.call("pid").result for client in (first, second)]
        assert [client.call("who_started").result for client in (first, second)] == [[pids[0]], [pids[1]]]
        with watched(pids) as descriptors:
            first.close()
            second.close()
            assert all_gone(descriptors, PATIENCE)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert sorted(map(int, stopped.read_text().split())) == sorted(pids)


def test_a_start_hook_that_fails_is_answered_and_logged(tmp_path: Path) -> None:
    with (
        running("-m", "fork", "-w", "1", app=FAILING_APP, folder=tmp_path) as server,
        server.connect() as client,
    ):
        reply = client.call("echo", 1)
        assert reply.fault is not None
        assert (reply.fault.code, reply.close) == (ErrorCode.INTERNAL_ERROR, True)
        assert "no database" not in reply.fault.message
        assert client.receive() is None
        assert "no database" in server.wait_for_log("probe.py")


@pytest.mark.thorough
def test_a_worker_is_replaced_after_its_childrens_requests(tmp_path: Path) -> None:
    with running("-m", "fork", "-w", "1", "--max-requests", "10", folder=tmp_path) as server:
        (before,) = server.workers()
        for number in range(12):
            with server.connect() as client:
                assert client.call("echo", number).result == number
        successors(server, before)


def successors(server: Server, before: int) -> None:
    until(lambda: server.workers() and before not in server.workers())


def test_processes_do_not_share_their_random_state(tmp_path: Path) -> None:
    package = tmp_path / "numpy"
    package.mkdir()
    (package / "__init__.py").touch()
    # What numpy's global state does, which nothing reseeds at a fork.
    (package / "random.py").write_text(
        "import random\n_state = random.Random(7)\nseed, random_sample = _state.seed, _state.random\n"
    )
    app = (
        PROBE_APP
        + """
import random
import numpy.random

random.seed(7)

@service.method
def draw() -> list[float]:
    return [random.random(), numpy.random.random_sample()]
"""
    )
    drawn: list[list[float]] = []
    with running("-m", "fork", "-w", "1", app=app, folder=tmp_path) as server:
        for _ in range(3):
            with server.connect() as client:
                drawn.append(client.call("draw").result)
    for one in zip(*drawn, strict=True):
        assert len(set(one)) == 3


def test_a_child_does_anew_nothing_that_its_worker_can_do_for_all(tmp_path: Path) -> None:
    app = (
        PROBE_APP
        + """
import gc
import sys

WORKER = os.getpid()
sys.modules.pop("rpcserver.workers.proxied", None)
imported = []
last_made = None

class Imports:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if os.getpid() != WORKER:
            imported.append(name)

def before_fork():
    global last_made
    last_made = [last_made]

sys.meta_path.insert(0, Imports)
os.register_at_fork(before=before_fork)

@service.method
def imports() -> list[str]:
    return imported

@service.method
def sees_what_the_worker_made() -> bool:
    return any(found is last_made for found in gc.get_objects())
"""
    )
    proxied = ("--proxy-protocol", "127.0.0.1")
    with running("-m", "fork", "-w", "1", *proxied, app=app, folder=tmp_path) as server, server.connect() as client:
        client.socket.sendall(b"PROXY UNKNOWN\r\n")
        assert client.call("imports").result == []
        # The garbage collector, and whoever looks for open files at the end, would copy all pages of it.
        assert client.call("sees_what_the_worker_made").result is False
