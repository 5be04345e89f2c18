"""How a worker ends, in every model: with its arbiter, and with all that an interpreter does as it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rpcserver.workers import MODELS
from tests.servers import PATIENCE, all_gone, running, watched

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


@pytest.mark.parametrize("model", MODELS)
def test_workers_that_have_changed_their_user_die_with_the_arbiter(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "2", app=SETUID, folder=tmp_path) as server, server.connect() as client:
        parent = client.call("parent").result
        workers = server.workers()
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text() if model == "fork" else ""
        assert parent == server.pid or (parent in workers and children)
        with watched([*workers, *map(int, children.split())]) as processes:
            server.signal(signal.SIGKILL)
            assert all_gone(processes, PATIENCE)
