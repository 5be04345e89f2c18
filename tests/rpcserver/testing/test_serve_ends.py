"""How a server ends that a test's process has started: with that process, and not with the thread that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.servers import PATIENCE, all_gone, watched

ORPHAN = """
import sys
from rpcserver.testing import serve
with serve({"ping": lambda params: params}, workers=2) as server:
    assert server.call("ping", 1) == 1
    print(server.pid, *server.workers, flush=True)
    sys.stdin.read()
"""


def test_the_server_ends_with_the_tests_process_however_that_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        with watched(pids) as processes:
            process.kill()
            assert all_gone(processes, PATIENCE)


THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from rpcserver.testing import serve
services = [serve({"ping": lambda params: params}, workers=1) for _ in range(2)]
with ThreadPoolExecutor(2) as threads:
    servers = list(threads.map(lambda service: service.__enter__(), services))
for server in servers:
    assert server.call("ping", 1) == 1
    print(server.pid, *server.workers, flush=True)
sys.stdin.read()
for service in services:
    service.__exit__(None, None, None)
print("left", flush=True)
"""


@pytest.mark.samples(1)
@pytest.mark.parametrize("killed", [False, True], ids=["left", "killed"])
def test_a_server_outlives_the_thread_that_started_it_and_not_the_process(killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pids = [int(pid) for _ in range(2) for pid in process.stdout.readline().split()]
        assert len(pids) == 4
        with watched(pids) as processes:
            if killed:
                process.kill()
            else:
                process.stdin.close()
                assert process.stdout.readline() == b"left\n"
            assert all_gone(processes, PATIENCE)
