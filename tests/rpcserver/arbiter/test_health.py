"""What balancers are told about a server: over HTTP, and in the words of HAProxy's agent checks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.arbiter.health import reply_to
from rpcserver.arbiter.liveness import STALLED_AFTER, Liveness
from rpcserver.arbiter.phase import Phase
from rpcserver.arbiter.readiness import Fitness, Readiness, judge
from rpcserver.system.scoreboard import SlotReading, SlotState
from tests.poverty import descriptors_below
from tests.rpcserver.arbiter.test_watchdog import reading
from tests.rpcserver.ops.test_metrics_served import holders, listening_inode
from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, PROBE_APP, Server, connected, launched, running, until

READY = Readiness(Fitness.READY, "all is well", 2, 0, 2)
SERVING = reading(tick=STALLED_AFTER)
STALLED = reading(tick=0)
STARTING = reading(tick=0, state=SlotState.STARTING)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("-w", "2", "--health", "127.0.0.1:0", folder=tmp_path_factory.mktemp("health")) as server:
        yield server


def asked_at(server: Server) -> str:
    return server.logged_address("health is told at ")


def ask(address: str, sent: bytes) -> bytes:
    """Send something, and read to the end."""
    with connected(address) as client:
        client.sendall(sent)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def get(address: str, path: str, method: str = "GET") -> tuple[int, Any]:
    said = ask(address, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.lower().count(b"content-length:") == 1
    assert body.count(b"\n") <= 1
    return int(head.split()[1]), json.loads(body) if body else None


def test_a_server_that_serves_is_alive_and_ready(server: Server) -> None:
    address = asked_at(server)
    assert get(address, "/healthz") == (200, {"status": "alive"})
    status, said = get(address, "/readyz?verbose")
    assert (status, said["status"], said["serving"], said["wanted"]) == (200, "ready", 2, 2)
    assert get(address, "/readyz", "HEAD") == (200, None)
    assert get(address, f"http://{address}/healthz?verbose") == (200, {"status": "alive"})


def test_it_speaks_http_as_others_know_it(server: Server) -> None:
    host, _, port = asked_at(server).rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    assert (response.status, response.getheader("Content-Type")) == (200, "application/json")
    assert json.loads(response.read())["status"] == "ready"


@pytest.mark.parametrize("sent", [b"", b"\n", b"status\n", b"\x00", b"PROXY TCP4"])
def test_whoever_sends_no_http_is_an_agent_check(server: Server, sent: bytes) -> None:
    assert ask(asked_at(server), sent) == b"ready up\n"


def test_other_paths_and_methods_are_refused(server: Server) -> None:
    address = asked_at(server)
    assert get(address, "/")[0] == 404
    assert get(address, "/readyz", "POST")[0] == 405
    assert ask(address, b"GET /readyz HTTP/1.1\r\nx: " + b"y" * 9000).split()[1] == b"400"


def test_clients_that_never_end_what_they_ask_keep_nobody_from_being_told(server: Server) -> None:
    address = asked_at(server)
    idle = [connected(address) for _ in range(100)]
    for client in idle:
        client.sendall(b"GET ")
    assert get(address, "/readyz")[0] == 200
    # All of them are let go in the end, and those that were silent for too long before with an agent's word.
    for client in idle:
        with client, contextlib.suppress(ConnectionResetError):
            assert read_all(client) in {b"", b"ready up\n"}


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    with connected(asked_at(server)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz HTTP/1.0\r\n\r\n":
            client.sendall(bytes([byte]))
        assert client.makefile("rb").read().endswith(b'{"status":"alive"}\n')


def test_it_goes_on_over_a_reload_and_no_worker_holds_its_socket(server: Server) -> None:
    address = asked_at(server)
    with steering(server) as arbiter:
        before = arbiter.status()["generation"]
        server.signal(signal.SIGHUP)
        while arbiter.status()["generation"] == before or arbiter.status()["reloading"]:
            assert get(address, "/readyz")[0] == 200
        # One that is just leaving is not to be looked into.
        until(lambda: set(server.workers()) == {worker["pid"] for worker in arbiter.workers()})
    assert get(address, "/readyz")[0] == 200
    assert holders(listening_inode(address), server.workers()) == []


def test_a_server_that_stops_says_so_and_serves_while_that_settles(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/health.sock"
    with running("--health", path, "--drain-settle", "60", folder=tmp_path) as server:
        assert get(path, "/readyz")[0] == 200
        server.signal(signal.SIGTERM)
        server.wait_for_log("which balancers have to hear of it")
        status, said = get(path, "/readyz")
        assert (status, said["status"]) == (503, "draining")
        assert ask(path, b"\n") == b"drain\n"
        assert get(path, "/healthz")[0] == 200
        with server.connect() as client, steering(server) as arbiter:
            assert client.call("echo", 1).result == 1
            assert arbiter.status()["phase"] == "settling"
            # A worker that dies meanwhile has a successor.
            os.kill(client.call("pid").result, signal.SIGKILL)
            arbiter.wait_until(lambda status: status["totals"]["died"] and status["workers"][0]["state"] == "ready")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not Path(path.removeprefix("unix:")).exists()


def test_the_time_to_settle_is_over_by_itself(tmp_path: Path) -> None:
    with running("--drain-settle", "0.05", folder=tmp_path) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.log().index("stopping in 0.05 s") < server.log().index("stopping: workers")


def test_a_server_that_starts_is_not_ready(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (tmp_path / "late.py").write_text("import os\nopen(os.environ['GATE'], 'rb', 0).read(1)\n" + PROBE_APP)
    options = ("-w", "1", "--bind", "127.0.0.1:0", "--health", "127.0.0.1:0", "late.py")
    with launched(*options, cwd=tmp_path, env={"GATE": str(gate.leave)}) as server:
        address = asked_at(server)
        status, said = get(address, "/readyz")
        assert (status, said["status"]) == (503, "starting")
        assert get(address, "/healthz")[0] == 200
        assert ask(address, b"\n").startswith(b"down #")
        gate.open()
        server.wait_until_ready()
        assert get(address, "/readyz")[0] == 200


def test_a_server_whose_workers_are_all_stopped_is_not_ready(tmp_path: Path) -> None:
    with running("-w", "1", "--health", "127.0.0.1:0", folder=tmp_path) as server:
        address = asked_at(server)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGSTOP)
        server.wait_for_log("is stalled")
        status, said = get(address, "/readyz")
        assert (status, said["status"], said["stalled"]) == (503, "stalled", 1)
        assert ask(address, b"\n") == b"down #1 of 1 ready workers are stalled\n"
        os.kill(worker, signal.SIGCONT)
        server.wait_for_log("is not stalled any more")
        assert ask(address, b"\n") == b"ready up\n"


def test_without_a_descriptor_left_who_asks_is_told_later(tmp_path: Path) -> None:
    with running("-w", "1", "--health", "127.0.0.1:0", folder=tmp_path) as server:
        address = asked_at(server)
        with contextlib.ExitStack() as stack:
            with descriptors_below(3, server.pid):
                client = stack.enter_context(connected(address))
                client.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
                server.wait_for_log("nobody is told about the server's health for now: Too many open files")
            assert read_all(client).startswith(b"HTTP/1.1 200 ")
        assert get(address, "/readyz")[0] == 200
        assert server.log().count("nobody is told") == 1


@pytest.mark.parametrize(
    ("phase", "readings", "status"),
    [
        (Phase.BOOTING, [SERVING], Fitness.STARTING),
        (Phase.RUNNING, [SERVING], Fitness.READY),
        (Phase.RUNNING, [], Fitness.DOWN),
        (Phase.RUNNING, [STARTING], Fitness.DOWN),
        (Phase.RUNNING, [SERVING, STARTING, STARTING], Fitness.READY),
        (Phase.RUNNING, [SERVING, STALLED], Fitness.READY),
        (Phase.RUNNING, [SERVING, STALLED, STALLED], Fitness.STALLED),
        (Phase.RUNNING, [STALLED], Fitness.STALLED),
        (Phase.SETTLING, [SERVING], Fitness.DRAINING),
        (Phase.DRAINING, [], Fitness.DRAINING),
        (Phase.QUITTING, [SERVING], Fitness.DRAINING),
    ],
)
def test_what_a_server_is_fit_for(phase: Phase, readings: list[SlotReading], status: Fitness) -> None:
    assert judge(phase, readings, Liveness("async"), wanted=3, now=STALLED_AFTER).status is status


@given(
    st.binary() | st.sampled_from([b"GET /readyz", b"HEAD ", b"PO"]).flatmap(lambda head: st.binary().map(head.__add__))
)
def test_every_stream_is_answered_once_and_the_sooner_the_less_it_is_http(sent: bytes) -> None:
    answer = reply_to(sent, lambda: READY, ended=True)
    assert answer is not None
    assert answer == b"ready up\n" or answer.startswith(b"HTTP/1.1 ")
    before = [reply_to(sent[:end], lambda: READY, ended=False) for end in range(len(sent) + 1)]
    told = [found for found in before if found is not None]
    assert all(found == told[0] or found.startswith(b"HTTP/1.1 ") for found in told)
