"""Throughput and CPU a call of the server, against a prefork server in C that parses nothing.

    python -m tests.bench.throughput [--rounds 3] [--seconds 3] [--models sync]

Every round runs the limit and each model in turn, in the same minute, because on a shared machine only their
ratio means anything. The table shows the medians, of the ratios too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BODY = b'{"in":"ping","params":{"a":1}}'
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator is asked for; `split`: prefix and body in two writes, Nagle's algorithm on."""

    name: str
    connections: int
    pipeline: int = 1
    split: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: calls a second; median and 99th percentile latency and server CPU a call in microseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float


def build(folder: Path) -> None:
    for program in ("loadgen", "limit_server"):
        subprocess.run(["gcc", "-O2", "-o", str(folder / program), str(HERE / f"{program}.c")], check=True)
    (folder / "request").write_bytes(struct.pack("<I", len(BODY)) + BODY)


def session_ticks(session: int) -> int:
    """User and system time so far of every process in a session (proc(5): fields 14 and 15 of stat)."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total


@contextmanager
def limit_server(folder: Path, workers: int) -> Iterator[tuple[int, int]]:
    """Start the limit and give its session and port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([folder / "limit_server", str(port), str(workers)], start_new_session=True)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                os.sched_yield()
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def rpcserver(model: str, workers: int) -> Iterator[tuple[int, int]]:
    """Start the server and give its session and port."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "rpcserver", "--bind", "127.0.0.1:0", "--model", model]
    command += ["--workers", str(workers), "--link-fd", str(theirs.fileno())]
    process = subprocess.Popen(command, start_new_session=True, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        ready = json.loads(ours.makefile().readline())
        yield process.pid, int(ready["addresses"][0].rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        ours.close()


def measure(folder: Path, session: int, port: int, load: Load, seconds: float) -> Figures:
    arguments = [
        port,
        load.connections,
        10_000_000,
        seconds,
        folder / "request",
        load.pipeline,
        int(load.split),
    ]
    before = session_ticks(session)
    run = subprocess.run([folder / "loadgen", *map(str, arguments)], check=True, capture_output=True, text=True)
    spent = (session_ticks(session) - before) / TICKS_PER_SECOND
    figures = json.loads(run.stdout)
    return Figures(figures["rate"], figures["p50"], figures["p99"], spent * 1e6 / figures["done"])


def median(runs: list[Figures]) -> Figures:
    columns = zip(*((run.rate, run.p50, run.p99, run.cpu) for run in runs), strict=True)
    return Figures(*(statistics.median(column) for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--models", default="sync", help="comma-separated")
    options = parser.parse_args()
    loads = [
        Load(f"{options.connections} connections", options.connections),
        Load("1 connection", 1),
        Load("1 connection, prefix and body in two writes", 1, split=True),
        Load(f"{options.connections} connections, 16 in flight", options.connections, pipeline=16),
    ]
    names = ["C limit", *options.models.split(",")]
    runs: dict[tuple[str, Load], list[Figures]] = {(name, load): [] for name in names for load in loads}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        for _ in range(options.rounds):
            for load in loads:
                for name in names:
                    started = (
                        limit_server(folder, options.workers) if name == "C limit" else rpcserver(name, options.workers)
                    )
                    with started as (session, port):
                        runs[name, load].append(measure(folder, session, port, load, options.seconds))
    print(f"{options.workers} workers, {options.rounds} rounds of {options.seconds:g} s, medians\n")
    print("| load | server | calls/s | of the limit | CPU a call | of the limit | p50 | p99 |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for load in loads:
        limit = median(runs["C limit", load])
        for name in names:
            seen = median(runs[name, load])
            pairs = list(zip(runs[name, load], runs["C limit", load], strict=True))
            rate = statistics.median(run.rate / base.rate for run, base in pairs)
            cpu = statistics.median(run.cpu / base.cpu for run, base in pairs) if limit.cpu else 0
            print(
                f"| {load.name} | {name} | {seen.rate:,.0f} | {rate:.2f} | {seen.cpu:.1f} µs | {cpu:.2f} "
                f"| {seen.p50:.0f} µs | {seen.p99:.0f} µs |"
            )


if __name__ == "__main__":
    main()
