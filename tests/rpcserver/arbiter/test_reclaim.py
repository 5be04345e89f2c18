"""More connections than sync workers: idle ones make room for those that wait, and the log says so."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from rpcserver.arbiter.housekeeping import Reclaim
from rpcserver.system.settings import ServerSettings
from rpcwire import Goodbye, Reply
from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, running


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_every_client_is_served_though_others_hold_the_workers_idly(tmp_path: Path, kind: str) -> None:
    bind = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/probe.sock"
    with running("-w", "2", "--reclaim-idle", "0.2", folder=tmp_path, bind=(bind,)) as server:
        clients = {client.socket: client for client in [server.connect() for _ in range(6)]}
        for client in clients.values():
            client.send("pid", close=True)
        served = goodbyes = 0
        while goodbyes < 4 or served < 6:
            readable, _, _ = select.select(list(clients), [], [], PATIENCE)
            assert readable, server.log()
            for connection in readable:
                received = clients[connection].receive()
                if isinstance(received, Goodbye):
                    goodbyes += 1
                    clients.pop(connection).close()
                else:
                    assert isinstance(received, Reply)
                    served += 1
        for client in clients.values():
            client.close()


def test_an_idle_connection_keeps_its_worker_while_nobody_waits(tmp_path: Path) -> None:
    with (
        running("-w", "1", "--reclaim-idle", "0.2", folder=tmp_path) as server,
        server.connect() as client,
        steering(server) as arbiter,
    ):
        assert client.call("echo", 1, close=True).result == 1
        uptime = arbiter.status()["uptime"]
        arbiter.wait_until(lambda status: status["uptime"] > uptime + 1)
        assert client.call("echo", 2).result == 2


def test_a_busy_worker_is_not_asked_to_let_go(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "1", "--reclaim-idle", "0.2", folder=tmp_path) as server, server.connect() as client:
        gate.hold(client, close=True)
        with server.connect() as waiting:
            waiting.send("echo", 1)
            log = server.wait_for_log("1 client waits, since connections hold the only worker")
            assert "more --workers, --model thread or a shorter --reclaim-idle (0.2 s) would help" in log
            gate.release(client)
            assert isinstance(client.receive(), Goodbye)
            client.close()
            assert waiting.reply().result == 1
        assert server.log().count("client waits") == 1


def test_reclaiming_can_be_switched_off(tmp_path: Path) -> None:
    # A shorter --timeout makes the arbiter look more often.
    options = ("-w", "1", "--reclaim-idle", "0", "--timeout", "1")
    with running(*options, folder=tmp_path) as server, server.connect() as client:
        assert client.call("echo", 1, close=True).result == 1
        with server.connect() as waiting:
            waiting.send("echo", 2)
            assert "--reclaim-idle (never)" in server.wait_for_log("1 client waits")
            assert client.call("echo", 3).result == 3
            client.close()
            assert waiting.reply().result == 2


@pytest.mark.parametrize(("idle", "period"), [(5.0, 1.0), (0.4, 0.2), (0.001, 0.05), (0.0, 1.0)])
def test_the_shorter_the_idle_time_the_more_often_it_is_looked_at(idle: float, period: float) -> None:
    assert Reclaim(ServerSettings(reclaim_idle=idle)).period == period
