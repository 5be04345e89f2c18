from __future__ import annotations

from pathlib import Path

import pytest

from rpcshell.client.opening import connect
from rpcshell.lab.bench.server_use import ServerMeter
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from tests.servers import needs_server

pytestmark = needs_server


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
