"""The pool model's own: threads run requests and not connections, and the queue before them has an end."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from rpcwire import ErrorCode
from tests.rpcserver.steering import Gate
from tests.servers import PROBE_APP, request, running

GATED_APP = (
    PROBE_APP
    + """
import threading

@service.method
def note(path: str, name: str) -> str:
    with open(path, "a") as file:
        file.write(name)
    return threading.current_thread().name
"""
)


MEETING_APP = """
import threading
from rpcserver import Service

service = Service("meeting")
everybody = threading.Barrier(12)

@service.method
def meet() -> int:
    return everybody.wait()
"""


def test_calls_that_wait_for_each_other_all_run_though_one_thread_has_found_their_connections(tmp_path: Path) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "12", app=MEETING_APP, folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(12)]
        for _ in range(3):
            for client in clients:
                client.send("meet")
            assert sorted(client.reply().result for client in clients) == list(range(12))


def test_idle_connections_take_no_thread(tmp_path: Path) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "2", folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(200)]
        assert [client.call("echo", number).result for number, client in enumerate(clients)] == list(range(200))
        assert [client.call("echo", number).result for number, client in enumerate(clients)] == list(range(200))
        (pid,) = server.workers()
        # Two that run requests, the lookout and the main thread.
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 4


def test_a_full_queue_answers_busy_at_once_and_loses_nothing_it_took(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "1", "--queue", "3", "--access-log", folder=tmp_path) as server,
        server.connect() as holder,
        contextlib.ExitStack() as stack,
    ):
        gate.hold(holder)
        queued = [stack.enter_context(server.connect()) for _ in range(3)]
        for number, client in enumerate(queued):
            client.send("echo", number)
        turned_away = stack.enter_context(server.connect())
        reply = turned_away.call("echo", "x", id="mine")
        # Which of the four came last is the lookout's to say, so the others may be refused in this one's place.
        assert reply.fault is not None
        assert (reply.fault.code, reply.fault.data, reply.id) == (ErrorCode.BUSY, {"retry": True}, "mine")
        assert not reply.close
        server.wait_for_log(" echo -32001 ")
        gate.release(holder)
        assert [client.reply().result for client in queued] == [0, 1, 2]
        assert turned_away.call("echo", "again").result == "again"


def test_every_request_of_a_batch_that_finds_the_queue_full_is_answered(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "1", "--queue", "1", folder=tmp_path) as server,
        server.connect() as holder,
        server.connect() as queued,
        server.connect() as client,
    ):
        gate.hold(holder)
        queued.send("echo", "queued")
        batch = b"".join(request("echo", number, id=number) for number in range(50))
        client.socket.sendall(batch)
        replies = [client.reply() for _ in range(50)]
        assert [reply.id for reply in replies] == list(range(50))
        assert {reply.fault.code for reply in replies if reply.fault is not None} == {ErrorCode.BUSY}
        gate.release(holder)
        assert queued.reply().result == "queued"
        client.socket.sendall(batch)
        assert [client.reply().result for _ in range(50)] == list(range(50))


def test_a_burst_of_quick_calls_is_not_turned_away(tmp_path: Path) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "2", "--queue", "8", folder=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send("echo", number)
        assert [client.reply().result for client in clients] == list(range(100))


def test_a_large_batch_does_not_keep_others_waiting_for_its_end(tmp_path: Path, gate: Gate) -> None:
    notes = str(tmp_path / "notes")
    with (
        running("-m", "pool", "-w", "1", "--threads", "1", app=GATED_APP, folder=tmp_path) as server,
        server.connect() as holder,
        server.connect() as greedy,
        server.connect() as modest,
    ):
        gate.hold(holder)
        greedy.socket.sendall(request("note", [notes, "g"]) * 200)
        # The batch is in the queue once its bytes have been read.
        while unread(greedy.socket):
            pass
        modest.send("note", [notes, "m"])
        while unread(modest.socket):
            pass
        gate.open()
        assert modest.reply().fault is None
        assert all(greedy.reply().fault is None for _ in range(200))
        order = Path(notes).read_text()
        assert order.count("g") == 200
        assert order.index("m") <= 32


def unread(sock: socket.socket) -> int:
    """How many bytes that were sent the server has not read yet: its receive queue, from /proc/net/tcp."""
    local, remote = sock.getsockname()[1], sock.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = int(fields[1].rpartition(":")[2], 16), int(fields[2].rpartition(":")[2], 16)
        if ports == (remote, local):
            return int(fields[4].rpartition(":")[2], 16)
    raise AssertionError("the connection is gone")


def test_a_thread_is_not_held_by_a_client_that_does_not_read(tmp_path: Path) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "1", folder=tmp_path) as server,
        server.connect() as slow,
        server.connect() as other,
    ):
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.socket.sendall(request("blob", [4_000_000]) * 3)
        assert [other.call("echo", number).result for number in range(50)] == list(range(50))
        assert [len(slow.reply().result) for _ in range(3)] == [4_000_000] * 3


def test_a_pool_keeps_its_size_when_a_request_is_given_up(tmp_path: Path, gate: Gate) -> None:
    with (
        running("-m", "pool", "-w", "1", "--threads", "1", "--timeout", "0.2", folder=tmp_path) as server,
        server.connect() as stuck,
        server.connect() as other,
    ):
        gate.hold(stuck)
        other.send("echo", 1)
        fault = stuck.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.TIMED_OUT
        assert other.reply().result == 1
