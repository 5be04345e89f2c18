"""Throughput and CPU a call of the server, against a prefork server in C that parses nothing.

    python -m tests.bench.throughput [--rounds 3] [--seconds 3] [--servers sync,thread,thrift,gunicorn,uvicorn]

A server is one of our models, one of the others named above (pip install thrift gunicorn uvicorn httptools granian), or
one of the bare stages `echo`, `messages` and `counted`, which show where the time of a call goes.
Every round runs the limit and each server in turn, in the same minute, because on a shared machine only their
ratio means anything. The table shows the medians, of the ratios too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import LIMIT, Contestant, contestant, started

HERE = Path(__file__).parent
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
    """One run: calls a second; median and 99th percentile latency and the server's CPU time a call in microseconds."""

    rate: float
    p50: float
    p99: float
    user: float
    system: float

    @property
    def cpu(self) -> float:
        return self.user + self.system


def build(folder: Path) -> None:
    for program in ("loadgen", "limit_server"):
        subprocess.run(["gcc", "-O2", "-o", str(folder / program), str(HERE / f"{program}.c")], check=True)


def session_ticks(session: int) -> tuple[int, int]:
    """User and system time so far of every process in a session and of its children that have ended.

    The times are the fields 14 and 15 of stat in proc(5), those of children that were waited for 16 and 17.
    """
    user = system = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                user += int(fields[11]) + int(fields[13])
                system += int(fields[12]) + int(fields[14])
        except OSError:
            continue
    return user, system


def measure(entrant: Contestant, folder: Path, workers: int, load: Load, seconds: float) -> Figures:
    request = folder / "request"
    request.write_bytes(entrant.request)
    with started(entrant, folder, workers) as (session, port):
        arguments = [port, load.connections, 10_000_000, seconds, request, load.pipeline, int(load.split)]
        command = [str(folder / "loadgen"), *map(str, arguments), entrant.replies]
        before = session_ticks(session)
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        after = session_ticks(session)
    figures = json.loads(run.stdout)
    a_tick = 1e6 / TICKS_PER_SECOND / figures["done"]
    user, system = ((late - early) * a_tick for early, late in zip(before, after, strict=True))
    return Figures(figures["rate"], figures["p50"], figures["p99"], user, system)


def median(runs: list[Figures]) -> Figures:
    columns = zip(*((run.rate, run.p50, run.p99, run.user, run.system) for run in runs), strict=True)
    return Figures(*(statistics.median(column) for column in columns))


def row(load: Load, entrant: Contestant, runs: list[Figures], limits: list[Figures]) -> str:
    seen = median(runs)
    pairs = list(zip(runs, limits, strict=True))
    rate = statistics.median(run.rate / limit.rate for run, limit in pairs)
    # A limit that waits for acknowledgements uses less time than the kernel counts in.
    cpu = statistics.median(run.cpu / limit.cpu if limit.cpu else 0 for run, limit in pairs)
    share = f"{cpu:.2f}" if cpu else ""
    return (
        f"| {load.name} | {entrant.name} | {seen.rate:,.0f} | {rate:.2f} "
        f"| {seen.user:.1f} + {seen.system:.1f} µs | {share} | {seen.p50:.0f} µs | {seen.p99:.0f} µs |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--servers", default="sync", help="comma-separated")
    parser.add_argument("--loads", default="many,one,split,pipeline", help="comma-separated")
    options = parser.parse_args()
    loads = {
        "many": Load(f"{options.connections} connections", options.connections),
        "one": Load("1 connection", 1),
        "split": Load("1 connection, prefix and body in two writes", 1, split=True),
        "pipeline": Load(f"{options.connections} connections, 16 in flight", options.connections, pipeline=16),
    }
    chosen = [loads[name] for name in options.loads.split(",")]
    entrants = [LIMIT, *map(contestant, options.servers.split(","))]
    runs: dict[tuple[Load, Contestant], list[Figures]] = {
        (load, entrant): [] for load in chosen for entrant in entrants
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        for _ in range(options.rounds):
            for (load, entrant), taken in runs.items():
                taken.append(measure(entrant, folder, options.workers, load, options.seconds))
    print(f"{options.workers} workers, {options.rounds} rounds of {options.seconds:g} s, medians\n")
    print("| load | server | calls/s | of the limit | CPU a call (user + system) | of the limit | p50 | p99 |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for (load, entrant), taken in runs.items():
        print(row(load, entrant, taken, runs[load, entrants[0]]))


if __name__ == "__main__":
    main()
