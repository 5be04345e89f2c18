"""The control socket: what it answers, who may use it, and that no client of it can hold the server up."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver.system.process import Exit, Forker
from rpcwire import ErrorCode, Goodbye, frame
from tests.rpcserver.steering import Gate, control_client, control_path, steering
from tests.servers import PATIENCE, Server, request, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one worker, which no test changes."""
    with running("-w", "1", folder=tmp_path_factory.mktemp("control")) as server:
        yield server


def test_the_status_tells_everything_about_an_idle_server(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path) as server, steering(server) as arbiter:
        status = arbiter.status()
        workers = status.pop("workers")
        assert 0 < status.pop("uptime") < 60
        assert status == {
            "pid": server.pid,
            "version": "0.1.0",
            "model": "sync",
            "app": str(tmp_path / "probe.py"),
            "phase": "running",
            "generation": 0,
            "reloading": False,
            "reload_problem": None,
            "listeners": [{"address": server.addresses[0], "waiting": 0, "limit": 1024}],
            "wanted": 3,
            "registration": None,
            "stems": [],
            "totals": {
                "accepts": 0, "calls": 0, "errors": 0, "busy_seconds": 0, "bytes_in": 0, "bytes_out": 0, "died": 0,
                "lost": 0,
            },
        }  # fmt: skip
        assert [worker["worker"] for worker in workers] == [1, 2, 3]
        assert sorted(worker["pid"] for worker in workers) == sorted(server.workers())
        for worker in workers:
            assert (worker["state"], worker["call"], worker["connections"]) == ("ready", None, 0)
            assert worker["memory"] > 1_000_000
            assert worker["pss"] is None or 0 < worker["uss"] <= worker["pss"] < worker["memory"]
            assert 0 < worker["age"] < 60


def test_the_status_tells_what_is_done(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "1", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        for number in range(5):
            assert client.call("echo", number).result == number
        assert client.call("nothing").fault is not None
        gate.hold(client)
        (worker,) = arbiter.workers()
        assert (worker["calls"], worker["errors"], worker["accepts"], worker["connections"]) == (6, 1, 1, 1)
        assert (worker["call"]["method"], worker["calls_running"]) == ("gate", 1)
        assert worker["call"]["seconds"] > 0
        assert 0 < worker["busy"] <= 1
        assert worker["bytes_in"] > 0 < worker["bytes_out"]
        gate.release(client)


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_status_tells_how_many_clients_wait(tmp_path: Path, kind: str) -> None:
    gate = Gate(tmp_path)
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/probe.sock"
    with (
        running("-w", "1", "--backlog", "9", folder=tmp_path, bind=(bind,)) as server,
        steering(server) as arbiter,
        server.connect() as client,
    ):
        gate.hold(client)
        with server.connect(), server.connect():
            status = arbiter.wait_until(lambda status: status["listeners"][0]["waiting"] in {2, None})
            if kind == "tcp" or status["listeners"][0]["waiting"] is not None:
                assert status["listeners"] == [{"address": server.addresses[0], "waiting": 2, "limit": 9}]
            gate.release(client)
            client.close()


def test_the_methods_are_described(server: Server) -> None:
    with steering(server) as arbiter:
        document = arbiter.call("rpc.discover")
        assert [method["name"] for method in document["methods"]] == [
            "arbiter.status",
            "arbiter.scale",
            "arbiter.reload",
            "arbiter.stop",
            "arbiter.logs",
            "arbiter.log_since",
            "arbiter.events",
            "worker.stop",
            "worker.kill",
            "worker.freeze",
            "worker.thaw",
        ]
        assert all(method["summary"] for method in document["methods"])


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("arbiter.scale", {"workers": 0}, ErrorCode.INVALID_PARAMS),
        ("arbiter.scale", {"workers": 100_000}, ErrorCode.INVALID_PARAMS),
        ("arbiter.scale", {}, ErrorCode.INVALID_PARAMS),
        ("arbiter.sing", {}, ErrorCode.METHOD_NOT_FOUND),
        ("arbiter.logs", {"lines": 5}, ErrorCode.APPLICATION_ERROR),
        ("arbiter.log_since", {}, ErrorCode.APPLICATION_ERROR),
        ("arbiter.log_since", {"position": {"file": "1:1", "offset": -1}}, ErrorCode.INVALID_PARAMS),
        ("worker.stop", {"worker": 9}, ErrorCode.APPLICATION_ERROR),
        ("worker.kill", {"worker": 1, "signal": "USR1"}, ErrorCode.INVALID_PARAMS),
    ],
)
def test_what_cannot_be_done_is_refused(server: Server, method: str, params: object, code: int) -> None:
    with control_client(server) as client:
        fault = client.call(method, params).fault
        assert fault is not None
        assert fault.code == code
        assert client.call("arbiter.status").fault is None
        assert len(server.workers()) == 1


@pytest.mark.parametrize("graceful", [True, False])
def test_a_stop_that_is_asked_for_is_confirmed_first(tmp_path: Path, graceful: bool) -> None:
    with running("-w", "2", folder=tmp_path) as server, control_client(server) as client:
        assert client.call("arbiter.stop", {"graceful": graceful}).result == {"graceful": graceful}
        assert isinstance(client.receive(), Goodbye)
        assert client.receive() is None
        assert server.wait() == 0
        assert ("stopping at once" in server.log()) is not graceful


def test_a_server_that_stops_is_watched_to_its_end_but_not_scaled(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        gate.hold(client)
        arbiter.call("arbiter.stop")
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 1)
        assert (status["phase"], status["workers"][0]["state"]) == ("draining", "draining")
        for method, params in (
            ("arbiter.scale", {"workers": 4}),
            ("arbiter.reload", {}),
            ("worker.stop", {"worker": 1}),
        ):
            fault = arbiter.client.call(method, params).fault
            assert fault is not None
            assert "on its way out" in fault.message
        gate.release(client)
        client.close()
        assert server.wait() == 0


