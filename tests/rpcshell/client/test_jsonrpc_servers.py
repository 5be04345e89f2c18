"""The clients and the shell with a server of JSON-RPC that others wrote: jsonrpcserver, of the extra `peers`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rpcshell import CallError
from tests.rpcshell.faces import Connect

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(importlib.util.find_spec("jsonrpcserver") is None, reason="the extra `peers` is not installed"),
]

SERVER = """
import sys
from jsonrpcserver import Error, Result, Success, dispatch, method

@method
def add(a, b) -> Result:
    return Success(a + b)

@method(name="text/repeat")
def repeat(text, times=2) -> Result:
    return Success(text * times)

@method
def fail() -> Result:
    return Error(7, "no such luck", {"luck": 0})

def serve():
    for line in sys.stdin:
        if answer := dispatch(line):
            print(answer, flush=True)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("server") / "server.py"
    file.write_text(f"{SERVER}\nserve()\n")
    return file


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with warnings.catch_warnings():
        # How it reads a file of its own is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from jsonrpcserver import dispatch

    exec(SERVER, {})  # noqa: S102 - its methods are registered

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = dispatch(body.decode()).encode()
            self.send_response(200 if answer else 204)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"jsonrpc:http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("transport", ["child", "http"])
def test_calls_and_errors(connect: Connect, file: Path, url: str, transport: str) -> None:
    target = url if transport == "http" else f"jsonrpc+line:exec:{sys.executable} {file}"
    with connect(target, connect_timeout=60) as client:
        assert client.call("add", {"a": 1, "b": 2}) == 3
        assert client.call("add", [1, 2]) == 3
        assert client.call("text/repeat", {"text": "ü" * 100_000}) == "ü" * 200_000
        with pytest.raises(CallError) as caught:
            client.call("fail")
        assert (caught.value.code, caught.value.message, caught.value.data) == (7, "no such luck", {"luck": 0})
        with pytest.raises(CallError) as caught:
            client.call("nope")
        assert caught.value.code == -32601


def test_lines_of_the_shell(file: Path) -> None:
    lines = ["add a=1 b=2", "x = add [3, 4]", "add [$x, 1] | cat", "text/repeat text=ab times=3"]
    words = [word for line in lines for word in ("-c", line)]
    command = [sys.executable, "-m", "rpcshell", "jsonrpc+line", *words, "--", sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, '3\n8\n"ababab"\n')
