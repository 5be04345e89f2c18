"""A call on every worker, exactly once; the servers are real, in every model."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, CallTimeout, Cancelled, ConnectionLost
from rpcshell.client.target import Target, TlsFiles
from rpcshell.servers.control import Control
from rpcshell.servers.fanout import FanOut
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcwire.control import ServerStatus
from tests.interrupts import interrupted
from tests.models import of_each_kind
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.peers import Peer
from tests.rpcshell.peers import serving as serving_peers
from tests.servers import PATIENCE, until

pytestmark = pytest.mark.usefixtures("forked")

APP = """
import os, time
from rpcserver import Context, RpcError, Service

service = Service("fan")

@service.method
def mark(path: str, context: Context) -> int:
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\\n" % context.worker.worker)
    return context.worker.worker

@service.method
def fare(context: Context) -> str:
    "Die on worker 1, fail on worker 2."
    if context.worker.worker == 1:
        os.kill(os.getpid(), 9)
    if context.worker.worker == 2:
        raise RpcError("not here")
    return "well"

@service.method
def wait(entered: str) -> None:
    with open(entered, "wb", buffering=0) as file:
        file.write(b".")
    time.sleep(1000)
"""


@contextmanager
def serving(
    folder: Path, workers: int = 3, model: str = "sync", *extra: str, bind: str = "127.0.0.1:0"
) -> Iterator[Fan]:
    app = folder / "fan.py"
    app.write_text(APP)
    server = SpawnedServer.start(SpawnOptions(workers, str(app), model, (bind,), extra=extra))
    try:
        assert server.control is not None
        with Control(server.control) as control:
            yield Fan(server, control)
    finally:
        server.stop(drain=0)


class Fan:
    """A server, and making calls on all of its workers."""

    def __init__(self, server: SpawnedServer, control: Control) -> None:
        self.control = control
        self.target = Target.parse(server.addresses[0])

    def out(self, method: str, params: object, *, tls: TlsFiles | None = None, limit: float | None = None) -> FanOut:
        fan = FanOut(self.target, self.control, tls, limit)
        fan.run(method, params)
        return fan

    def connect(self) -> socket.socket:
        host, _, port = str(self.target).rpartition(":")
        return socket.create_connection((host, int(port)))

    def wait_for_connections(self, count: int) -> list[int]:
        """Wait until so many are open; the workers that have them."""
        holding: dict[int, int] = {}

        def hold_so_many() -> bool:
            holding.update((worker.worker, worker.connections) for worker in self.control.status().workers)
            return sum(holding.values()) == count

        until(hold_so_many)
        return [number for number, connections in holding.items() if connections]


def marks(path: Path) -> list[int]:
    return sorted(map(int, path.read_text().split())) if path.exists() else []


@pytest.mark.samples(1)
@of_each_kind
def test_every_worker_runs_the_call_once(tmp_path: Path, model: str) -> None:
    with serving(tmp_path, 4, model) as server:
        for round_ in (1, 2):
            fan = server.out("mark", {"path": str(tmp_path / "marks")})
            assert [fan.answers[number].result for number in sorted(fan.answers)] == [1, 2, 3, 4]
            assert fan.missed == {}
            assert marks(tmp_path / "marks") == sorted([1, 2, 3, 4] * round_)
            for number, answer in fan.answers.items():
                assert answer.meta is not None
                assert (answer.meta.worker, answer.pid) == (number, answer.meta.pid)
                assert answer.elapsed > 0
        assert server.wait_for_connections(0) == []


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["tls", "unix"])
def test_it_goes_the_same_way_as_the_sessions_calls(tmp_path: Path, kind: str) -> None:
    certificates = Certificates(tmp_path)
    cert = tmp_path / "server.pem"
    certificates.good.private_key_and_cert_chain_pem.write_to_path(str(cert))
    extra = ("--tls-cert", str(cert)) if kind == "tls" else ()
    bind = f"unix:{tmp_path}/fan.sock" if kind == "unix" else "127.0.0.1:0"
    with serving(tmp_path, 2, "sync", *extra, bind=bind) as server:
        fan = server.out("mark", {"path": str(tmp_path / "marks")}, tls=TlsFiles(ca=certificates.ca))
        assert sorted(fan.answers) == [1, 2] == marks(tmp_path / "marks")


def test_a_worker_that_another_client_holds_is_named_and_the_call_does_not_run_there_later(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with server.connect(), server.connect():
            held = server.wait_for_connections(2)
            fan = server.out("mark", {"path": str(tmp_path / "marks")})
            assert list(fan.answers) == [number for number in (1, 2, 3) if number not in held]
            assert sorted(fan.missed) == held
            assert {missed.reason for missed in fan.missed.values()} == {
                "an idle connection of another client holds it"
            }
        server.wait_for_connections(0)
        fan = server.out("mark", {"path": str(tmp_path / "marks")})
        assert sorted(fan.answers) == [1, 2, 3]
        assert len(marks(tmp_path / "marks")) == 4


def test_a_worker_that_is_slow_to_say_that_it_serves_us_is_not_held_by_others(tmp_path: Path) -> None:
    looked, said = threading.Semaphore(0), threading.Event()
    with serving(tmp_path, 1) as server:

        def slowly(peer: Peer) -> None:
            with server.connect() as onward:
                onward.sendall(peer.sock.recv(65536))
                reply = onward.recv(65536)
                for _ in range(5):
                    assert looked.acquire(timeout=PATIENCE)
                said.set()
                peer.sock.sendall(reply)
                while data := peer.sock.recv(65536):
                    onward.sendall(data)
                    peer.sock.sendall(onward.recv(65536))

        class Looking(Control):
            def status(self) -> ServerStatus:
                looked.release()
                return super().status()

        with serving_peers(slowly) as relay, Looking(server.control.path) as control:
            fan = FanOut(relay.target, control, None, None)
            fan.run("mark", {"path": str(tmp_path / "marks")})
        assert said.is_set()
        assert marks(tmp_path / "marks") == [1] == list(fan.answers)


def test_a_worker_that_stands_still_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with serving(tmp_path, 2, "thread") as server:
        frozen = server.control.kill_worker(2, "STOP")
        try:
            began = time.monotonic()
            fan = server.out("mark", {"path": str(tmp_path / "marks")})
            assert list(fan.answers) == [1]
            assert "it may be stopped" in fan.missed[2].reason
            # It might only have been slow.
            assert time.monotonic() - began > 0.9
        finally:
            server.control.kill_worker(2, "CONT")
        fan = server.out("mark", {"path": str(tmp_path / "marks")})
        assert fan.answers[2].pid == frozen.pid
        assert marks(tmp_path / "marks") == [1, 1, 2]


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["sync", "thread"])
def test_a_reload_meanwhile_neither_loses_nor_doubles_a_call(tmp_path: Path, model: str) -> None:
    with serving(tmp_path, 3, model) as server:
        expected: list[int] = []
        generations: set[int] = set()
        generation = server.control.reload()
        while server.control.status().reloading or generation not in generations:
            fan = server.out("mark", {"path": str(tmp_path / "marks")})
            assert all(answer.error is None for answer in fan.answers.values())
            assert sorted({**fan.answers, **fan.missed}) == [1, 2, 3]
            expected += fan.answers
            generations |= {answer.meta.generation for answer in fan.answers.values() if answer.meta is not None}
            assert marks(tmp_path / "marks") == sorted(expected)


def test_errors_and_deaths_are_the_answers_of_their_workers(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        fan = server.out("fare", None)
        dead, failed, well = (fan.answers[number] for number in (1, 2, 3))
        assert isinstance(dead.error, ConnectionLost)
        assert dead.error.may_have_run
        assert isinstance(failed.error, CallError)
        assert failed.error.message == "not here"
        assert (well.error, well.result) == (None, "well")


def test_ctrl_c_ends_all_of_it_and_says_where_it_may_still_run(tmp_path: Path) -> None:
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    with serving(tmp_path, 2) as server:
        fan = FanOut(server.target, server.control, None, 30)
        # Open for both, it has no end between the two workers.
        called = os.open(entered, os.O_RDWR)

        with interrupted(lambda: [os.read(called, 1) for _ in range(2)]), pytest.raises(KeyboardInterrupt):
            fan.run("wait", {"entered": str(entered)})
        os.close(called)
        assert sorted(fan.answers) == [1, 2]
        assert all(isinstance(answer.error, Cancelled) for answer in fan.answers.values())


def test_the_time_limit_holds_for_each_worker(tmp_path: Path) -> None:
    with serving(tmp_path, 2) as server:
        fan = server.out("wait", {"entered": "/dev/null"}, limit=0.3)
        assert all(isinstance(answer.error, CallTimeout) for answer in fan.answers.values())
        assert sorted(fan.answers) == [1, 2]
