"""Memory of idle servers with one worker and with ten: what workers share, and what each has for itself.

    python -m tests.bench.memory [--model sync] [--workers 10]

The proportional set size (PSS) of a process is its own pages, and its share of those that it has in common with others:
proc_pid_smaps(5). Its own are the private ones that were written to; where they are is said by kind of memory. Once
with the demo, once with an app of one function, which is the least that a user's can be.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import rpcserver

KINDS = ("objects", "malloc", "libraries' data")
APP = """
from rpcserver import Service

service = Service("small")

@service.method
def ping(params):
    return params
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """A process's memory in KiB: its proportional set size, and its private pages by kind."""

    proportional: int
    private: Counter[str]


def memory_of(pid: int) -> Memory:
    """Read what a process has mapped."""
    proportional, kind, private = 0, "", Counter[str]()
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if mapping := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)", line):
            kind = kind_of(mapping[1])
        name, _, value = line.partition(":")
        if name == "Pss":
            proportional += int(value.split()[0])
        elif name == "Private_Dirty":
            private[kind] += int(value.split()[0])
    return Memory(proportional, private)


def kind_of(path: str) -> str:
    if path == "[heap]":
        return "malloc"
    if not path:
        return "objects"
    return "stack" if path == "[stack]" else "libraries' data"


def measured(workers: int, model: str, app: list[str]) -> tuple[Memory, list[Memory]]:
    """Start a server, and give the memory of its arbiter and of each worker when all are ready."""
    with rpcserver(model, workers, *app) as (arbiter, _):
        children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
        return memory_of(arbiter), [memory_of(int(pid)) for pid in children]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="sync")
    parser.add_argument("--workers", type=int, default=10)
    options = parser.parse_args()
    print(
        "| app | workers | all workers, PSS | with the arbiter | private of one worker | of it objects, malloc, data |"
    )
    print("|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "small.py")
        file.write_text(APP)
        for name, app in (("one function", [str(file)]), ("demo", [])):
            # The first start leaves the app's bytecode.
            measured(1, options.model, app)
            for count in (1, options.workers):
                arbiter, workers = measured(count, options.model, app)
                together = sum(worker.proportional for worker in workers)
                own = statistics.mean(worker.private.total() for worker in workers)
                kinds = sum((worker.private for worker in workers), Counter[str]())
                parts = ", ".join(f"{kinds[kind] / count / 1024:.1f}" for kind in KINDS)
                sizes = (together, together + arbiter.proportional, own)
                print(f"| {name} | {count} | {' | '.join(f'{size / 1024:.1f} MiB' for size in sizes)} | {parts} |")


if __name__ == "__main__":
    main()
