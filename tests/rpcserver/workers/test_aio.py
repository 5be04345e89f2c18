"""The async model's own: one loop for all connections, threads for plain handlers, and bounds on what is held.

What it does like every other model is in `test_models`, how its calls and workers end in `test_aio_ends`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rpcserver.aio_serving import peak_memory, serving
from tests.rpcserver.steering import Gate
from tests.servers import PATIENCE, Client, request, running, until


def test_every_kind_of_handler_is_served_where_it_belongs(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as client:
        assert [client.call(method, [method]).result for method in ("instant", "plain", "later")] == [
            ["instant"],
            ["plain"],
            ["later"],
        ]
        assert client.call("thread").result is False


def test_a_handler_that_blocks_does_not_stop_other_connections(tmp_path: Path, gate: Gate) -> None:
    with serving(tmp_path) as server, server.connect() as blocked, server.connect() as other:
        gate.hold(blocked)
        for method in ("instant", "plain", "later"):
            assert other.call(method, [method]).result == [method]
        gate.release(blocked)


def test_coroutines_of_many_connections_run_at_the_same_time(tmp_path: Path) -> None:
    with serving(tmp_path) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(50)]
        for client in clients:
            client.send("meet", [50])
        assert [client.reply().result for client in clients] == [50] * 50


def test_requests_of_one_connection_run_one_after_another(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as client:
        client.socket.sendall(request("alone", []) * 200)
        assert {client.reply().result for _ in range(200)} == {1}


def test_pipelined_requests_of_all_kinds_are_answered_in_order(tmp_path: Path) -> None:
    methods = ("instant", "instant", "later", "plain", "instant")
    with serving(tmp_path) as server, server.connect() as client:
        client.socket.sendall(b"".join(request(methods[number % 5], number) for number in range(2000)))
        assert [client.reply().result for _ in range(2000)] == list(range(2000))


def test_replies_that_are_there_at_once_go_out_in_one_write(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as client:
        client.socket.sendall(b"".join(request("instant", number) for number in range(100)))
        data = client.socket.recv(1 << 20)
        client.decoder.feed(data)
        assert [client.reply().result for _ in range(100)] == list(range(100))
        assert len(data) > 0.9 * sum(len(request("instant", number)) for number in range(100))


def test_a_reply_does_not_wait_for_the_request_after_it(tmp_path: Path, gate: Gate) -> None:
    with serving(tmp_path) as server, server.connect() as client:
        client.socket.sendall(request("instant", 1) + request("gate", gate.params) + request("later", 3))
        assert client.reply().result == 1
        gate.wait()
        gate.open()
        assert [client.reply().result, client.reply().result] == ["through", 3]


def test_requests_that_pile_up_behind_a_running_one_are_not_read_without_end(tmp_path: Path, gate: Gate) -> None:
    waiting = request("plain", "x" * 1000)
    with serving(tmp_path) as server, server.connect() as client:
        pid = client.call("pid").result
        before = peak_memory(pid)
        gate.hold(client)
        client.socket.setblocking(False)
        sent = 0
        while select.select([], [client.socket], [], 0.3)[1]:
            sent += client.socket.send(waiting * 1000)
        assert sent < 64 << 20  # the kernel's buffers and little more
        assert peak_memory(pid) - before < 8 << 20
        client.socket.settimeout(PATIENCE)
        rest = (waiting * 1000)[sent % (len(waiting) * 1000) :][: -sent % len(waiting)]
        gate.release(client)
        for _ in range(sent // len(waiting)):
            assert client.reply().result == "x" * 1000
        client.socket.sendall(rest)
        if rest:
            assert client.reply().result == "x" * 1000
        assert client.call("instant", 1).result == 1


def read_to_the_end(client: Client) -> None:
    while client.receive() is not None:
        pass


@pytest.mark.samples(1)
@pytest.mark.parametrize("method", ["blob", "blob_later"])
def test_a_client_that_never_reads_cannot_make_the_worker_grow(tmp_path: Path, method: str) -> None:
    wanted = request(method, [100_000])
    with (
        serving(tmp_path, "--write-timeout", "0.4") as server,
        server.connect() as normal,
        server.connect() as client,
    ):
        pid = normal.call("pid").result
        before = peak_memory(pid)
        client.socket.sendall(wanted * 1000)  # 100 MB of replies
        server.wait_for_log("does not read its replies")
        assert normal.call("later", 1).result == 1
        assert peak_memory(pid) - before < 8 << 20
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)


def test_a_slow_reader_gets_everything_in_order(tmp_path: Path) -> None:
    sizes = [1, 300_000, 2, 2_000_000, 3, 50_000] * 3
    with serving(tmp_path) as server, server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        methods = ("blob", "blob_later")
        client.socket.sendall(b"".join(request(methods[number % 2], [size]) for number, size in enumerate(sizes)))
        assert [len(client.reply().result) for _ in sizes] == sizes


def test_senders_of_single_bytes_cost_others_nothing(tmp_path: Path) -> None:
    data = request("later", "x" * 20)
    with serving(tmp_path, workers=2) as server, contextlib.ExitStack() as stack:
        normal = stack.enter_context(server.connect())
        slow = [stack.enter_context(server.connect()) for _ in range(60)]
        for byte in data:
            for client in slow:
                client.socket.sendall(bytes([byte]))
            assert normal.call("plain", byte).result == byte
        assert {client.reply().result for client in slow} == {"x" * 20}


def test_no_more_connections_are_accepted_than_allowed(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--max-connections", "2") as server,
        server.connect() as first,
        server.connect() as second,
        server.connect() as third,
    ):
        assert [first.call("instant", 1).result, second.call("later", 2).result] == [1, 2]
        third.send("instant", 3)
        assert not select.select([third.socket], [], [], 0.3)[0]
        server.wait_for_log("2 connections are open, and others wait")
        first.close()
        assert third.reply().result == 3


def all_threads_wait(pid: int) -> bool:
    return all("poll" in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/wchan"))


@pytest.mark.thorough
def test_connections_are_shared_out_fairly(tmp_path: Path) -> None:
    with serving(tmp_path, workers=4) as server, contextlib.ExitStack() as stack:
        served = dict.fromkeys(server.workers(), 0)
        for _ in range(40):
            until(lambda: all(map(all_threads_wait, served)))
            client = stack.enter_context(server.connect())
            served[client.call("pid").result] += 1
        # Turns that a busy machine has them miss, others take; without any, one would have nearly all.
        assert max(served.values()) <= 20


def test_a_worker_whose_loop_is_held_up_takes_no_more_than_one_connection(tmp_path: Path, gate: Gate) -> None:
    with serving(tmp_path, workers=2) as server, contextlib.ExitStack() as stack:
        holder = stack.enter_context(server.connect())
        holder.send("hold_up", gate.params)
        gate.wait()
        clients = [stack.enter_context(server.connect()) for _ in range(12)]
        for client in clients:
            client.send("instant", 1)
        left = {client.socket: client for client in clients}
        while len(left) > 1:
            readable, _, _ = select.select(left, [], [], PATIENCE)
            assert readable, f"{len(left)} are not served"
            for found in readable:
                assert left.pop(found).reply().result == 1
        gate.open()
        assert [client.reply().result for client in left.values()] == [1] * len(left)


def test_other_models_do_not_pay_for_the_event_loop(tmp_path: Path) -> None:
    with running("-m", "sync", "-w", "1", folder=tmp_path) as server:
        for pid in (server.pid, *server.workers()):
            assert "uvloop" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.thorough
def test_without_uvloop_the_model_is_refused_by_name(tmp_path: Path) -> None:
    code = "import sys; sys.modules['uvloop'] = None; from rpcserver.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, "-m", "async", "-w", "1", "--bind", "127.0.0.1:0"]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert end.returncode == 3
    assert "the async model needs uvloop" in end.stderr
    assert "Traceback" not in end.stderr
