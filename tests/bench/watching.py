"""What it costs to be watched: `:top` on a server with many workers under a steady load, and without it.

    python -m tests.bench.watching [--rounds 3] [--seconds 5] [--workers 50] [--rate 20000] [--model sync]

Every round runs the load twice, once with `:top` on a terminal of 24 rows and 80 columns. Figures are shares of one
processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rpcshell.lab.bench.measurement import Plan
from rpcshell.lab.bench.run import run_plan
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from tests.e2e.terminal import SHELL, Terminal

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: calls a second, and the processor time of the arbiter, the workers and `:top` as shares of one."""

    rate: float
    arbiter: float
    workers: float
    top: float

    @property
    def server(self) -> float:
        return self.arbiter + self.workers


def processor_seconds(pid: int) -> float:
    """Time that a process was on a processor (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / NANOSECONDS


def workers_of(server: SpawnedServer) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def measure(server: SpawnedServer, home: Path, plan: Plan, *, watched: bool) -> Figures:
    command = (*SHELL, server.addresses[0], "-c", ":top")
    with Terminal(home, command) if watched else nullcontext() as terminal:
        ended = threading.Event()
        reader = None
        pids = [server.pid, *workers_of(server)]
        if terminal is not None:
            terminal.wait_for("quit$")
            pids.append(terminal.pid)
            reader = threading.Thread(target=read_on, args=(terminal, ended))
            reader.start()
        before = list(map(processor_seconds, pids))
        began = time.monotonic()
        rate = run_plan(plan).rate
        seconds = time.monotonic() - began
        spent = [(now - then) / seconds for now, then in zip(map(processor_seconds, pids), before, strict=True)]
        ended.set()
        if reader is not None:
            reader.join()
    top = spent.pop() if watched else 0.0
    return Figures(rate, spent[0], sum(spent[1:]), top)


def read_on(terminal: Terminal, ended: threading.Event) -> None:
    """Take what a program writes, as a terminal does."""
    while not ended.is_set():
        os.read(terminal.process.child_fd, 1 << 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--model", default="sync")
    arguments = parser.parse_args()
    runs: dict[bool, list[Figures]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_STATE_HOME": f"{folder}/state", "XDG_RUNTIME_DIR": folder}
        server = SpawnedServer.start(SpawnOptions(arguments.workers, None, arguments.model))
        plan = Plan(
            target=server.addresses[0],
            method="ping",
            params={"a": 1},
            connections=arguments.workers,
            seconds=arguments.seconds,
            rate=arguments.rate,
        )
        try:
            for _ in range(arguments.rounds):
                for watched, found in runs.items():
                    found.append(measure(server, Path(folder), plan, watched=watched))
        finally:
            server.stop()
    for watched, found in runs.items():
        middle = {
            name: statistics.median(getattr(one, name) for one in found)
            for name in ("rate", "arbiter", "workers", "server", "top")
        }
        shares = "  ".join(f"{name} {middle[name]:.2%}" for name in ("arbiter", "workers", "server", "top"))
        print(f"{'with' if watched else 'without'} :top  {middle['rate']:,.0f} calls/s  {shares}")


if __name__ == "__main__":
    main()
