"""Throughput as the number of connections grows: each model at its best number of workers, and others beside.

    python -m tests.bench.scale [--connections 8,64,200,1000] [--rounds 3] [--seconds 2]
        [--servers sync,thread,pool,async,thrift,uvicorn,gunicorn,granian]

Every round runs the limit in C and each server in turn, in the same minute; the figures are medians, of the ratios too.
The limit has a process a connection, as `sync` and Thrift have a worker, up to 200: with more connections it serves so
many of them, and those two are left out. Servers that are not installed are left out too, which is said.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.bench.contestants import LIMIT, OTHERS, Contestant, contestant
from tests.bench.throughput import Figures, Load, build, measure, median

ONE_EACH = frozenset({LIMIT.name, "sync", OTHERS["thrift"].name})
"""Servers that need a process for each connection."""

MOST_PROCESSES = 200
PROCESSORS = len(os.sched_getaffinity(0))


def workers_for(entrant: Contestant, connections: int) -> int | None:
    """The best number of workers; None where the server cannot have so many connections."""
    if entrant.name not in ONE_EACH:
        return PROCESSORS
    if entrant is LIMIT:
        return min(connections, MOST_PROCESSES)
    return connections if connections <= MOST_PROCESSES else None


def present(names: list[str]) -> list[Contestant]:
    """The contestants that can be started; of the others it is said why they cannot."""
    found = []
    for name in names:
        module = OTHERS[name].module if name in OTHERS else None
        if module is not None and importlib.util.find_spec(module) is None:
            print(f"{OTHERS[name].name} is left out: {module} is not installed (pip install {module})")
        else:
            found.append(contestant(name))
    return found


def cell(runs: list[Figures], limits: list[Figures]) -> str:
    seen = median(runs)
    ratios = [run.rate / limit.rate for run, limit in zip(runs, limits, strict=False)]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
    return f"{seen.rate / 1000:.1f} k, {ratio}, {seen.cpu:.1f} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", default="8,64,200,1000", help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--servers", default="sync,thread,pool,async,thrift,uvicorn,gunicorn,granian")
    options = parser.parse_args()
    counts = [int(count) for count in options.connections.split(",")]
    entrants = [LIMIT, *present(options.servers.split(","))]
    runs: dict[tuple[int, Contestant], list[Figures]] = {
        (count, entrant): [] for count in counts for entrant in entrants
    }
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        for _ in range(options.rounds):
            for (count, entrant), taken in runs.items():
                workers = workers_for(entrant, count)
                if workers is None:
                    continue
                load = Load(f"{count} connections", count)
                try:
                    taken.append(measure(entrant, folder, workers, load, options.seconds))
                except subprocess.CalledProcessError as error:
                    problems.append(f"{entrant.name} with {count} connections: the load ended with {error.returncode}")
    print(f"\n{PROCESSORS} processors, {options.rounds} rounds of {options.seconds:g} s")
    print("calls/s, of the limit, CPU a call\n")
    print(f"| server | workers | {' | '.join(f'{count} connections' for count in counts)} |")
    print("|---|---|" + "--:|" * len(counts))
    for entrant in entrants:
        each = "one a connection" if entrant.name in ONE_EACH else str(PROCESSORS)
        cells = [cell(runs[count, entrant], runs[count, LIMIT]) if runs[count, entrant] else "-" for count in counts]
        print(f"| {entrant.name} | {each} | {' | '.join(cells)} |")
    print("\n".join(["", *problems]))


if __name__ == "__main__":
    main()
