"""How the async model ends calls that take too long, connections, and itself."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye, Reply
from tests.rpcserver.aio_serving import serving
from tests.rpcserver.steering import Gate
from tests.servers import PATIENCE, Server, all_gone, request, watched


def test_a_coroutine_that_takes_too_long_is_cancelled_and_the_connection_goes_on(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with serving(tmp_path, "--timeout", "0.3") as server, server.connect() as client:
        pid = client.call("pid").result
        started = time.monotonic()
        client.socket.sendall(request("hang", [str(mark)], id=7, meta=True) + request("later", 2))
        reply = client.reply()
        assert time.monotonic() - started > 0.25
        assert reply.fault is not None
        assert (reply.fault.code, reply.id, reply.close) == (ErrorCode.TIMED_OUT, 7, False)
        assert "hang" in reply.fault.message
        assert reply.meta is not None
        assert reply.meta.service_us >= 250_000
        assert mark.read_text() == "cleaned up"
        assert client.reply().result == 2
        assert client.call("pid").result == pid


def test_a_coroutine_that_resists_its_cancellation_loses_its_connection_only(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", "0.3") as server, server.connect() as client, server.connect() as other:
        pid = other.call("pid").result
        client.send("resist")
        reply = client.reply()
        assert reply.fault is not None
        assert (reply.fault.code, reply.close) == (ErrorCode.TIMED_OUT, True)
        assert client.receive() is None
        assert other.call("pid").result == pid
        client.close()
        other.close()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "did not stop in time" not in server.log()


def test_a_thread_that_does_not_come_back_is_replaced_with_its_worker(tmp_path: Path, gate: Gate) -> None:
    with serving(tmp_path, "--timeout", "0.3") as server, server.connect() as client:
        pid = client.call("pid").result
        with watched([pid]) as descriptors:
            gate.hold(client)
            reply = client.reply()
            assert reply.fault is not None
            assert (reply.fault.code, reply.close) == (ErrorCode.TIMED_OUT, True)
            assert client.receive() is None
            client.close()
            assert all_gone(descriptors, PATIENCE)
        with server.connect() as other:
            assert other.call("pid").result != pid
        assert "has lost a thread" in server.log()


def test_a_call_that_got_no_thread_in_time_was_not_run_and_the_connection_goes_on(tmp_path: Path, gate: Gate) -> None:
    with (
        serving(tmp_path, "--timeout", "0.4", "--threads", "1") as server,
        server.connect() as holder,
        server.connect() as client,
    ):
        gate.hold(holder)
        client.send("count_plain", [str(tmp_path / "marks")])
        # The holder's time is up first.
        assert holder.reply().close
        reply = client.reply()
        assert reply.fault is not None
        assert (reply.fault.code, reply.close) == (ErrorCode.TIMED_OUT, False)
        gate.open()
        assert client.call("later", 1).result == 1
        assert not (tmp_path / "marks").exists()


def test_what_arrived_while_the_loop_was_held_up_is_not_late(tmp_path: Path, gate: Gate) -> None:
    late = request("later", "in time")
    with serving(tmp_path, "--read-timeout", "0.7") as server, server.connect() as holder, server.connect() as client:
        client.socket.sendall(late[:9])
        assert holder.call("instant", 1).result == 1
        holder.send("hold_up", gate.params)
        gate.wait()
        client.socket.sendall(late[9:])
        assert not select.select([client.socket], [], [], 1.0)[0]
        gate.open()
        assert client.reply().result == "in time"
        assert holder.reply().result == "through"


@pytest.mark.thorough
def test_a_worker_that_has_answered_enough_is_replaced_without_loss(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--max-requests", "60", workers=2) as server,
        pipelining(server, tmp_path / "marks", clients=4, heed=True),
    ):
        server.wait_for_log("requests", 4)


@contextlib.contextmanager
def pipelining(server: Server, marks: Path, *, clients: int, heed: bool) -> Iterator[threading.Semaphore]:
    """Have clients call meanwhile, and stop the server then; nothing may be lost, nor run that is not answered."""
    seen: list[list[str]] = [[] for _ in range(clients)]
    calls = threading.Semaphore(0)
    threads = [threading.Thread(target=call_until_refused, args=(server, marks, heed, found, calls)) for found in seen]
    for thread in threads:
        thread.start()
    yield calls
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    for thread in threads:
        thread.join(30)
    everything = [what for found in seen for what in found]
    assert "lost" not in everything
    assert marks.stat().st_size == len(everything)


def call_until_refused(server: Server, marks: Path, heeds: bool, seen: list[str], calls: threading.Semaphore) -> None:
    """Pipeline three calls at a time; only those behind a `close` may stay without a reply."""
    flags = {"close": True} if heeds else {}
    while True:
        try:
            client = server.connect_unless_refused()
        except OSError:
            return
        with client:
            try:
                closed = False
                while not closed:
                    client.socket.sendall(request("count", [str(marks)], **flags) * 3)
                    for _ in range(3):
                        received = client.receive()
                        if isinstance(received, Reply):
                            seen.append("lost" if received.fault else "reply")
                            calls.release()
                            closed = received.close
                        elif isinstance(received, Goodbye):
                            closed = True
                        else:
                            seen.append("lost")
                            return
                        if closed:
                            break
            except OSError:
                seen.append("lost")
                return


@pytest.mark.samples(1)
@pytest.mark.parametrize("heeds", [True, False], ids=["heeding", "unheeding"])
def test_a_stop_loses_no_pipelined_call(tmp_path: Path, heeds: bool) -> None:
    with (
        serving(tmp_path, "--drain-grace", "10", workers=2) as server,
        pipelining(server, tmp_path / "marks", clients=8, heed=heeds) as calls,
    ):
        for _ in range(500):
            assert calls.acquire(timeout=10)


def test_what_runs_and_waits_is_answered_by_a_stop(tmp_path: Path, gate: Gate) -> None:
    with serving(tmp_path) as server, server.connect() as client:
        batch = [request("gate", gate.params), request("later", 2), request("plain", 3)]
        client.socket.sendall(b"".join(batch))
        gate.wait()
        server.signal(signal.SIGTERM)
        server.wait_for_log("stopping")
        gate.open()
        replies = [client.reply() for _ in range(3)]
        assert [(reply.result, reply.close) for reply in replies] == [("through", False), (2, False), (3, True)]
        assert client.receive() is None
        client.close()
        assert server.wait() == 0


@pytest.mark.samples(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_hooks_run_on_the_loop_of_the_handlers(tmp_path: Path, number: signal.Signals) -> None:
    stopped = tmp_path / "stopped"
    with serving(tmp_path, env={"STOPPED": str(stopped)}) as server:
        with server.connect() as client:
            assert client.call("loop_is_the_hooks").result is True
        server.signal(number)
        assert server.wait() == 0
    assert stopped.read_text() == "True"


@pytest.mark.samples(2)
@pytest.mark.parametrize("busy", ["idle", "spin", "hold_up", "gate", "hang"])
def test_a_quick_stop_works_whatever_the_loop_does(tmp_path: Path, gate: Gate, busy: str) -> None:
    mark = tmp_path / "mark"
    with serving(tmp_path) as server, server.connect() as client:
        match busy:
            case "idle":
                assert client.call("instant", 1).result == 1
            case "hang":
                client.socket.sendall(request("instant", 1) + request("hang", [str(mark)]))
                assert client.reply().result == 1
            case _:
                client.send(busy, gate.params[: 1 if busy == "spin" else 2])
                gate.wait()
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert "did not stop in time" not in server.log()
        assert "Traceback" not in server.log()
        with contextlib.suppress(ConnectionResetError):
            assert client.receive() is None
        assert busy != "hang" or mark.read_text() == "cleaned up"


def test_a_killed_worker_takes_only_its_own_connections_with_it(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(8)]
        pids = {client: client.call("pid").result for client in clients}
        victim = pids[clients[0]]
        os.kill(victim, signal.SIGKILL)
        server.wait_for_log("was killed by SIGKILL")
        for client, pid in pids.items():
            if pid == victim:
                with contextlib.suppress(ConnectionResetError):
                    assert client.receive() is None
            else:
                assert client.call("later", 1).result == 1
        with server.connect() as client:
            assert client.call("plain", 1).result == 1
