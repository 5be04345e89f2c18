"""The thread model's own: threads that are woken to drain, requests that are given up, and the cap."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye
from tests.rpcserver.steering import Gate
from tests.servers import PATIENCE, Client, Server, request, running, until


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


MEETING_APP = """
import threading
from rpcserver import Service

service = Service("meeting")
everybody = threading.Barrier(20)

@service.method
def meet() -> int:
    return everybody.wait()
"""


def test_each_connection_that_is_not_silent_has_a_thread(tmp_path: Path) -> None:
    with (
        running("-m", "thread", "-w", "1", app=MEETING_APP, folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        (pid,) = server.workers()
        before = threads_of(pid)
        clients = [stack.enter_context(server.connect()) for _ in range(20)]
        for _ in range(2):
            for client in clients:
                client.send("meet")
            assert sorted(client.reply().result for client in clients) == list(range(20))
            # One thread watches all that are parked.
            until(lambda: threads_of(pid) == before + 1)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_parked_connections_are_served_and_end_as_others_do(tmp_path: Path, kind: str) -> None:
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/probe.sock"
    with (
        running("-m", "thread", "-w", "1", "--reclaim-idle", "0.1", folder=tmp_path, bind=(bind,)) as server,
        contextlib.ExitStack() as stack,
    ):
        (pid,) = server.workers()
        clients = [stack.enter_context(server.connect()) for _ in range(6)]
        assert {client.call("echo", 1, close=True).result for client in clients} == {1}
        until(lambda: threads_of(pid) == 2)
        halves = request("echo", "in two")
        clients[0].socket.sendall(halves[:9])
        clients[1].socket.sendall(request("echo", "a batch") * 3)
        clients[2].close()
        assert [clients[1].reply().result for _ in range(3)] == ["a batch"] * 3
        clients[0].socket.sendall(halves[9:])
        assert clients[0].reply().result == "in two"
        until(lambda: threads_of(pid) == 2)
        clients[3].send("echo", "the last")
        server.signal(signal.SIGTERM)
        assert clients[3].reply().result == "the last"
        for client in (clients[0], clients[1], clients[4], clients[5]):
            assert isinstance(client.receive(), Goodbye)
            client.close()
        clients[3].close()
        assert server.wait() == 0


def test_calls_of_one_worker_run_side_by_side(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "thread", "-w", "1", folder=tmp_path) as server,
        server.connect() as waiting,
        server.connect() as other,
    ):
        gate.hold(waiting)
        assert other.call("echo", 1).result == 1
        gate.release(waiting)


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_many_idle_threads_are_all_woken_to_say_goodbye(tmp_path: Path, kind: str) -> None:
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/probe.sock"
    with (
        running("-m", "thread", "-w", "2", folder=tmp_path, bind=(bind,)) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(60)]
        for client in clients:
            assert client.call("echo", 1, close=True).result == 1
        server.signal(signal.SIGTERM)
        for client in clients:
            assert isinstance(client.receive(), Goodbye)
            client.close()
        assert server.wait() == 0


def test_a_unix_client_can_still_write_after_the_goodbye(tmp_path: Path) -> None:
    with (
        running("-m", "thread", "-w", "1", folder=tmp_path, bind=(f"unix:{tmp_path}/probe.sock",)) as server,
        server.connect() as client,
    ):
        assert client.call("echo", 1, close=True).result == 1
        server.signal(signal.SIGTERM)
        server.wait_for_log("stopping")
        client.send("echo", 2, close=True)  # raises BrokenPipeError where the server has shut its side
        received = [client.receive()]
        assert received != [None]
        while (last := received[-1]) is not None:
            assert isinstance(last, Goodbye) or last.result == 2
            received.append(client.receive())


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["thread", "pool"])
def test_connections_over_the_cap_wait_for_room(model: str, tmp_path: Path) -> None:
    with (
        running("-m", model, "-w", "1", "--max-connections", "2", folder=tmp_path) as server,
        server.connect() as first,
        server.connect() as second,
        server.connect() as third,
    ):
        assert [first.call("echo", 1).result, second.call("echo", 2).result] == [1, 2]
        third.send("echo", 3)
        assert first.call("echo", 1).result == 1
        third.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            third.receive()
        third.socket.settimeout(PATIENCE)
        first.close()
        assert third.reply().result == 3
        # Full a second time, which is not said again so soon.
        assert server.log().count("2 connections are open, and others wait") == 1
        assert "more --max-connections or --workers, or a --max-connection-age, would help" in server.log()


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["thread", "pool"])
def test_a_request_that_runs_too_long_is_given_up_and_its_worker_replaced(
    tmp_path: Path, gate: Gate, model: str
) -> None:
    with (
        running("-m", model, "-w", "1", "--timeout", "0.3", folder=tmp_path) as server,
        server.connect() as stuck,
        server.connect() as other,
    ):
        pid = other.call("pid").result
        batch = request("echo", "before") + request("gate", gate.params, id=7) + request("echo", "after")
        stuck.socket.sendall(batch)
        gate.wait()
        assert other.call("pid").result == pid
        assert stuck.reply().result == "before"
        reply = stuck.reply()
        assert reply.fault is not None
        assert (reply.fault.code, reply.id, reply.close) == (ErrorCode.TIMED_OUT, 7, True)
        assert stuck.receive() is None
        log = server.wait_for_log("ran longer than 0.3 s")
        assert "probe.py" in log  # the stack says where
        assert "in gate" in log
        other_ends(other)
        with server.connect() as later:
            assert later.call("pid").result != pid


def other_ends(client: Client) -> None:
    """Call until the server says that it was the last, as the worker's other clients are told when it is replaced."""
    while not client.call("echo").close:
        pass
    assert client.receive() is None


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["thread", "pool"])
def test_a_late_reply_never_reaches_the_client(tmp_path: Path, gate: Gate, model: str) -> None:
    with (
        running("-m", model, "-w", "1", "--timeout", "0.2", folder=tmp_path) as server,
        server.connect() as client,
    ):
        gate.hold(client)
        reply = client.reply()
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.TIMED_OUT
        gate.open()
        assert client.receive() is None


def test_slow_handlers_that_finish_in_time_are_left_alone(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "thread", "-w", "1", "--timeout", "5", folder=tmp_path) as server,
        server.connect() as client,
    ):
        gate.hold(client)
        gate.release(client)
        assert client.call("echo", 1).result == 1


def test_a_stop_does_not_wait_for_a_thread_that_is_stuck(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "thread", "-w", "1", "--timeout", "0.2", folder=tmp_path) as server,
        server.connect() as client,
    ):
        gate.hold(client)
        server.signal(signal.SIGTERM)
        assert client.reply().fault is not None
        client.close()
        assert server.wait() == 0
        assert "SIGKILL" not in server.log()


@pytest.mark.thorough
def test_a_worker_is_replaced_after_its_requests(tmp_path: Path) -> None:
    with running("-m", "thread", "-w", "1", "--max-requests", "20", folder=tmp_path) as server:
        pids = count_replacements(server, 3)
        assert len(pids) == 3


def count_replacements(server: Server, count: int) -> set[int]:
    """Call until that many workers have served, heeding `close`; no call may be lost."""
    pids: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while len(pids) < count:
        assert time.monotonic() < deadline
        with server.connect() as client:
            while True:
                client.send("pid", close=True)
                received = client.receive()
                assert received is not None
                if isinstance(received, Goodbye):
                    break
                assert received.fault is None
                pids.add(received.result)
                if received.close or len(pids) >= count:
                    break
    return pids
