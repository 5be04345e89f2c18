"""Metrics of a whole server: scraped, held by nobody else, and gone with it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import some
from tests.rpcserver.ops.series import Series, of_worker, series
from tests.servers import PATIENCE, PROBE_APP, Server, all_gone, running, until, watched


def scraped(address: str) -> Series:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert response.status == 200
        return series(response.read().decode())
    finally:
        connection.close()


def metrics_address(server: Server) -> str:
    return server.logged_address("metrics are at http://").removesuffix("/metrics")


def test_a_server_tells_its_calls_deaths_and_workers(tmp_path: Path) -> None:
    with running("-w", "2", "--metrics", "127.0.0.1:0", folder=tmp_path) as server:
        address = metrics_address(server)
        with server.connect() as client:
            client.call("echo", {"a": 1})
            client.call("absent")
            pid = client.call("pid").result
        found = scraped(address)
        assert found["rpcserver_requests_total", ()] == 3
        assert found["rpcserver_errors_total", ()] == 1
        assert found["rpcserver_accepts_total", ()] == 1
        assert found["rpcserver_sent_bytes_total", ()] > 0
        assert found["rpcserver_workers", (("state", "ready"),)] == 2
        assert sum(found["rpcserver_worker_requests_total", of_worker(number)] for number in (1, 2)) == 3
        assert min(found["rpcserver_worker_resident_bytes", of_worker(number)] for number in (1, 2)) > 1 << 20
        (queue_limit,) = (value for (name, _), value in found.items() if name == "rpcserver_listen_queue_limit")
        assert queue_limit > 0
        os.kill(pid, signal.SIGKILL)
        server.wait_for_log("was killed by SIGKILL")
        found = scraped(address)
        assert found["rpcserver_worker_deaths_total", ()] == 1
        assert found["rpcserver_requests_total", ()] == 3
        assert found["rpcserver_lost_requests_total", ()] == 0


def listening_inode(address: str) -> str:
    port = int(address.rpartition(":")[2])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return fields[9]
    raise AssertionError(address)


def holders(inode: str, pids: list[int]) -> list[int]:
    return [pid for pid in pids if f"socket:[{inode}]" in _held(pid)]


def _held(pid: int) -> Iterator[str]:
    """What a process holds, which may close some of it meanwhile."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(entry.readlink())


def test_workers_hold_nothing_of_the_metrics_and_the_companion_nothing_of_the_workers(tmp_path: Path) -> None:
    with running("-w", "3", "--metrics", "127.0.0.1:0", folder=tmp_path) as server:
        address = metrics_address(server)
        children = server.workers()
        assert len(children) == 4
        (companion,) = holders(listening_inode(address), children)
        assert set(holders(listening_inode(server.addresses[0]), children)) == {*children} - {companion}


def test_the_companion_is_gone_with_the_server(tmp_path: Path) -> None:
    with running("-w", "1", "--metrics", "127.0.0.1:0", folder=tmp_path) as server:
        server.wait_for_log("metrics are at")
        with watched(server.workers()) as processes:
            server.process.kill()
            assert all_gone(processes, PATIENCE)


FAILING_APP = (
    PROBE_APP
    + """
@service.method
def fail() -> None:
    raise ValueError
"""
)


@pytest.mark.parametrize("model", some("sync", "fork", "async"))
def test_calls_are_told_by_method_and_outcome(model: str, tmp_path: Path) -> None:
    with running("-w", "1", "-m", model, "--metrics", "127.0.0.1:0", app=FAILING_APP, folder=tmp_path) as server:
        address = metrics_address(server)
        with server.connect() as client:
            for method in ("echo", "absent", "fail", "absent too", "gate", "echo"):
                client.call(method, {})
        # A process of model fork counts for itself until its connection has ended.
        until(lambda: ("rpcserver_method_seconds_count", (("method", "echo"),)) in scraped(address))
        found = scraped(address)

    def calls(method: str, outcome: str) -> float:
        return found["rpcserver_method_requests_total", (("method", method), ("outcome", outcome))]

    assert calls("echo", "result") == 2
    assert calls("(other)", "error") == 2
    assert calls("(other)", "result") == calls("fail", "result") == 0
    assert calls("fail", "failed") == 1
    assert calls("gate", "invalid_params") == 1
    # What nobody has called yet is told as well, so that its first failure is seen to be one.
    assert calls("blob", "failed") == 0
    assert found["rpcserver_method_seconds_count", (("method", "echo"),)] == 2
    assert found["rpcserver_method_seconds_sum", (("method", "echo"),)] > 0
    assert found["rpcserver_method_seconds_bucket", (("le", "+Inf"), ("method", "echo"))] == 2
    assert found["rpcserver_connection_wait_seconds_count", ()] == 1


def test_calls_of_every_process_of_the_fork_model_are_told_by_method(tmp_path: Path) -> None:
    with running("-w", "1", "-m", "fork", "--metrics", "127.0.0.1:0", folder=tmp_path) as server:
        address = metrics_address(server)
        counted = ("rpcserver_method_seconds_count", (("method", "echo"),))
        for calls in range(1, 4):
            with server.connect() as client:
                client.call("echo", {})
            until(lambda calls=calls: scraped(address).get(counted) == calls)  # type: ignore[misc]
