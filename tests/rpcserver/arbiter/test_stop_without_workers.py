"""A graceful stop while no worker is ready: who waits is served by one that starts, as long as there is time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import of_each_kind, preloaded_too
from tests.servers import PROBE_APP, Client, Server, launched, until

WAITING = f"""
import pathlib
gate = pathlib.Path(__file__).with_name("gate")
if gate.exists() and gate.read_text() == "broken":
    raise ValueError("it was broken meanwhile")
{PROBE_APP}
"""


@contextlib.contextmanager
def started(*options: str, folder: Path) -> Iterator[Server]:
    """A server whose app reads a FIFO while it is imported, where there is one."""
    (folder / "app.py").write_text(WAITING)
    options = ("-w", "1", "--drain-timeout", "60", "--drain-grace", "0.1", "--bind", "127.0.0.1:0", *options)
    with launched(*options, "app.py", cwd=folder) as server:
        yield server


@of_each_kind
def test_who_waits_while_all_workers_are_killed_is_served_by_the_next(model: str, tmp_path: Path) -> None:
    with started("-m", model, folder=tmp_path) as server:
        server.wait_until_ready()
        os.mkfifo(tmp_path / "gate")
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for_log("was killed by SIGKILL")
        with server.connect() as client:
            client.send("echo", "in time")
            server.signal(signal.SIGTERM)
            server.wait_for_log("connections (1) wait for one, 30 s")
            with pytest.raises((ConnectionError, TimeoutError)):
                server.connect(patience=0.2)
            (tmp_path / "gate").write_text("whole")
            assert client.reply().result == "in time"
        assert server.wait() == 0
        assert "not served" not in server.log()


@preloaded_too
@pytest.mark.parametrize("app", ["whole", "broken"])
def test_who_waits_while_a_server_starts_is_served_before_it_stops(
    app: str, preload: tuple[str, ...], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    address = str(tmp_path / "socket")
    with started(*preload, "--bind", f"unix:{address}", folder=tmp_path) as server:
        with socket.socket(socket.AF_UNIX) as early, (tmp_path / "gate").open("w") as gate:
            client = Client(early)
            until(lambda: early.connect_ex(address) == 0)
            client.send("echo", "early")
            server.signal(signal.SIGTERM)
            server.wait_for_log("connections (1) wait for one")
            gate.write(app)
            gate.close()
            if app == "whole":
                assert client.reply().result == "early"
            else:
                with pytest.raises(ConnectionError):
                    client.receive()
        assert server.wait() == 0
        assert ("not served" in server.log()) == (app == "broken")
