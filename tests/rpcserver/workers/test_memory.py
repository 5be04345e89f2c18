"""What connections hold: nothing once they have ended or are answered, and within a budget before."""

from __future__ import annotations

import mmap
import socket
import ssl
import struct
from pathlib import Path

import pytest

from rpcserver.system.scoreboard import SlotBoard
from rpcserver.system.settings import ServerSettings
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.frame_budget import FrameBudget
from rpcserver.workers.limits import READ_SIZE
from rpcserver.workers.next_step import READ, WRITE
from rpcwire import ErrorCode, frame
from tests.models import of_concurrent_kinds, of_each_kind
from tests.rpcserver.tls_serving import make_certificates, secured
from tests.servers import PROBE_APP, Client, Server, running, until

APP = (
    PROBE_APP
    + """
import gc

@service.method
def conversations() -> int:
    gc.disable()
    return sum(type(found).__name__ == "Conversation" for found in gc.get_objects())

@service.method
def buffered() -> int:
    return next(found._share._budget.held for found in gc.get_objects() if type(found).__name__ == "Conversation")
"""
)
MIB = 1 << 20

in_one_process = pytest.mark.parametrize("model", [pytest.param("thread", marks=pytest.mark.thorough), "pool", "async"])


def padded(size: int) -> bytes:
    """A request of so many bytes."""
    head, tail = b'{"in":"echo","params":', b"7}"
    return frame(head + b" " * (size - len(head) - len(tail)) + tail)


def says_nothing(client: Client) -> None:
    pass


def calls(client: Client) -> None:
    assert client.call("echo", 1).result == 1


def sends_much(client: Client) -> None:
    client.socket.sendall(padded(300_000))
    assert client.reply().result == 7


def leaves_in_a_frame(client: Client) -> None:
    client.socket.sendall(struct.pack("<I", 1000) + b"{")


def resets(client: Client) -> None:
    leaves_in_a_frame(client)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_too_slow(client: Client) -> None:
    leaves_in_a_frame(client)
    assert client.reply().fault is not None


def is_out_of_step(client: Client) -> None:
    client.socket.sendall(struct.pack("<I", 1 << 30))
    assert client.reply().fault is not None


ENDS = (says_nothing, calls, sends_much, leaves_in_a_frame, resets, is_too_slow, is_out_of_step)


@pytest.mark.samples(1)
@in_one_process
def test_an_ended_connection_is_freed_without_the_garbage_collector(model: str, tmp_path: Path) -> None:
    with (
        running("-m", model, "-w", "1", "--read-timeout", "0.3", app=APP, folder=tmp_path) as server,
        server.connect() as observer,
    ):
        assert observer.call("conversations").result == 1
        for end in ENDS:
            for _ in range(3):
                with server.connect() as client:
                    end(client)
            until(lambda: observer.call("conversations").result == 1)