def test_a_stopped_worker_answers_first_and_is_replaced(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "1", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        (old,) = server.workers()
        gate.hold(client, close=True)
        assert arbiter.call("worker.stop", worker=1) == {"worker": 1, "pid": old, "signal": "TERM"}
        with server.connect() as other:
            assert other.call("pid").result != old
        gate.release(client)
        assert isinstance(client.receive(), Goodbye)
        client.close()
        arbiter.ready(1)
        assert arbiter.status()["totals"]["died"] == 0


def test_the_log_is_read_back_from_its_file(tmp_path: Path) -> None:
    app_log = tmp_path / "server.log"
    app = (
        "from rpcserver import Context, Service\n"
        "service = Service('x')\n"
        "@service.method\n"
        "def say(text: str, context: Context) -> int:\n"
        "    context.log.warning('%s\\nand more', text)\n"
        "    return context.worker.worker\n"
    )
    for form in ("text", "json"):
        app_log.unlink(missing_ok=True)
        options = ("-w", "2", "--log-file", str(app_log), "--log-format", form)
        with running(*options, folder=tmp_path, app=app) as server, steering(server) as arbiter:
            with server.connect() as first, server.connect() as second:
                one, other = first.call("say", ["one"]).result, second.call("say", ["other"]).result
            lines = arbiter.call("arbiter.logs")
            assert any("listening on" in line for line in lines)
            theirs = arbiter.call("arbiter.logs", worker=one)
            assert sum("one" in line for line in theirs) == 1
            assert sum("and more" in line for line in theirs) == 1
            assert not any("listening on" in line for line in theirs)
            assert one != other
            assert not any("other" in line for line in theirs)
            assert arbiter.call("arbiter.logs", lines=1) == lines[-1:]


def test_nobody_else_may_come_near_it(server: Server) -> None:
    path = Path(control_path(server))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_uid == path.parent.stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_turned_away_even_where_the_mode_would_let_it_in(tmp_path: Path) -> None:
    options = ("--control", str(tmp_path / "control.sock"))
    with running("-w", "1", *options, folder=tmp_path) as server:
        (tmp_path / "control.sock").chmod(0o666)
        tmp_path.chmod(0o711)

        def be_nobody() -> int:
            os.chdir(tmp_path)
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("control.sock")
                try:
                    client.sendall(request("arbiter.status"))
                    return len(client.recv(100))
                except (ConnectionResetError, BrokenPipeError):
                    return 0

        child = Forker().fork(be_nobody)
        assert select.select([child.fileno()], [], [], PATIENCE)[0]
        assert child.reap() == Exit(0, by_signal=False)
        child.close()
        server.wait_for_log("user 65534")
        with control_client(server) as client:
            assert client.call("arbiter.status").fault is None


def test_clients_that_do_not_read_or_do_not_finish_are_dropped_and_others_served(tmp_path: Path) -> None:
    with running("-w", "1", "--read-timeout", "0.5", folder=tmp_path) as server, steering(server) as arbiter:
        with control_client(server) as deaf, control_client(server) as slow, control_client(server) as idle:
            slow.socket.sendall(struct.pack("<I", 1000) + b"{")
            deaf.socket.setblocking(False)
            try:
                while True:
                    deaf.socket.send(request("rpc.discover") * 50)
            except BlockingIOError:
                pass
            assert len(arbiter.workers()) == 1
            with server.connect() as client:
                assert client.call("echo", 1).result == 1
            server.wait_for_log("too slow", 2)
            assert slow.socket.recv(10) == b""
            assert idle.call("arbiter.status").fault is None
        assert len(arbiter.workers()) == 1


def test_too_many_clients_are_told_so(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server:
        clients = [control_client(server) for _ in range(32)]
        for client in clients:
            assert client.call("arbiter.status").fault is None
        clients.append(control_client(server))
        received = clients[32].reply()
        assert received.close
        assert received.fault is not None
        assert received.fault.code == ErrorCode.BUSY
        clients[0].close()
        assert clients[1].call("arbiter.status").fault is None
        with steering(server) as arbiter:
            assert len(arbiter.workers()) == 1
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("garbage", "code"),
    [(b"GET / HTTP/1.1\r\n\r\n", ErrorCode.FRAME_TOO_LARGE), (frame(b"no json"), ErrorCode.PARSE_ERROR)],
)
def test_garbage_is_answered(server: Server, garbage: bytes, code: int) -> None:
    with control_client(server) as client:
        client.socket.sendall(garbage)
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == code
        with control_client(server) as other:
            assert other.call("arbiter.status").fault is None


def test_a_batch_is_answered_in_order(server: Server) -> None:
    with control_client(server) as client:
        client.socket.sendall(b"".join(request("arbiter.status", id=number) for number in range(100)))
        assert [client.reply().id for _ in range(100)] == list(range(100))


def test_sockets_of_killed_servers_are_removed_and_others_left_alone(tmp_path: Path) -> None:
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with running("-w", "1", folder=tmp_path, env=runtime) as killed:
        killed.signal(signal.SIGKILL)
        killed.process.wait(PATIENCE)
        assert Path(control_path(killed)).parent == tmp_path / "rpcserver"
        assert Path(control_path(killed)).exists()
        with running("-w", "1", folder=tmp_path, env=runtime) as living:
            assert not Path(control_path(killed)).exists()
            with running("-w", "1", folder=tmp_path, env=runtime):
                assert Path(control_path(living)).exists()
                with steering(living) as arbiter:
                    assert len(arbiter.workers()) == 1
