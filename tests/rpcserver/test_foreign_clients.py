"""The server called by clients of JSON-RPC that others wrote, each over the framing that it knows."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.peers.node import needs_package, run_script
from tests.servers import PATIENCE, Server, running

pytestmark = pytest.mark.thorough

FRAMINGS = ("line", "content-length")

PREPARED = """
const [host, port] = process.argv.slice(1);
const show = (value) => console.log(JSON.stringify(value));
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binds = [f"{framing}+tcp://127.0.0.1:0" for framing in FRAMINGS]
    with running("-m", "thread", "-w", "1", app=None, folder=tmp_path_factory.mktemp("server"), bind=binds) as server:
        yield server


def place(server: Server, framing: str) -> tuple[str, int]:
    (address,) = (address for address in server.addresses if address.startswith(f"{framing}+"))
    host, _, port = address.removeprefix(f"{framing}+tcp://").rpartition(":")
    return host, int(port)


def words(where: tuple[str, int]) -> tuple[str, str]:
    return where[0], str(where[1])


@pytest.mark.skipif(shutil.which("nc") is None, reason="there is no nc")
def test_netcat(server: Server) -> None:
    request = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1}}\n'
    host, port = words(place(server, "line"))
    done = subprocess.run(["nc", "-N", host, port], input=request, capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b'{"jsonrpc":"2.0","result":{"a":1},"id":1}\n'


@pytest.mark.skipif(importlib.util.find_spec("pylsp_jsonrpc") is None, reason="the extra `peers` is not installed")
def test_python_lsp_jsonrpc(server: Server) -> None:
    from pylsp_jsonrpc.endpoint import Endpoint
    from pylsp_jsonrpc.exceptions import JsonRpcException
    from pylsp_jsonrpc.streams import JsonRpcStreamReader, JsonRpcStreamWriter

    with (
        socket.create_connection(place(server, "content-length"), timeout=PATIENCE) as sock,
        sock.makefile("rb") as incoming,
        sock.makefile("wb") as outgoing,
    ):
        reader = JsonRpcStreamReader(incoming)
        endpoint = Endpoint({}, JsonRpcStreamWriter(outgoing).write)
        listener = threading.Thread(target=reader.listen, args=(endpoint.consume,))
        listener.start()
        try:
            endpoint.notify("ping", {"a": 1})
            several = [endpoint.request("add", {"a": number, "b": 1}) for number in range(20)]
            assert [one.result(PATIENCE) for one in several] == [number + 1 for number in range(20)]
            assert endpoint.request("echo", {"text": "ü" * 100_000}).result(PATIENCE) == "ü" * 100_000
            with pytest.raises(JsonRpcException) as caught:
                endpoint.request("nope", {}).result(PATIENCE)
            assert caught.value.code == -32601
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            listener.join()
            endpoint.shutdown()


@needs_package("vscode-jsonrpc")
def test_vscode_jsonrpc(server: Server) -> None:
    script = """
const rpc = require('vscode-jsonrpc/node');
const socket = require('net').connect(port, host, async () => {
  const client = rpc.createMessageConnection(new rpc.StreamMessageReader(socket), new rpc.StreamMessageWriter(socket));
  client.listen();
  await client.sendNotification('ping', {a: 1});
  const sums = await Promise.all([1, 2, 3].map((a) => client.sendRequest('add', {a, b: 1})));
  const text = await client.sendRequest('echo', {text: 'ü'.repeat(100000)});
  const code = await client.sendRequest('nope', {}).catch((error) => error.code);
  show([sums, text.length, code]);
  client.dispose();
  socket.end();
});
"""
    assert run_script(PREPARED + script, *words(place(server, "content-length"))) == [[2, 3, 4], 100_000, -32601]


@needs_package("jayson")
def test_jayson(server: Server) -> None:
    script = """
const client = require('jayson/promise').client.tcp({host, port: Number(port)});
(async () => {
  const sum = await client.request('add', {a: 1, b: 2});
  const byPosition = await client.request('add', [1, 2]);
  const missing = await client.request('nope', {});
  const batch = await client.request([
    client.request('add', {a: 1, b: 1}, undefined, false),
    client.request('ping', {a: 1}, null, false),
    client.request('add', {a: 2, b: 2}, undefined, false),
  ]);
  show([sum.result, byPosition.result, missing.error.code, batch.map((reply) => reply.result)]);
})();
"""
    found = run_script(PREPARED + script, *words(place(server, "line")))
    assert found == [3, 3, -32601, [2, 4]]
