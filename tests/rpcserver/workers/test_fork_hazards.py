"""What does not survive a fork is found after the import of a preloaded app, and named with what to do."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from rpcserver.workers import fork_hazards
from tests.servers import PROBE_APP, running

HAZARDOUS_APP = f"""{PROBE_APP}
import asyncio, pathlib, sqlite3, threading
threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
LISTENING = socket.create_server(("127.0.0.1", 0))
CONNECTION = socket.create_connection(LISTENING.getsockname())
DATABASE = sqlite3.connect(pathlib.Path(__file__).with_name("app.db"))
DATABASE.execute("CREATE TABLE t (x)")
DATABASE.commit()
LOOP = asyncio.new_event_loop()
"""

OPENMP_APP = f"""{PROBE_APP}
import ctypes
GOMP = ctypes.CDLL("libgomp.so.1")
REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
GOMP.GOMP_parallel(REGION, None, 2, 0)
"""


def warnings_of(log: str) -> list[str]:
    return [line.partition("] ")[2] for line in log.splitlines() if " WARNING " in line]


def test_threads_sockets_databases_and_event_loops_are_named_with_a_cure(tmp_path: Path) -> None:
    with running("-w", "2", "--preload", folder=tmp_path, app=HAZARDOUS_APP) as server:
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        said = warnings_of(server.log())
    assert [line.partition(", ")[0] for line in said] == [
        "the app has started a thread (poller)",
        "the app has made an event loop",
        said[2].partition(", ")[0],
        f"the app has opened the SQLite database {tmp_path / 'app.db'}",
    ]
    assert "a socket that listens at 127.0.0.1:" in said[2]
    assert "a connection to 127.0.0.1:" in said[2]
    assert all(line.endswith("@service.on_worker_start, which runs in each worker") for line in said)


@pytest.mark.thorough
def test_openmp_that_has_started_is_named(tmp_path: Path) -> None:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("there is no libgomp here")
    with running("-w", "1", "--preload", folder=tmp_path, app=OPENMP_APP) as server:
        [said] = warnings_of(server.log())
    assert said.startswith("the app has started OpenMP (libgomp.so.1")
    assert said.endswith("or set OMP_NUM_THREADS=1")


def test_a_gpu_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_hazards, "_GPUS", ("/dev/zero",))
    monkeypatch.setattr(fork_hazards, "_other_threads", list)
    before = fork_hazards.open_descriptors()
    descriptor = os.open("/dev/zero", os.O_RDONLY)
    try:
        said = list(fork_hazards.fork_hazards(before, os.fork))
    finally:
        os.close(descriptor)
    assert any(line.startswith("the app has initialised a GPU (/dev/zero)") for line in said)


def test_servers_and_unix_sockets_are_called_by_their_names() -> None:
    assert fork_hazards._address(("10.0.0.5", 5432)) == "10.0.0.5:5432 (PostgreSQL)"
    assert fork_hazards._address(("fd00::5", 8080, 0, 0)) == "[fd00::5]:8080"
    assert fork_hazards._address("/run/redis.sock") == "unix:/run/redis.sock"
    assert fork_hazards._address(b"\0hidden") == "unix:@hidden"
