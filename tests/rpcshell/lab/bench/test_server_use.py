from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rpcshell.client.opening import connect
from rpcshell.lab.bench.server_use import ServerMeter, processes_under, processor_time, proportional_memory
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from tests.servers import needs_server

pytestmark = needs_server

_BURN = "import time\nwhile time.process_time() < 0.1: pass\n"
_FAMILY = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN!r}])
child = subprocess.Popen([sys.executable, "-c", {_BURN + "print(flush=True); input()"!r}], stdin=-1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
input()
child.communicate(b'\\n')
"""


def test_the_time_of_processes_that_came_and_went_is_not_missed() -> None:
    command = [sys.executable, "-c", _FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as family:
        assert family.stdout is not None
        child = int(family.stdout.readline())
        assert processes_under(family.pid) == [family.pid, child]
        assert 0.18 <= sum(map(processor_time, processes_under(family.pid))) < 1.5
        assert 1_000_000 < (proportional_memory(child) or 0) < 100_000_000
        family.communicate(b"\n")
    assert processor_time(child) == 0
    assert proportional_memory(child) == 0


def test_what_a_run_costs_a_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    server = SpawnedServer.start(SpawnOptions(workers=2, model="thread"))
    path = str(server.control)
    try:
        meter = ServerMeter(Control(path))
        with Control(path) as control, connect(server.addresses[0]) as client:
            for _ in range(2000):
                client.call("ping", 1)
            control.kill_worker(1)
            while control.status().totals.died == 0:
                meter.look()
        use = meter.finish()
        gone = ServerMeter(Control(path))
    finally:
        server.stop()
    assert use is not None
    assert (use.model, use.died, use.lost, use.waiting) == ("thread", 1, 0, 0)
    assert 0 < use.cpu < 5
    assert use.memory is not None
    assert 10_000_000 < use.memory < 200_000_000
    assert gone.finish() is None
    assert ServerMeter(Control(path)).finish() is None


def test_a_process_that_has_ended_while_it_was_looked_for_has_no_children() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processes_under(ended.pid) == [ended.pid]
