"""Metrics: what Prometheus reads, and that scrapers cannot disturb the arbiter."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from rpcserver.arbiter.status import Sample, WorkerSample
from rpcserver.ops.exposition import SampleCollector
from rpcserver.ops.metrics import metrics_duty
from rpcserver.system.addresses import TcpBind
from rpcserver.system.scoreboard import SlotState, Totals
from rpcserver.system.sockets import Listener, open_listeners
from rpcwire.control import ListenerStatus
from tests.rpcserver.arbiter.test_watchdog import reading
from tests.rpcserver.companion_host import CompanionHost
from tests.rpcserver.ops.series import Series, of_worker, series
from tests.servers import PATIENCE, all_gone, watched

COUNTS = ("connections", "accepts", "requests", "errors", "busy_ns", "bytes_in", "bytes_out")


def worker(number: int, generation: int, state: SlotState, resident: int, *counts: int) -> WorkerSample:
    """A worker whose counts are those of `COUNTS`."""
    named = dict(zip(COUNTS, counts, strict=True))
    return WorkerSample(
        reading(number=number, pid=1000 + number, generation=generation, state=state, **named), resident
    )


OLD = worker(1, 0, SlotState.DRAINING, 10_000, 2, 9, 90, 3, 1_500_000_000, 900, 1800)
YOUNG = worker(1, 1, SlotState.READY, 20_000, 1, 4, 40, 1, 500_000_000, 400, 800)
OTHER = worker(2, 1, SlotState.READY, 30_000, 0, 2, 20, 0, 250_000_000, 200, 400)
TOTALS = Totals(
    accepts=100,
    requests=1000,
    errors=10,
    busy_ns=2_500_000_000,
    bytes_in=5000,
    bytes_out=9000,
    died=3,
    lost=2,
)
SAMPLE = Sample(
    version="1.2.3",
    model="sync",
    generation=1,
    totals=TOTALS,
    workers=(OLD, YOUNG, OTHER),
    listeners=(ListenerStatus("127.0.0.1:8080", 7, 1024), ListenerStatus("[::1]:8080", 0, 1024)),
)


NO_PID = 1 << 22
"""The kernel's pids are below: proc(5), pid_max."""


def exposed(sample: Sample) -> Series:
    registry = CollectorRegistry()
    registry.register(SampleCollector(lambda: sample))
    return series(generate_latest(registry).decode())


def test_what_the_server_counts_stands_by_itself() -> None:
    found = exposed(SAMPLE)
    expected = {
        "rpcserver_requests_total": 1000,
        "rpcserver_errors_total": 10,
        "rpcserver_accepts_total": 100,
        "rpcserver_received_bytes_total": 5000,
        "rpcserver_sent_bytes_total": 9000,
        "rpcserver_busy_seconds_total": 2.5,
        "rpcserver_worker_deaths_total": 3,
        "rpcserver_lost_requests_total": 2,
        "rpcserver_generation": 1,
    }
    assert {name: found[name, ()] for name in expected} == expected
    assert found["rpcserver_server_info", (("model", "sync"), ("version", "1.2.3"))] == 1


def test_queues_are_told_by_address() -> None:
    found = exposed(SAMPLE)
    address = (("address", "127.0.0.1:8080"),)
    assert found["rpcserver_listen_queue", address] == 7
    assert found["rpcserver_listen_queue_limit", address] == 1024
    assert found["rpcserver_listen_queue", (("address", "[::1]:8080"),)] == 0


def test_workers_are_counted_by_state_even_where_there_are_none() -> None:
    found = exposed(SAMPLE)
    states = {labels[0][1]: value for (name, labels), value in found.items() if name == "rpcserver_workers"}
    assert states == {"starting": 0, "ready": 2, "draining": 1, "aborting": 0}


def test_a_worker_that_is_being_replaced_makes_no_series_twice() -> None:
    found = exposed(SAMPLE)
    assert found["rpcserver_worker_requests_total", of_worker(1)] == 40
    assert found["rpcserver_worker_busy_seconds_total", of_worker(1)] == 0.5
    assert found["rpcserver_worker_generation", of_worker(1)] == 1
    assert found["rpcserver_worker_connections", of_worker(1)] == 3
    assert found["rpcserver_worker_resident_bytes", of_worker(1)] == 30_000
    assert found["rpcserver_worker_errors_total", of_worker(2)] == 0
    assert found["rpcserver_worker_accepts_total", of_worker(2)] == 2


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this kernel does not tell")
def test_memory_is_told_of_workers_and_stems_that_are_still_there() -> None:
    here = msgspec.structs.replace(OTHER, reading=msgspec.structs.replace(OTHER.reading, pid=os.getpid()))
    gone = msgspec.structs.replace(YOUNG, reading=msgspec.structs.replace(YOUNG.reading, pid=NO_PID))
    found = exposed(msgspec.structs.replace(SAMPLE, workers=(here, gone), stems=(os.getpid(), NO_PID)))
    assert found["rpcserver_worker_pss_bytes", of_worker(2)] > 1_000_000
    assert found["rpcserver_stem_pss_bytes", ()] == found["rpcserver_worker_pss_bytes", of_worker(2)]
    assert ("rpcserver_worker_pss_bytes", of_worker(1)) not in found
    assert "rpcserver_stem_pss_bytes" not in {name for name, _ in exposed(SAMPLE)}


