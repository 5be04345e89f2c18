"""The program this protocol comes from and this one, in both directions."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell import connect
from tests.chapter.client import rpc
from tests.servers import running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running("-w", "2", folder=tmp_path_factory.mktemp("server")) as server:
        yield int(server.addresses[0].rpartition(":")[2])


@pytest.fixture
def chapter_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of two processes, whose answers may take some seconds."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chapter.server", "2", str(getattr(request, "param", 0))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        assert server.stdin is not None
        server.stdin.close()
        server.wait(30)


def run_shell(tmp_path: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
        [sys.executable, "-m", "rpcshell", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )


def test_the_old_client_calls_the_new_server(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for number in range(50):
            assert rpc(sock, "echo", {"number": number}) == ("echo", {"number": number})


def test_the_old_client_can_read_an_error_of_the_new_server(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        out, result = rpc(sock, "no.such", None)
        assert out == "error"
        assert result["code"] == -32601
        assert rpc(sock, "echo", "still here") == ("echo", "still here")


def test_the_library_calls_the_old_server(chapter_port: int) -> None:
    with connect(f"127.0.0.1:{chapter_port}") as client:
        assert [client.call("ping", number) for number in range(20)] == list(range(20))


@pytest.mark.parametrize("chapter_port", [0, 1], indirect=True)
def test_the_shell_calls_the_old_server_and_probes_it_once(chapter_port: int, tmp_path: Path) -> None:
    target = f"127.0.0.1:{chapter_port}"
    # Two processes and four calls from two shells: were each shell to probe, or one to guess on at a process that takes
    # its time, none would be left for the last.
    for _ in range(2):
        done = run_shell(tmp_path, target, "-c", "ping a=1", "-c", 'ping {"b":[2]}')
        assert (done.stdout, done.returncode) == ('{"a":1}\n{"b":[2]}\n', 0), done.stderr


@pytest.mark.thorough
def test_the_plain_option_sends_no_probe(chapter_port: int, tmp_path: Path) -> None:
    target = f"127.0.0.1:{chapter_port}"
    for _ in range(4):
        done = run_shell(tmp_path, target, "--plain", "-c", "ping")
        assert (done.stdout, done.stderr, done.returncode) == ("null\n", "", 0)
