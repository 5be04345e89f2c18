"""What thousands of idle connections cost: memory each, and the rate of 8 callers beside them.

    python -m tests.bench.idle [--connections 10000] [--models pool,thread,async] [--seconds 2]

Each connection has made one call and is silent since. Memory is the proportional set size of the workers, which leaves
out what the kernel keeps for a socket. The callers run before the connections are there and beside them.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.contestants import LIMIT, rpcserver
from tests.bench.memory import memory_of
from tests.bench.throughput import build, session_ticks

CALLERS = 8
SPARE = 200
"""Descriptors that a process needs beside its connections."""

PATIENCE = 60.0


def most_connections(wanted: int) -> int:
    """Raise the limit of descriptors as far as it goes, and say how many connections it allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(hard, wanted + SPARE) if hard != resource.RLIM_INFINITY else wanted + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft - SPARE)


def workers_of(arbiter: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()]


def memory(pids: Sequence[int]) -> int:
    """The workers' proportional set size, in bytes."""
    return 1024 * sum(memory_of(pid).proportional for pid in pids)


def threads(pids: Sequence[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)


def speak(connection: socket.socket) -> None:
    connection.sendall(LIMIT.request)
    if not connection.recv(4096):
        raise SystemExit("the server closed a connection")


def load(folder: Path, session: int, port: int, seconds: float) -> tuple[float, float]:
    """Calls a second of the callers, and the server's CPU time a call in microseconds."""
    arguments = map(str, (port, CALLERS, 10_000_000, seconds, folder / "request"))
    before = sum(session_ticks(session))
    run = subprocess.run([folder / "loadgen", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(run.stdout)
    return figures["rate"], (sum(session_ticks(session)) - before) * 1e4 / figures["done"]


def row(folder: Path, model: str, count: int, workers: int, seconds: float) -> str:
    words = ("--max-connections", str(count + SPARE), "--idle-timeout", "0")
    with rpcserver(model, workers, *words) as (session, port), ExitStack() as stack:
        pids = workers_of(session)
        alone = load(folder, session, port, seconds)
        empty = memory(pids)
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)]
        for connection in idle:
            speak(connection)
        # What is silent for a second is parked where the model does so.
        time.sleep(3)
        each = (memory(pids) - empty) / count
        running = threads(pids)
        beside = load(folder, session, port, seconds)
        for connection in idle:
            speak(connection)
    ratio = beside[0] / alone[0]
    return (
        f"| {model} | {each / 1024:.2f} KiB | {running} | {alone[0]:,.0f} | {beside[0]:,.0f} | {ratio:.2f} "
        f"| {alone[1]:.1f} → {beside[1]:.1f} µs |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", default="pool,thread,async", help="comma-separated")
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    count = most_connections(options.connections)
    if count < options.connections:
        print(f"the limit of descriptors (ulimit -n) allows {count:,} connections\n")
    print(f"{count:,} idle connections, {CALLERS} callers, {options.workers} workers\n")
    print("| model | memory each | threads | calls/s without | with | ratio | CPU a call |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        (folder / "request").write_bytes(LIMIT.request)
        for model in options.models.split(","):
            print(row(folder, model, count, options.workers, options.seconds), flush=True)


if __name__ == "__main__":
    main()
