"""How a worker ends, in every model: with its arbiter, and with all that an interpreter does as it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.models import of_each_kind
from tests.servers import PATIENCE, all_gone, children_of, running, watched

# A change of user has the kernel forget PR_SET_PDEATHSIG; only root can make one, and anybody can forget it.
SETUID = """
import ctypes
import os
from rpcserver import Service

def become_nobody() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)

become_nobody()
service = Service("nobody")
service.on_worker_start(become_nobody)

@service.method
def parent() -> int:
    return os.getppid()
"""


@pytest.mark.samples(1)
@of_each_kind
def test_workers_that_have_changed_their_user_die_with_the_arbiter(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "2", app=SETUID, folder=tmp_path) as server, server.connect() as client:
        parent = client.call("parent").result
        workers = server.workers()
        children = children_of(parent) if model == "fork" else []
        assert parent == server.pid or (parent in workers and children)
        with watched([*workers, *children]) as processes:
            server.signal(signal.SIGKILL)
            assert all_gone(processes, PATIENCE)


EXITING = """
import atexit
import logging.handlers
import os
import pathlib
import tempfile
from rpcserver import Service

service = Service("shop")
here = pathlib.Path(__file__).parent
audit = open(here / "audit", "a")
audit.write("opened\\n")
folder = tempfile.TemporaryDirectory(dir=here)
memory = logging.handlers.MemoryHandler(1000, target=logging.FileHandler(here / "sales.log"))
log = logging.getLogger("shop")
log.setLevel("INFO")
log.propagate = False
log.addHandler(memory)

def note() -> None:
    with open(here / "notes", "a") as file:
        file.write(f"{os.getpid()}\\n")

def fail() -> None:
    raise ValueError("not flushed")

atexit.register(note)
atexit.register(fail)

@service.method
def sell(name: str) -> str:
    audit.write(f"sold {name}\\n")
    log.info("sold %s", name)
    return folder.name
"""


@pytest.mark.samples(1)
@of_each_kind
def test_a_graceful_end_runs_exit_functions_and_flushes(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", app=EXITING, folder=tmp_path) as server:
        workers = server.workers()
        with server.connect() as client:
            folder = client.call("sell", ["tea"]).result
        with server.connect() as client:
            assert client.call("sell", ["milk"]).result == folder
        assert Path(folder).is_dir()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert sorted((tmp_path / "audit").read_text().splitlines()) == ["opened", "sold milk", "sold tea"]
    assert sorted((tmp_path / "sales.log").read_text().splitlines()) == ["sold milk", "sold tea"]
    assert [int(pid) for pid in (tmp_path / "notes").read_text().split()] == workers
    assert not Path(folder).exists()


def test_what_never_ends_at_exit_is_ended_with_the_drain(tmp_path: Path) -> None:
    app = "import atexit, time\natexit.register(time.sleep, 3600)\n" + EXITING
    with running("-w", "1", "--drain-timeout", "1", app=app, folder=tmp_path) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "did not stop in time" in server.log()


FLUSHING = """
import io
import pathlib
import time
from rpcserver import Service

service = Service("audited")
flushing = pathlib.Path(__file__).with_name("flushing")

class Audit(io.RawIOBase):
    def flush(self) -> None:
        if flushing.exists():
            with flushing.open("wb"):
                flushing.unlink()
            while True:
                time.sleep(0.01)

audit = Audit()
"""


def test_a_quick_stop_reaches_a_worker_that_flushes_files(tmp_path: Path) -> None:
    with running("-w", "1", app=FLUSHING, folder=tmp_path) as server:
        os.mkfifo(tmp_path / "flushing")
        os.kill(server.workers()[0], signal.SIGKILL)
        (tmp_path / "flushing").read_bytes()
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert "did not stop in time" not in server.log()
