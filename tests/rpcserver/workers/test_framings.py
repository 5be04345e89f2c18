"""JSON-RPC by every framing that a listener may have, in every worker model."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpcwire import FrameDecoder, decode_reply
from rpcwire.framings import FRAMINGS, Framing
from tests.models import EACH_KIND, of_each_kind
from tests.servers import PATIENCE, Server, request, running


class FramedClient:
    """A client that speaks JSON-RPC by one framing."""

    def __init__(self, connection: socket.socket, framing: Framing) -> None:
        self.socket = connection
        self.framing = framing
        self.decoder = framing.decoder(1 << 24)

    def send(self, message: Any) -> None:
        self.socket.sendall(self.framing.frame(json.dumps(message).encode()))

    def receive(self) -> Any:
        while (body := self.decoder.next_frame()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.decoder.feed(data)
        return json.loads(body)

    def __enter__(self) -> FramedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def call(identity: Any, method: str, params: Any = None, **keys: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params, **keys}


def connect(server: Server, framing: str) -> FramedClient:
    (address,) = (address for address in server.addresses if address.startswith(f"{framing}+"))
    kind, _, rest = address.removeprefix(f"{framing}+").partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(rest)
    else:
        host, _, port = rest.removeprefix("//").rpartition(":")
        connection = socket.create_connection((host, int(port)), PATIENCE)
    return FramedClient(connection, FRAMINGS[framing])


def binds(folder: Path) -> list[str]:
    tcp = [f"{framing}+tcp://127.0.0.1:0" for framing in FRAMINGS if framing not in {"u32le", "u32be"}]
    return ["127.0.0.1:0", f"u32be+unix:{folder}/x.sock", *tcp]


@pytest.fixture(scope="module", params=EACH_KIND)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with running("-m", request.param, "-w", "2", "--max-frame", "64K", folder=folder, bind=binds(folder)) as server:
        yield server


framed = pytest.mark.parametrize("framing", [name for name in FRAMINGS if name != "u32le"])


@pytest.mark.samples(4)
@framed
def test_calls_notifications_and_batches_are_answered(server: Server, framing: str) -> None:
    with connect(server, framing) as client:
        client.send(call(1, "echo", {"a": "\n\0"}))
        client.send({"jsonrpc": "2.0", "method": "echo"})
        client.send([call(2, "echo", [1]), call("x", "nope")])
        assert client.receive() == {"jsonrpc": "2.0", "result": {"a": "\n\0"}, "id": 1}
        good, bad = client.receive()
        assert good == {"jsonrpc": "2.0", "result": [1], "id": 2}
        assert (bad["error"]["code"], bad["id"]) == (-32601, "x")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is None


@framed
def test_a_call_may_come_byte_by_byte(server: Server, framing: str) -> None:
    with connect(server, framing) as client:
        for byte in client.framing.frame(json.dumps(call(1, "echo", [1])).encode()):
            client.socket.sendall(bytes([byte]))
        assert client.receive()["result"] == [1]


@pytest.mark.samples(3)
@framed
def test_a_large_call_and_reply_pass(server: Server, framing: str) -> None:
    with connect(server, framing) as client:
        client.send(call(1, "blob", [1_000_000]))
        client.send(call(2, "echo", ["x" * 60_000]))
        assert len(client.receive()["result"]) == 1_000_000
        assert len(client.receive()["result"][0]) == 60_000


@framed
def test_what_is_too_long_is_told_in_the_clients_own_terms(server: Server, framing: str) -> None:
    with connect(server, framing) as client:
        client.send(call(1, "echo", ["x" * 70_000]))
        error = client.receive()
        assert (error["jsonrpc"], error["error"]["code"], error["id"]) == ("2.0", -32003, None)
        assert client.receive() is None


def test_both_envelopes_may_come_on_one_connection(server: Server) -> None:
    with server.connect() as client:
        client.socket.sendall(FRAMINGS["u32le"].frame(json.dumps(call(1, "echo", [1])).encode()) + request("echo", 2))
        decoder = FrameDecoder()
        bodies: list[bytes] = []
        while len(bodies) < 2:
            data = client.socket.recv(65536)
            assert data
            decoder.feed(data)
            while (body := decoder.next_frame()) is not None:
                bodies.append(bytes(body))
        assert json.loads(bodies[0]) == {"jsonrpc": "2.0", "result": [1], "id": 1}
        assert decode_reply(bodies[1]).result == 2  # type: ignore[union-attr]


@pytest.mark.samples(1)
@of_each_kind
def test_a_stop_tells_those_who_heed_close_and_answers_the_others(model: str, tmp_path: Path) -> None:
    options = ("-m", model, "-w", "2", "--drain-grace", "20")
    with running(*options, folder=tmp_path, bind=["line+tcp://127.0.0.1:0"]) as server:
        with connect(server, "line") as heeding, connect(server, "line") as other:
            heeding.send(call(1, "echo", close=True))
            other.send(call(1, "echo"))
            assert heeding.receive() == other.receive() == {"jsonrpc": "2.0", "result": None, "id": 1}
            server.signal(signal.SIGTERM)
            assert heeding.receive() == {"close": True}
            other.send(call(2, "echo"))
            assert other.receive() == {"jsonrpc": "2.0", "result": None, "id": 2}
            assert other.receive() is None
        assert server.wait() == 0


def test_a_socket_that_a_service_manager_passes_speaks_the_framing_that_it_is_named_after() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        script = (
            f"import os, sys\nos.dup2({listening.fileno()}, 3)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='line')\n"
            "os.execv(sys.executable, [sys.executable, '-P', '-m', 'rpcserver', '-w', '1'])\n"
        )
        command = [sys.executable, "-c", script]
        started = subprocess.Popen(command, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL)
        try:
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
            with FramedClient(connection, FRAMINGS["line"]) as client:
                client.send(call(1, "ping", {"a": 1}))
                assert client.receive() == {"jsonrpc": "2.0", "result": {"a": 1}, "id": 1}
        finally:
            started.terminate()
            assert started.wait(PATIENCE) == 0
