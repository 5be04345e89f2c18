"""Servers behind HAProxy, by the configuration of the guide: who is served where, and what a restart loses."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rpcwire import Goodbye, Reply
from rpcwire.worker_models import MODELS
from tests.rpcserver.arbiter.test_health import asked_at
from tests.rpcserver.steering import steering
from tests.rpcserver.workers.test_models import MODELS_APP
from tests.servers import PATIENCE, Client, Server, running

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIGURATION = (Path(__file__).parents[2] / "rpcshell/guides/deploy/haproxy.cfg").read_text()
CLIENTS = 6

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed: apt install haproxy"),
]


@dataclass
class Load:
    """What clients in closed loops have seen."""

    marks: Path
    replies: int = 0
    longest: float = 0.0
    lost: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, address: tuple[str, int]) -> None:
        """Call in a loop until it is over; a request without a reply before `close` was not run."""
        replies, longest = 0, 0.0
        began: float | None = None
        try:
            while not self.over.is_set():
                # A call that was turned away goes on, and its time too.
                began = began or time.monotonic()
                with Client(socket.create_connection(address, PATIENCE)) as client:
                    while not self.over.is_set():
                        began = began or time.monotonic()
                        client.send("count", [str(self.marks)], close=True)
                        received = client.receive()
                        if received is None or (isinstance(received, Reply) and received.fault is not None):
                            self.lost.append(f"{received}")
                            return
                        if isinstance(received, Reply):
                            replies, longest, began = replies + 1, max(longest, time.monotonic() - began), None
                        if isinstance(received, Goodbye) or received.close:
                            break
                        self.over.wait(0.005)
        except OSError as error:
            self.lost.append(f"{error}")
        finally:
            self.replies += replies
            self.longest = max(self.longest, longest)


@contextlib.contextmanager
def under_load(address: tuple[str, int], marks: Path) -> Iterator[Load]:
    load = Load(marks)
    threads = [threading.Thread(target=load.call, args=(address,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path, model: str, address: str, health: str, age: str) -> Iterator[Server]:
    """One of the servers, started as the guide says."""
    options = ("-m", model, "-w", str(CLIENTS if model == "sync" else 2), "--health", health)
    behind = ("--proxy-protocol", "127.0.0.1", "--drain-settle", "1", "--max-connection-age", age)
    folder.mkdir(exist_ok=True)
    with running(*options, *behind, app=MODELS_APP, folder=folder, bind=[address]) as server:
        yield server


@dataclass
class Place:
    """Where a server stands behind HAProxy, whichever process serves there."""

    folder: Path
    model: str
    age: str
    address: str
    health: str
    server: Server
    stack: contextlib.ExitStack

    @classmethod
    def at(cls, host: str, folder: Path, model: str, age: str) -> Place:
        stack = contextlib.ExitStack()
        server = stack.enter_context(serving(folder, model, f"{host}:0", f"{host}:0", age))
        return cls(folder, model, age, server.addresses[0], asked_at(server), server, stack)

    def close(self) -> None:
        self.stack.close()

    def restart(self) -> None:
        self.server.signal(signal.SIGTERM)
        assert self.server.wait() == 0, self.server.log()
        self.stack.close()
        self.stack = contextlib.ExitStack()
        started = serving(self.folder, self.model, self.address, self.health, self.age)
        self.server = self.stack.enter_context(started)

    def connections(self) -> int:
        with steering(self.server) as arbiter:
            return sum(worker["connections"] for worker in arbiter.workers())


@contextlib.contextmanager
def balancing(folder: Path, model: str, *, age: str = "1") -> Iterator[tuple[tuple[str, int], list[Place]]]:
    """HAProxy's address, and the servers behind it."""
    assert HAPROXY is not None
    with contextlib.ExitStack() as stack:
        places = []
        for number in (2, 3):
            places.append(Place.at(f"127.0.0.{number}", folder / f"server{number}", model, age))
            stack.callback(places[-1].close)
        front = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        (folder / "haproxy.cfg").write_text(configured(front.fileno(), places))
        haproxy = subprocess.Popen(
            [HAPROXY, "-db", "-f", folder / "haproxy.cfg"],
            pass_fds=[front.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=stack.enter_context((folder / "haproxy.log").open("wb")),
        )
        stack.callback(haproxy.wait)
        stack.callback(haproxy.kill)
        # The port is there before HAProxy is: whoever calls first would wait for its start.
        with Client(socket.create_connection(front.getsockname(), PATIENCE)) as client:
            client.call("whoami")
        yield front.getsockname(), places


def configured(front: int, places: list[Place]) -> str:
    """The configuration of the guide, with the addresses of the test."""
    text, changed = re.subn(r"(?m)^    bind .*$", f"    bind fd@{front}", CONFIGURATION)
    assert changed == 1
    for name, place in zip(("one", "two"), places, strict=True):
        port = place.health.rpartition(":")[2]
        line = f"    server {name} {place.address} port {port} agent-port {port}"
        text, changed = re.subn(rf"(?m)^    server {name} \S+ port \d+ agent-port \d+$", line, text)
        assert changed == 1
    return text


def test_a_handler_sees_the_client_and_not_haproxy(tmp_path: Path) -> None:
    with balancing(tmp_path, "async") as (front, _):
        for _ in range(2):
            with Client(socket.create_connection(front, PATIENCE)) as client:
                host, port = client.socket.getsockname()
                assert client.call("whoami").result["peer"] == f"{host}:{port}"


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=() if model == "async" else pytest.mark.soak) for model in MODELS]
)
def test_a_rolling_restart_loses_nothing_and_the_new_servers_get_their_share(model: str, tmp_path: Path) -> None:
    with balancing(tmp_path, model) as (front, places):
        with under_load(front, tmp_path / "marks") as load:
            for place in places:
                place.restart()
                # Connections come to it as they come of age at the other one.
                while place.connections() < CLIENTS // 3 and not load.lost:
                    load.over.wait(0.05)
        assert load.lost == []
        assert load.replies == (tmp_path / "marks").stat().st_size > 0
        print(f"{model}: {load.replies} calls, none lost, the longest took {load.longest * 1000:.0f} ms")
