"""An app that takes a second to import and holds 50 MB, imported by each worker and once: times and memory.

    python -m tests.bench.preload [--workers 10] [--rounds 3] [--model sync]

Side by side, in turn: the server with and without `--preload`, and gunicorn with and without its own, where that is
installed. A worker is ready when a hook runs in it, as its server's last step before it serves. Memory is the
proportional set size (proc_pid_smaps(5)) of all workers together, with what they were forked from beside it. A
replacement's time is that from SIGKILL to the hook of the new worker. Beside the times stands the processor's, which
says more where the machine does other things too. The least of the rounds is shown: all else is the machine's doing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rpcserver.arbiter.memory_gauge import memory_use
from rpcserver.arbiter.slots import LIVED
from rpcshell.servers.processes import processes_under, processor_time
from tests.bench.contestants import free_port

PATIENCE: Final = 120.0
FIFO: Final = "PRELOAD_BENCH_FIFO"
APP: Final = """
import os
import time

from rpcserver import Service

began = time.process_time()
DATA = [str(number) for number in range(600_000)]
while time.process_time() - began < 1:
    pass
service = Service("heavy")


@service.on_worker_start
def tell(*_):
    file = os.open(os.environ["PRELOAD_BENCH_FIFO"], os.O_WRONLY)
    os.write(file, os.getpid().to_bytes(4, "little"))
    os.close(file)


@service.method
def ping(params):
    return params


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"{}"]
"""
GUNICORN: Final = """
def post_worker_init(worker):
    import heavy
    heavy.tell()
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds until all are ready and until a killed one is replaced; bytes of the workers and of their parent."""

    ready: float
    processor: float
    replaced: float
    workers: int
    parent: int

    def least(self, other: Measured | None) -> Measured:
        """The lesser of each."""
        if other is None:
            return self
        return Measured(
            min(self.ready, other.ready),
            min(self.processor, other.processor),
            min(self.replaced, other.replaced),
            min(self.workers, other.workers),
            min(self.parent, other.parent),
        )


class Workers:
    """Hears from workers that they are ready, by their pids."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fifo"
        os.mkfifo(self.path)
        # Open for writing too, it never ends.
        self._file = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def next(self) -> int:
        """Wait for the next one."""
        if not select.select([self._file], [], [], PATIENCE)[0]:
            raise SystemExit("no worker has become ready: the server's own words are above")
        return int.from_bytes(os.read(self._file, 4), "little")


@contextmanager
def running(command: list[str], folder: Path, workers: Workers) -> Iterator[int]:
    """Run a server, and end it with all that it has started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, FIFO: str(workers.path)},
        process_group=0,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def measure(command: list[str], count: int, folder: Path, workers: Workers) -> Measured:
    """Start a server, wait for its workers, weigh them, and kill one."""
    began = time.perf_counter()
    with running(command, folder, workers) as server:
        pids = [workers.next() for _ in range(count)]
        ready = time.perf_counter() - began
        processor = sum(processor_time(pid) for pid in processes_under(server))
        together = sum(memory_use(pid).pss or 0 for pid in pids)
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        parents = {server, *map(int, children)} - set(pids)
        parent = sum(memory_use(pid).pss or 0 for pid in parents)
        # Who dies sooner has died of its start.
        time.sleep(2 * LIVED)
        began = time.perf_counter()
        os.kill(pids[0], signal.SIGKILL)
        workers.next()
        return Measured(ready, processor, time.perf_counter() - began, together, parent)


def import_once(folder: Path, workers: Workers) -> tuple[float, float]:
    """Seconds that an interpreter takes to start and to import the app, and those of the processor."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, FIFO: str(workers.path)}
    subprocess.run([sys.executable, "-c", "import heavy"], check=True, cwd=folder, env=environment)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def commands(count: int, model: str) -> dict[str, tuple[list[str], int]]:
    """What is compared: command lines, and how many workers each has."""
    ours = [sys.executable, "-P", "-m", "rpcserver", "--log-level", "error", "--control", "none", "-m", model]
    ours += ["--start-timeout", "0"]
    ours += ["-b", "127.0.0.1:0", "heavy:service"]
    found = {
        "rpcserver, one worker": ([*ours, "-w", "1"], 1),
        "rpcserver": ([*ours, "-w", str(count)], count),
        "rpcserver --preload": ([*ours, "-w", str(count), "--preload"], count),
    }
    if importlib.util.find_spec("gunicorn") is None:
        print("gunicorn is not installed: pip install gunicorn")
        return found
    theirs = [
        sys.executable,
        "-m",
        "gunicorn",
        "-w",
        str(count),
        "--log-level",
        "error",
        "-b",
        f"127.0.0.1:{free_port()}",
    ]
    found["gunicorn"] = ([*theirs, "heavy:application"], count)
    found["gunicorn --preload"] = ([*theirs, "--preload", "heavy:application"], count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="sync")
    options = parser.parse_args()
    entrants = commands(options.workers, options.model)
    best: dict[str, Measured] = {}
    imported = processor = PATIENCE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "heavy.py").write_text(APP)
        (folder / "gunicorn.conf.py").write_text(GUNICORN)
        workers = Workers(folder)
        for _ in range(options.rounds):
            seconds, used = import_once(folder, workers)
            imported, processor = min(imported, seconds), min(processor, used)
            for entrant, (command, count) in entrants.items():
                best[entrant] = measure(command, count, folder, workers).least(best.get(entrant))
    one = best["rpcserver, one worker"].workers
    print(f"one import: {imported:.2f} s; {options.workers} {options.model} workers, {os.cpu_count()} processors\n")
    print(
        "| server | all ready | of one import | of its CPU | workers, PSS | of one worker | parent, PSS | replacement |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for entrant, found in best.items():
        print(
            f"| {entrant} | {found.ready:.2f} s | {found.ready / imported:.2f} "
            f"| {found.processor / processor:.2f} | {found.workers / 2**20:.0f} MiB "
            f"| {found.workers / one:.2f} | {found.parent / 2**20:.0f} MiB | {found.replaced * 1000:.1f} ms |"
        )


if __name__ == "__main__":
    main()
