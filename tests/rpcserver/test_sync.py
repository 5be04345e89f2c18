"""The sync model over real sockets: frames, batches, deadlines, and clients that behave badly."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye
from tests.servers import PATIENCE, Server, request, running


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


@pytest.mark.parametrize("index", [0, 1, 2], ids=["ipv4", "ipv6", "unix"])
def test_a_call_is_answered_on_every_kind_of_socket(server: Server, index: int) -> None:
    with server.connect(index) as client:
        assert client.call("echo", {"a": 1}).result == {"a": 1}


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


def test_replies_that_are_large_together_all_arrive(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(request("blob", [200_000]) * 10)
        assert [len(client.reply().result) for _ in range(10)] == [200_000] * 10


@pytest.mark.parametrize("index", [0, 2], ids=["tcp", "unix"])
def test_a_request_may_arrive_byte_by_byte(server: Server, index: int) -> None:
    with server.connect(index) as client:
        for byte in request("echo", "slow but steady"):
            client.socket.sendall(bytes([byte]))
        assert client.reply().result == "slow but steady"


def test_the_largest_frame_is_answered_and_the_next_larger_is_not(server: Server) -> None:
    with server.connect() as client:
        spare = len(request("echo", "")) - 4
        assert len(client.call("echo", "x" * (64 * 1024 - spare)).result) == 64 * 1024 - spare
        fault = client.call("echo", "x" * (64 * 1024 - spare + 1)).fault
        assert fault is not None
        assert fault.code == ErrorCode.FRAME_TOO_LARGE
        assert fault.data == {"limit": 64 * 1024}
        assert client.receive() is None


def test_http_is_refused_with_a_reply_that_says_close(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = client.reply()
        assert reply.close
        assert reply.fault is not None
        assert "GET " in reply.fault.message
        assert client.receive() is None


def test_an_empty_frame_is_refused_after_the_good_ones_before_it(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(request("echo", 1) + request("echo", 2) + b"\0\0\0\0" + request("echo", 3))
        assert [client.reply().result, client.reply().result] == [1, 2]
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.INVALID_REQUEST
        assert client.receive() is None


def test_the_error_reply_survives_what_the_client_still_sends(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(struct.pack("<I", 0xFFFF_FFFF) + b"x" * 50_000)
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.FRAME_TOO_LARGE
        assert client.receive() is None


def test_a_body_that_is_no_json_does_not_end_the_connection(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(struct.pack("<I", 3) + b"{x}")
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.PARSE_ERROR
        assert client.call("echo", 1).result == 1


def test_requests_before_a_half_close_are_answered(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(request("echo", 1) + request("echo", 2))
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.reply().result, client.reply().result] == [1, 2]
        assert client.receive() is None


def test_an_end_inside_a_frame_is_logged_and_the_worker_lives(server: Server) -> None:
    with server.connect() as client:
        pid = client.call("pid").result
        client.socket.sendall(request("echo", 1)[:-3])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is None
    server.wait_for_log("the stream ended after")
    assert pid in server.workers()


def test_a_reset_does_not_harm_the_worker(server: Server) -> None:
    before = sorted(server.workers())
    for _ in range(10):
        client = server.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.sendall(request("echo", "x" * 1000) * 5)
        client.close()
    with server.connect() as client:
        assert client.call("echo", 1).result == 1
    assert sorted(server.workers()) == before


def test_a_request_that_takes_too_long_to_arrive_is_refused(server: Server) -> None:
    with server.connect() as client:
        started = time.monotonic()
        client.socket.sendall(request("echo", 1)[:-1])
        reply = client.reply()
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.TIMED_OUT
        assert client.receive() is None
        assert 0.4 < time.monotonic() - started < 5


def test_a_sender_that_trickles_does_not_get_more_time(server: Server) -> None:
    with server.connect() as client:
        whole = request("echo", "x" * 5000)
        client.socket.settimeout(0.05)
        sent = 0
        started = time.monotonic()
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
        assert time.monotonic() - started < 5
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.TIMED_OUT


def test_a_client_that_never_reads_does_not_hold_its_worker(server: Server) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send("blob", [30_000_000])
        server.wait_for_log("does not read its replies")
        client.socket.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            client.receive()


def test_a_slow_reader_gets_its_whole_reply(server: Server) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send("blob", [5_000_000])
        assert len(client.reply().result) == 5_000_000


def test_a_client_that_writes_prefix_and_body_apart_is_not_delayed(server: Server) -> None:
    with server.connect() as client:
        data = request("echo", 1)
        took = []
        for _ in range(30):
            started = time.monotonic()
            client.socket.sendall(data[:4])
            client.socket.sendall(data[4:])
            assert client.reply().result == 1
            took.append(time.monotonic() - started)
        # A delayed acknowledgement would cost each call 40 ms.
        assert sorted(took)[len(took) // 2] < 0.01


def waits_for_a_connection(pid: int) -> bool:
    return "poll" in Path(f"/proc/{pid}/wchan").read_text()


def test_connections_are_shared_out_fairly(tmp_path: Path) -> None:
    with running("-w", "4", folder=tmp_path) as server:
        workers = server.workers()
        served = dict.fromkeys(workers, 0)
        for _ in range(40):
            # Workers that are all idle take turns; one that is just looking for work may be quicker than those.
            deadline = time.monotonic() + PATIENCE
            while not all(waits_for_a_connection(pid) for pid in workers):
                assert time.monotonic() < deadline
            with server.connect() as client:
                served[client.call("pid").result] += 1
        assert max(served.values()) <= 15


def test_more_connections_than_workers_wait_their_turn(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server, server.connect() as first:
        assert first.call("echo", 1).result == 1
        with server.connect() as second:
            second.send("echo", 2)
            first.close()
            assert second.reply().result == 2


def test_an_idle_connection_is_ended_with_a_goodbye_where_that_is_heeded(tmp_path: Path) -> None:
    with running("-w", "2", "--idle-timeout", "0.2", folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("echo", 1, close=True).result == 1
            assert isinstance(client.receive(), Goodbye)
            assert client.receive() is None
        with server.connect() as plain:
            assert plain.call("echo", 1).result == 1
            assert plain.receive() is None
