"""What every worker model does alike with the bytes of a connection; a model's own is in its own file."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode, Goodbye
from tests.models import some
from tests.servers import PATIENCE, PROBE_APP, Server, request, running

MODELS_APP = (
    "import sys\nbefore = set(sys.modules)\n"
    + PROBE_APP
    + """
import asyncio
from rpcserver import Context

@service.method
async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value

@service.method
def whoami(context: Context) -> dict[str, str | int]:
    return {"model": context.worker.model, "pid": context.worker.pid, "peer": context.peer.address}

@service.method
def imported_late() -> list[str]:
    return sorted(name for name in sys.modules.keys() - before if name.partition(".")[0] in {"rpcserver", "rpcwire"})
"""
)


@pytest.fixture(scope="module", params=some("sync", "pool", "async"))
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(model)
    limits = ("--max-frame", "64K", "--read-timeout", "1", "--write-timeout", "1")
    bind = ("127.0.0.1:0", "[::1]:0", f"unix:{folder}/probe.sock")
    with running("-m", model, "-w", "3", *limits, app=MODELS_APP, folder=folder, bind=bind) as server:
        yield server


@pytest.mark.samples(4)
@pytest.mark.parametrize("index", [0, 1, 2], ids=["ipv4", "ipv6", "unix"])
def test_a_call_is_answered_on_every_kind_of_socket(server: Server, index: int) -> None:
    with server.connect(index) as client:
        assert client.call("echo", {"a": 1}).result == {"a": 1}


def test_plain_and_async_handlers_are_served(server: Server) -> None:
    with server.connect() as client:
        assert [client.call(method, [7]).result for method in ("echo", "later")] == [[7], 7]


def test_meta_and_context_say_who_serves(server: Server, model: str) -> None:
    with server.connect() as client:
        reply = client.call("whoami", meta=True)
        assert reply.meta is not None
        assert (reply.meta.model, reply.meta.pid) == (model, reply.result["pid"])
        assert reply.result["model"] == model
        assert reply.result["pid"] == client.call("pid").result
        host, port = client.socket.getsockname()
        assert reply.result["peer"] == f"{host}:{port}"


WITH_AN_EVENT_LOOP = ["rpcserver.service.loop_thread", "rpcserver.service.on_loop"]
"""What models that block import beside asyncio, where the app has it, before they are ready."""


def test_a_worker_imports_nothing_after_its_fork_but_what_coroutines_run_on(server: Server, model: str) -> None:
    with server.connect() as client:
        for method in ("echo", "later", "whoami", "blob", "no such method"):
            client.call(method, [1])
        assert client.call("imported_late").result == ([] if model == "async" else WITH_AN_EVENT_LOOP)


@pytest.mark.parametrize("model", ["sync", "thread"])
def test_what_coroutines_run_on_is_there_before_the_first_of_them(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", app=MODELS_APP, folder=tmp_path) as server, server.connect() as client:
        assert client.call("imported_late").result == WITH_AN_EVENT_LOOP


@pytest.mark.parametrize("options", [("-m", "sync", "--preload"), ("-m", "fork")], ids=["stem", "fork"])
def test_what_coroutines_run_on_is_shared_where_processes_are_forked_after_the_import_of_the_app(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    app = f"{MODELS_APP}\n@service.on_worker_start\ndef note() -> None:\n    before.update(sys.modules)\n"
    with running(*options, "-w", "1", app=app, folder=tmp_path) as server, server.connect() as client:
        assert client.call("later", [1]).result == 1
        assert client.call("imported_late").result == []


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(b"".join(request("echo", number) for number in range(1000)))
        assert [client.reply().result for _ in range(1000)] == list(range(1000))


def test_pipelined_requests_of_both_kinds_are_answered_in_order(server: Server) -> None:
    with server.connect() as client:
        batch = (request(method, [number]) for number in range(50) for method in ("later", "echo"))
        client.socket.sendall(b"".join(batch))
        assert [client.reply().result for _ in range(100)] == [
            value for number in range(50) for value in (number, [number])
        ]


def test_replies_that_are_large_together_all_arrive(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(request("blob", [300_000]) * 8)
        assert [len(client.reply().result) for _ in range(8)] == [300_000] * 8


@pytest.mark.parametrize("index", [0, 2], ids=["tcp", "unix"])
def test_a_request_may_arrive_byte_by_byte(server: Server, index: int) -> None:
    with server.connect(index) as client:
        for byte in request("echo", "slow but steady"):
            client.socket.sendall(bytes([byte]))
        assert client.reply().result == "slow but steady"


def test_a_client_that_writes_prefix_and_body_apart_is_not_delayed(server: Server) -> None:
    with server.connect() as client:
        data = request("echo", 1)
        deadline = time.monotonic() + PATIENCE
        for number in itertools.count():
            started = time.monotonic()
            client.socket.sendall(data[:4])
            client.socket.sendall(data[4:])
            assert client.reply().result == 1
            # A delayed acknowledgement would cost each call 40 ms but the first; a busy machine may do that to some.
            if number >= 10 and time.monotonic() - started < 0.04:
                break
            assert time.monotonic() < deadline


def test_a_frame_over_the_limit_is_refused_by_name(server: Server) -> None:
    with server.connect() as client:
        spare = len(request("echo", "")) - 4
        assert len(client.call("echo", "x" * (64 * 1024 - spare)).result) == 64 * 1024 - spare
        reply = client.call("echo", "x" * (64 * 1024 - spare + 1))
        assert reply.close
        assert reply.fault is not None
        assert (reply.fault.code, reply.fault.data) == (ErrorCode.FRAME_TOO_LARGE, {"limit": 64 * 1024})
        assert client.receive() is None


def test_a_stream_out_of_step_is_refused_after_the_good_requests_before_it(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(request("echo", 1) + request("echo", 2) + b"\0\0\0\0" + request("echo", 3))
        assert [client.reply().result, client.reply().result] == [1, 2]
        reply = client.reply()
        assert reply.close
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.INVALID_REQUEST
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
        client.socket.sendall(request("echo", 1) + request("later", [2]) + request("echo", 3))
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.reply().result for _ in range(3)] == [1, 2, 3]
        assert client.receive() is None


def test_an_end_inside_a_frame_is_logged_and_does_no_harm(server: Server) -> None:
    before = sorted(server.workers())
    with server.connect() as client:
        address = "{}:{}".format(*client.socket.getsockname())
        client.socket.sendall(request("echo", 1)[:-3])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is None
    server.wait_for_log(f"{address}: the stream ended after")
    assert sorted(server.workers()) == before


def test_a_reset_does_no_harm(server: Server) -> None:
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
        assert client.call("echo", 0).result == 0
        started = time.monotonic()
        client.socket.sendall(request("echo", 1)[:-1])
        reply = client.reply()
        assert reply.close
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.TIMED_OUT
        assert client.receive() is None
        assert time.monotonic() - started > 0.9


@pytest.mark.samples(1)
def test_a_client_that_never_reads_is_reset(server: Server) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = "{}:{}".format(*client.socket.getsockname())
        client.send("blob", [12_000_000])
        server.wait_for_log(f"{address}: closed, because the client does not read its replies")
        with pytest.raises(ConnectionResetError):
            client.receive()


def test_a_slow_reader_gets_its_whole_reply(server: Server) -> None:
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send("blob", [5_000_000])
        assert len(client.reply().result) == 5_000_000


@pytest.mark.samples(2)
def test_an_idle_connection_is_ended_with_a_goodbye_where_that_is_heeded(model: str, tmp_path: Path) -> None:
    with (
        running("-m", model, "-w", "2", "--idle-timeout", "1", folder=tmp_path) as server,
        server.connect() as heeding,
        server.connect() as plain,
    ):
        assert heeding.call("echo", 1, close=True).result == 1
        assert plain.call("echo", 1).result == 1
        assert isinstance(heeding.receive(), Goodbye)
        assert heeding.receive() is None
        assert plain.receive() is None
        server.wait_for_log("closed after 1 s of silence", 2)