def test_a_sample_survives_the_way_to_the_companion() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(SAMPLE), type=Sample) == SAMPLE


class Host(CompanionHost):
    """One that is asked for samples."""

    asked = 0

    def sample(self) -> Sample:
        self.asked += 1
        return msgspec.structs.replace(SAMPLE, totals=msgspec.structs.replace(TOTALS, requests=self.asked))


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def listener(host: Host) -> Listener:
    (made,) = open_listeners([TcpBind("127.0.0.1", 0)], backlog=64, unix_mode=0o600)
    host.companions.add(metrics_duty([made], host.sample, patience=2.0))
    return made


class Scrape:
    """A scrape that was sent, and is answered while the arbiter's loop turns."""

    def __init__(self, listener: Listener, path: str = "/metrics", accept: str = "") -> None:
        self.connection = socket.create_connection(listener.socket.getsockname(), PATIENCE)
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
        self.connection.setblocking(False)
        self.data = b""
        self.ended = False

    def has_ended(self) -> bool:
        while not self.ended:
            try:
                data = self.connection.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                data = b""
            self.data += data
            self.ended = not data
        self.connection.close()
        return True

    def answer(self, host: Host) -> tuple[int, str, str]:
        host.run_until(self.has_ended)
        head, _, body = self.data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        kind = next(line for line in head.decode().split("\r\n") if line.lower().startswith("content-type:"))
        return status, kind.partition(": ")[2], body.decode()


def test_a_scrape_is_answered_with_what_the_arbiter_says_then(host: Host, listener: Listener) -> None:
    for number in (1, 2):
        status, kind, text = Scrape(listener).answer(host)
        assert status == 200
        assert kind.startswith("text/plain; version=")
        assert series(text)["rpcserver_requests_total", ()] == number


def test_openmetrics_is_spoken_to_those_who_ask_for_it(host: Host, listener: Listener) -> None:
    _, kind, text = Scrape(listener, accept="application/openmetrics-text; version=1.0.0").answer(host)
    assert kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call] # it has no annotations
    assert families["rpcserver_requests"].samples[0].value == 1


def test_other_paths_say_where_the_metrics_are(host: Host, listener: Listener) -> None:
    status, _, text = Scrape(listener, path="/").answer(host)
    assert (status, text) == (404, "the metrics are at /metrics\n")
    assert host.asked == 0


def test_an_arbiter_that_does_not_answer_is_not_waited_for_long(host: Host, listener: Listener) -> None:
    host.run_until(lambda: host.companions.pids)
    scrape = Scrape(listener)
    scrape.connection.settimeout(PATIENCE)
    with contextlib.closing(http.client.HTTPResponse(scrape.connection)) as response:
        response.begin()
        assert response.status == 503
        assert b"ask again" in response.read()
    scrape.connection.close()
    # What was asked for then is no answer to the next scrape.
    host.run_until(lambda: host.asked)
    status, _, text = Scrape(listener).answer(host)
    assert status == 200
    assert series(text)["rpcserver_requests_total", ()] == host.asked == 2


def test_silent_scrapers_are_cut_off_for_those_who_ask(host: Host, listener: Listener) -> None:
    silent = [socket.create_connection(listener.socket.getsockname(), PATIENCE) for _ in range(20)]
    try:
        status, _, _ = Scrape(listener).answer(host)
        assert status == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_companion_that_dies_is_started_again_on_the_same_port(
    host: Host, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    host.run_until(lambda: host.companions.pids)
    (pid,) = host.companions.pids
    os.kill(pid, signal.SIGKILL)
    host.run_until(lambda: not host.companions.pids)
    assert host.companions.deadline is not None
    assert f"the metrics companion (pid {pid}) was killed by SIGKILL; a new one starts in 1 s" in caplog.text
    host.run_until(lambda: host.companions.pids)
    assert host.companions.pids != {pid}
    status, _, _ = Scrape(listener).answer(host)
    assert status == 200


def test_stopping_ends_the_companions_and_frees_the_port(host: Host, listener: Listener) -> None:
    address = listener.socket.getsockname()
    Scrape(listener).answer(host)
    with watched(list(host.companions.pids)) as processes:
        host.companions.stop()
        assert all_gone(processes, PATIENCE)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, PATIENCE)
