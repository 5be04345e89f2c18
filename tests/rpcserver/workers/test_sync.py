"""The sync model's own: batches and their writes, deadlines of a worker that has one client, and letting go of it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye, Reply
from tests.rpcserver.steering import Gate
from tests.servers import PATIENCE, Client, Server, all_gone, request, running, watched


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sync")
    with running(
        "-w",
        "3",
        "--max-frame",
        "64K",
        "--read-timeout",
        "0.5",
        "--write-timeout",
        "0.5",
        folder=folder,
        bind=("127.0.0.1:0", "[::1]:0", f"unix:{folder}/probe.sock"),
    ) as server:
        yield server


def test_one_connection_carries_many_calls_to_the_same_worker(server: Server) -> None:
    with server.connect() as client:
        assert len({client.call("pid").result for _ in range(20)}) == 1


def test_pipelined_requests_are_answered_in_order_and_in_one_write(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(b"".join(request("echo", number) for number in range(100)))
        data = client.socket.recv(1 << 20)
        client.decoder.feed(data)
        assert [client.reply().result for _ in range(100)] == list(range(100))
        expected = sum(len(request("echo", number)) for number in range(100))
        assert len(data) > expected * 0.9  # the first read already had every reply


def test_http_is_refused_with_a_reply_that_says_close(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = client.reply()
        assert reply.close
        assert reply.fault is not None
        assert "GET " in reply.fault.message
        assert client.receive() is None


def test_a_sender_that_trickles_does_not_get_more_time(server: Server) -> None:
    with server.connect() as client:
        whole = request("echo", "x" * 5000)
        client.socket.settimeout(0.05)
        sent = 0
        while sent < len(whole):
            client.socket.send(whole[sent : sent + 1])
            sent += 1
            try:
                data = client.socket.recv(4096)
            except TimeoutError:
                continue
            client.decoder.feed(data)
            break
        assert sent < len(whole)
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.TIMED_OUT


def test_a_client_that_never_reads_does_not_hold_its_worker(server: Server) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send("blob", [12_000_000])
        server.wait_for_log("does not read its replies")
        client.socket.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            client.receive()


def test_more_connections_than_workers_wait_their_turn(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server, server.connect() as first:
        assert first.call("echo", 1).result == 1
        with server.connect() as second:
            second.send("echo", 2)
            first.close()
            assert second.reply().result == 2


@pytest.mark.samples(1)
@pytest.mark.parametrize("heeds", [True, False], ids=["heeding", "plain"])
def test_an_idle_connection_is_given_up_when_asked_for_and_the_worker_goes_on(tmp_path: Path, heeds: bool) -> None:
    options = ("-w", "1", "--reclaim-idle", "0.1", "--drain-grace", "0.1", "--timeout", "0")
    with running(*options, folder=tmp_path) as server, server.connect() as idle, server.connect() as waiting:
        pid = idle.call("pid", close=heeds).result
        waiting.send("pid")
        with watched([pid]) as descriptors:
            received = receive_after(idle, pid)
            assert isinstance(received, Goodbye) if heeds else received is None
            # The first client does not react, and still nobody waits for it.
            assert waiting.reply().result == pid
            assert not all_gone(descriptors, 0)


def receive_after(client: Client, pid: int) -> Reply | Goodbye | None:
    """Ask a worker to let go of this client until it does: one that has just spoken is not idle."""
    deadline = time.monotonic() + PATIENCE
    while not select.select([client.socket], [], [], 0.2)[0]:
        assert time.monotonic() < deadline
        os.kill(pid, signal.SIGUSR2)
    return client.receive()


def test_a_plain_client_that_is_asked_to_go_has_one_more_request(tmp_path: Path) -> None:
    options = ("-w", "1", "--reclaim-idle", "0.1", "--drain-grace", "20", "--timeout", "0")
    with running(*options, folder=tmp_path) as server, server.connect() as idle:
        pid = idle.call("pid").result
        while not idle.call("echo", 1).close:
            assert not select.select([idle.socket], [], [], 0.2)[0]
            os.kill(pid, signal.SIGUSR2)
        assert idle.receive() is None
        with server.connect() as other:
            assert other.call("pid").result == pid


def test_a_call_that_runs_is_not_disturbed_by_being_asked_to_let_go(tmp_path: Path, gate: Gate) -> None:
    with running("-w", "1", "--timeout", "0", folder=tmp_path) as server, server.connect() as client:
        pid = client.call("pid").result
        gate.hold(client, close=True)
        for _ in range(5):
            os.kill(pid, signal.SIGUSR2)
        gate.release(client)
        assert client.call("pid").result == pid


def test_a_worker_that_is_aborted_writes_where_it_was(tmp_path: Path, gate: Gate) -> None:
    log = tmp_path / "server.log"
    with running("-w", "1", "--log-file", str(log), folder=tmp_path) as server, server.connect() as client:
        (pid,) = server.workers()
        gate.hold(client)
        with watched([pid]) as descriptors:
            os.kill(pid, signal.SIGABRT)
            assert all_gone(descriptors, PATIENCE)
        assert "Fatal Python error: Aborted" in log.read_text()
        assert "in gate" in log.read_text()


def test_a_worker_is_replaced_after_its_requests_and_loses_none(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-w", "2", "--max-requests", "30", "--max-requests-jitter", "10", folder=tmp_path) as server:
        pids: set[int] = set()
        replies = 0
        deadline = time.monotonic() + PATIENCE
        while len(pids) < 5:
            assert time.monotonic() < deadline
            with server.connect() as client:
                going_on = True
                while going_on:
                    client.send("count", [str(marks)], close=True)
                    received = client.receive()
                    assert received is not None
                    going_on = isinstance(received, Reply) and not received.close and len(pids) < 5
                    if isinstance(received, Reply):
                        pids.add(received.result)
                        replies += 1
        assert marks.stat().st_size == replies
