"""The access log: one line for each call, written whatever becomes of the call."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver import Peer, RpcError, Service, WorkerInfo
from rpcserver.service.access import ACCESS_LOG, LoggedDispatcher
from rpcserver.service.dispatch import Dispatcher
from rpcserver.system.log import LineHandler
from rpcserver.testing import serve
from rpcwire import encode_request
from tests.models import of_each_kind
from tests.rpcserver.calling import RUNNER
from tests.servers import PATIENCE, running

PEER = Peer("192.0.2.7:4711")


def shop() -> Service:
    service = Service("shop")

    @service.method
    def price(item: str) -> float:
        return 2.5

    @service.method
    def refuse() -> None:
        raise RpcError("no", code=404)

    @service.method
    async def wait() -> None:
        await asyncio.Event().wait()

    @service.method
    async def later() -> str:
        return "now"

    return service


def made(kind: type[Dispatcher]) -> Dispatcher:
    return kind(shop(), WorkerInfo(1, os.getpid(), 0, "sync"), runner=RUNNER)


class Log:
    """What the access log wrote to a pipe."""

    def __init__(self, *, as_json: bool) -> None:
        self.reader, self.writer = os.pipe()
        self.handler = LineHandler(self.writer, as_json=as_json)
        ACCESS_LOG.addHandler(self.handler)

    def lines(self) -> list[str]:
        return os.read(self.reader, 1 << 20).decode().splitlines()

    def close(self) -> None:
        ACCESS_LOG.removeHandler(self.handler)
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def text_log() -> Iterator[Log]:
    log = Log(as_json=False)
    yield log
    log.close()


@pytest.fixture
def json_log() -> Iterator[Log]:
    log = Log(as_json=True)
    yield log
    log.close()


def test_a_line_says_who_what_how_it_went_how_long_and_how_much(text_log: Log) -> None:
    body = encode_request("price", {"item": "tea"})
    reply = made(LoggedDispatcher).answer(body, PEER)
    (line,) = text_log.lines()
    found = re.search(r"\] 192\.0\.2\.7:4711 price ok \d+\.\d{3} ms (\d+) B in (\d+) B out$", line)
    assert found, line
    assert (int(found[1]), int(found[2])) == (len(body) + 4, len(reply))


@pytest.mark.parametrize(
    ("body", "method", "outcome"),
    [
        (encode_request("refuse"), "refuse", "404"),
        (encode_request("refuse", id=7, meta=True), "refuse", "404"),
        (encode_request("absent"), "absent", "-32601"),
        (encode_request("price", {}), "price", "-32602"),
        (b"{", "-", "-32700"),
        (b"[]", "-", "-32600"),
    ],
)
def test_an_error_is_logged_by_its_code(json_log: Log, body: bytes, method: str, outcome: str) -> None:
    made(LoggedDispatcher).answer(body, PEER)
    (record,) = map(json.loads, json_log.lines())
    assert (record["method"], record["outcome"], record["peer"]) == (method, outcome, PEER.address)
    assert record["service_us"] >= 0


def test_a_json_line_has_the_sizes_as_numbers(json_log: Log) -> None:
    body = encode_request("price", {"item": "tea"})
    reply = made(LoggedDispatcher).answer(body, PEER)
    (record,) = map(json.loads, json_log.lines())
    assert (record["bytes_in"], record["bytes_out"], record["logger"]) == (
        len(body) + 4,
        len(reply),
        "rpcserver.access",
    )


def test_the_log_of_calls_does_not_depend_on_the_level_of_the_other_logs(text_log: Log) -> None:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        made(LoggedDispatcher).answer(encode_request("price", {"item": "tea"}), PEER)
    finally:
        root.setLevel(level)
    assert len(text_log.lines()) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x ok 0.001 ms", "'x ok 0.001 ms'"),
        ("x\n2026-01-01T00:00:00.000Z forged", "'x\\n2026-01-01T00:00:00.000Z forged'"),
        ("x\x1b[31m", "x\\x1b[31m"),
        ("x" * 1000, "x" * 200 + "…"),
    ],
)
def test_a_callers_method_name_cannot_forge_or_fill_the_log(text_log: Log, name: str, shown: str) -> None:
    made(LoggedDispatcher).answer(encode_request(name), PEER)
    (line,) = text_log.lines()
    assert f"{PEER.address} {shown} -32601 " in line


def test_a_call_on_an_event_loop_is_logged_once_when_it_is_answered(json_log: Log) -> None:
    dispatcher = made(LoggedDispatcher)
    reply = asyncio.run(dispatcher.answer_async(encode_request("later"), PEER))
    (record,) = map(json.loads, json_log.lines())
    assert (record["method"], record["outcome"], record["bytes_out"]) == ("later", "ok", len(reply))


def test_a_call_that_is_refused_at_once_on_an_event_loop_is_logged_once(json_log: Log) -> None:
    asyncio.run(made(LoggedDispatcher).answer_async(b"{", PEER))
    (record,) = map(json.loads, json_log.lines())
    assert record["outcome"] == "-32700"


def test_a_cancelled_call_is_logged_as_that(json_log: Log) -> None:
    async def cancel_one() -> None:
        task = asyncio.create_task(made(LoggedDispatcher).answer_async(encode_request("wait"), PEER))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_one())
    (record,) = map(json.loads, json_log.lines())
    assert (record["method"], record["outcome"], record["bytes_out"]) == ("wait", "cancelled", 0)


@pytest.mark.parametrize("body", [encode_request("price", {"item": "tea"}), encode_request("absent"), b"{"])
def test_replies_are_the_same_as_without_the_log(text_log: Log, body: bytes) -> None:
    assert made(LoggedDispatcher).answer(body, PEER) == made(Dispatcher).answer(body, PEER)
    text_log.lines()


@pytest.mark.samples(1)
@of_each_kind
def test_a_server_of_any_model_logs_each_call_when_asked_to(model: str) -> None:
    with serve(shop(), model=model, workers=1, access_log=True, log_level="error") as server:
        with server.connect() as client:
            for _ in range(3):
                client.call("later")
            client.request("refuse")
        # A reply may be there before its line is.
        assert server.wait_for_log(r" refuse 404 \d")
        lines = [line for line in server.log().splitlines() if " B out" in line]
    assert [line.split()[6:8] for line in lines] == [["later", "ok"]] * 3 + [["refuse", "404"]]
    assert all(re.search(r"\[worker 1 \d+\] 127\.0\.0\.1:\d+ ", line) for line in lines)


def test_a_server_logs_no_calls_unless_asked_to() -> None:
    with serve(shop(), workers=1) as server:
        server.call("price", ["tea"])
        server.call("price", ["tea"])
    assert " B out" not in server.log()


def test_a_server_and_its_workers_open_their_log_again(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with running("-w", "2", "--access-log", "--log-file", str(path), folder=tmp_path) as server:
        with server.connect() as client:
            client.call("echo", 1)
        moved = path.rename(tmp_path / "server.log.1")
        server.signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        workers: set[str] = set()
        while len(workers) < 2:
            assert time.monotonic() < deadline, moved.read_text()
            with server.connect() as client:
                client.call("echo", 2)
            text = path.read_text() if path.exists() else ""
            workers = set(re.findall(r"\[(worker \d) \d+\] \S+ echo ok", text))
        before = len(moved.read_text())
        with server.connect() as client:
            client.call("echo", 3)
    assert len(moved.read_text()) == before