@pytest.mark.samples(1)
@in_one_process
def test_so_is_one_whose_handshake_or_whose_tls_has_failed(model: str, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with (
        running("-m", model, "-w", "1", *certificates.asking, app=APP, folder=tmp_path) as server,
        secured(server, certificates.context()) as observer,
    ):
        assert observer.call("conversations").result == 1
        for _ in range(3):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                secured(server, ssl.create_default_context())
            with secured(server, certificates.context()) as client:
                calls(client)
                bare = socket.socket(fileno=client.socket.detach())
                bare.sendall(b"\x17\x03\x03\x00\x14" + bytes(20))
                bare.close()
        until(lambda: observer.call("conversations").result == 1)


def resident(server: Server) -> int:
    """The memory of its only worker, in bytes."""
    (worker,) = server.workers()
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.samples(1)
@in_one_process
def test_an_idle_connection_holds_nothing_of_its_last_request(model: str, tmp_path: Path) -> None:
    options = ("-m", model, "-w", "1")
    with running(*options, folder=tmp_path) as server, server.connect() as observer:
        calls(observer)
        before = resident(server)
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.socket.sendall(padded(8 * MIB))
            assert client.reply().result == 7
        until(lambda: bool(observer.call("echo", 1)) and resident(server) < before + 12 * MIB)
        for client in clients:
            client.close()


@pytest.mark.samples(1)
@in_one_process
def test_an_idle_connection_holds_nothing_of_its_last_reply_over_tls(model: str, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with (
        running("-m", model, "-w", "1", *certificates.asking, folder=tmp_path) as server,
        secured(server, certificates.context()) as observer,
    ):
        calls(observer)
        before = resident(server)
        clients = [secured(server, certificates.context()) for _ in range(3)]
        for client in clients:
            assert len(client.call("blob", [8 * MIB]).result) == 8 * MIB
        until(lambda: bool(observer.call("echo", 1)) and resident(server) < before + 12 * MIB)
        for client in clients:
            client.close()


@pytest.mark.parametrize(("size", "given_back"), [(MIB, [0]), (1000, [])])
def test_what_a_large_reply_has_taken_is_given_back_once_it_is_written(size: int, given_back: list[int]) -> None:
    budget = FrameBudget(ServerSettings(), SlotBoard.private())
    trims: list[int] = []
    budget._trim = trims.append  # type: ignore[assignment]
    conversation = Conversation(ServerSettings(), budget=budget)
    conversation.hold(bytes(size))
    for part in (size // 2, size - size // 2):
        assert conversation.next() is WRITE
        conversation.outgoing()
        budget.tick()
        assert trims == []
        conversation.sent(part)
    assert conversation.next() is READ
    budget.tick()
    assert trims == given_back


@pytest.mark.samples(1)
@of_concurrent_kinds
def test_beyond_the_budget_large_requests_are_answered_busy_and_connections_go_on(model: str, tmp_path: Path) -> None:
    limits = ("--max-frame", "1M", "--max-buffered", "2M")
    with running("-m", model, "-w", "1", *limits, app=APP, folder=tmp_path) as server:
        request = padded(MIB)
        holders = [server.connect() for _ in range(2)]
        for client in holders:
            client.socket.sendall(request[:-1])
        with server.connect() as client:
            until(lambda: client.call("buffered").result == 2 * (len(request) - 1 - READ_SIZE))
            client.send("echo", "small")
            client.socket.sendall(request)
            client.send("echo", "last")
            assert client.reply().result == "small"
            fault = client.reply().fault
            assert fault is not None
            assert (fault.code, fault.data) == (ErrorCode.BUSY, {"retry": True})
            assert client.reply().result == "last"
            for holder in holders:
                holder.socket.sendall(request[-1:])
                assert holder.reply().result == 7
            until(lambda: client.call("buffered").result == 0)
            client.socket.sendall(request)
            assert client.reply().result == 7
            for holder in holders:
                calls(holder)
                holder.close()
        assert "more --max-buffered or --workers would help" in server.log()


def test_who_is_turned_away_hears_it_before_the_request_has_ended(tmp_path: Path) -> None:
    limits = ("--max-frame", "1M", "--max-buffered", "1M", "--read-timeout", "0")
    with running("-m", "thread", "-w", "1", *limits, app=APP, folder=tmp_path) as server:
        request = padded(MIB)
        with server.connect() as holder, server.connect() as client:
            holder.socket.sendall(request[: MIB - 1000])
            until(lambda: client.call("buffered").result == MIB - 1000 - READ_SIZE)
            client.socket.sendall(request[: MIB // 2])
            assert client.reply().fault is not None
            holder.close()
            client.socket.sendall(request[MIB // 2 :])
            calls(client)


@pytest.mark.samples(1)
@of_each_kind
def test_one_request_of_the_largest_size_always_passes(model: str, tmp_path: Path) -> None:
    limits = ("--max-frame", "1M", "--max-buffered", "64K")
    with running("-m", model, "-w", "1", *limits, folder=tmp_path) as server, server.connect() as client:
        for _ in range(3):
            client.socket.sendall(padded(MIB) + padded(MIB))
            assert [client.reply().result for _ in range(2)] == [7, 7]
