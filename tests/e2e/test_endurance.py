"""What a server has to bear for long: workers that are killed under load, and hostile frames.

A short form runs every time; `pytest -m soak tests/e2e/test_endurance.py` kills 200 workers and sends a million frames.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell import ConnectionLost, connect
from rpcwire import FrameDecoder, encode_request, frame
from tests.models import of_each_kind
from tests.rpcserver.steering import Steering, steering
from tests.servers import PATIENCE, Server, running

pytestmark = pytest.mark.thorough

WORKERS = 4
CLIENTS = 3


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def resident(pid: int) -> int:
    """Resident memory in pages; statm(5)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


@contextlib.contextmanager
def load(address: str) -> Iterator[list[ConnectionLost]]:
    """Clients in closed loops; what is yielded collects the calls that were lost."""
    lost: list[ConnectionLost] = []
    failures: list[BaseException] = []
    enough = threading.Event()

    def loop() -> None:
        try:
            with connect(address, timeout=PATIENCE) as client:
                while not enough.is_set():
                    try:
                        assert client.call("echo", {"n": 1}) == {"n": 1}
                    except ConnectionLost as error:
                        lost.append(error)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=loop) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        enough.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert failures == []


def all_ready(steer: Steering, without: int) -> list[int]:
    """Wait until every worker is ready and one of them gone, and give their pids."""
    status = steer.wait_until(
        lambda status: (
            len(status["workers"]) == WORKERS
            and all(worker["state"] == "ready" and worker["pid"] != without for worker in status["workers"])
        )
    )
    return [worker["pid"] for worker in status["workers"]]


@of_each_kind
@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_killed_workers_cost_the_calls_in_their_hands_and_nothing_else(model: str, kills: int, tmp_path: Path) -> None:
    with (
        running("-w", str(WORKERS), "--model", model, "--log-level", "error", folder=tmp_path) as server,
        steering(server) as steer,
    ):
        chance = random.Random(kills)
        all_ready(steer, 0)
        opened, memory = descriptors(server), resident(server.pid)
        with load(server.addresses[0]) as lost:
            for _ in range(kills):
                before = len(lost)
                victim = chance.choice(all_ready(steer, 0))
                os.kill(victim, signal.SIGKILL)
                all_ready(steer, victim)
                # In the hands of one worker are at most the calls of all clients.
                assert len(lost) - before <= CLIENTS
        assert descriptors(server) <= opened + 1
        assert resident(server.pid) <= memory * 1.5
        assert len(server.workers()) == WORKERS


def hostile_frames(chance: random.Random, count: int) -> Iterator[bytes]:
    """Frames whose length is right and whose content is not, mostly."""
    good = encode_request("echo", {"a": [1, "x", None]}, id="7")
    for _ in range(count):
        kind = chance.randrange(6)
        if kind == 0:
            body = chance.randbytes(chance.randint(1, 80))
        elif kind == 1:
            place = chance.randrange(len(good))
            body = good[:place] + chance.randbytes(1) + good[place + 1 :]
        elif kind == 2:
            body = good[: chance.randint(1, len(good))]
        elif kind == 3:
            body = b'{"in":"echo","params":' + b"[" * chance.randint(1, 3000)
        elif kind == 4:
            body = b'{"in":"\\ud800","params":' + str(10 ** chance.randint(0, 400)).encode() + b"}"
        else:
            body = encode_request("no." + chance.randbytes(6).hex(), {"x": chance.random()})
        yield frame(body)


def exchange(server: Server, frames: list[bytes]) -> None:
    """Send a batch at once and take a reply to each frame of it."""
    with server.connect() as client:
        sender = threading.Thread(target=client.socket.sendall, args=(b"".join(frames),))
        sender.start()
        decoder = FrameDecoder(1 << 30)
        replies = 0
        while replies < len(frames):
            data = client.socket.recv(1 << 16)
            assert data, "the server closed the connection over a frame of the right length"
            decoder.feed(data)
            while decoder.next_frame() is not None:
                replies += 1
        sender.join(PATIENCE)


@of_each_kind
@pytest.mark.parametrize("count", [3_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_hostile_frames_kill_no_worker_and_fill_no_memory(model: str, count: int, tmp_path: Path) -> None:
    chance = random.Random(count)
    batch = 500
    with (
        running("-w", "2", "--model", model, "--log-level", "error", folder=tmp_path) as server,
        steering(server) as steer,
    ):
        before = {worker["pid"]: 0 for worker in steer.workers()}
        for number in range(count // batch):
            exchange(server, list(hostile_frames(chance, batch)))
            if number == 3:
                # What is allocated once has been by now.
                before = {pid: resident(pid) for pid in before}
            # A stream that is out of step altogether.
            with server.connect() as raw:
                raw.socket.sendall(chance.randbytes(chance.randint(1, 64)))
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert {worker["pid"] for worker in steer.workers()} == before.keys()
        for pid, memory in before.items():
            assert resident(pid) <= memory * 1.25 + 512
