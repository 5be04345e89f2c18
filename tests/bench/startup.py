"""Times from exec: to the shell's prompt, beside a bare prompt_toolkit session, of a whole one-shot call, and to a
server's first reply and until all its workers are ready.

    python -m tests.bench.startup [--runs 15]

All run in turn, so that a change of the machine's speed meets all of them. A prompt counts as
shown when its text is on a pseudo-terminal.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import pexpect

from rpcshell import ConnectionFailed, connect
from tests.bench.contestants import free_port, rpcserver

SERVER = [sys.executable, "-P", "-m", "rpcserver", "--log-level", "error"]
BARE = "bare PromptSession with a JSON lexer"
BARE_SESSION = """
from prompt_toolkit import PromptSession
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.data import JsonLexer
PromptSession(lexer=PygmentsLexer(JsonLexer)).prompt("bare> ")
"""


def time_to(pattern: str, command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds from exec until `pattern` shows on a pseudo-terminal."""
    start = time.perf_counter()
    child = pexpect.spawn(command[0], command[1:], dimensions=(40, 120), env=environment, timeout=20)
    try:
        while True:
            # A prompt asks the terminal where its cursor stands and draws only when it is told.
            if child.expect([r"\x1b\[6n", pattern]) == 1:
                return (time.perf_counter() - start) * 1000
            child.send("\x1b[1;1R")
    finally:
        child.close(force=True)


def whole_process(command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds a command takes from exec to exit."""
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def first_reply(workers: int) -> float:
    """Milliseconds from the exec of a server until a client that asks from the start has its reply."""
    port = free_port()
    start = time.perf_counter()
    process = subprocess.Popen([*SERVER, "--workers", str(workers), "--bind", f"127.0.0.1:{port}"])
    try:
        while True:
            try:
                with connect(f"127.0.0.1:{port}") as client:
                    client.call("ping")
                    return (time.perf_counter() - start) * 1000
            except ConnectionFailed:
                os.sched_yield()
    finally:
        process.terminate()
        process.wait()


def all_ready(workers: int) -> float:
    """Milliseconds from the exec of a server until it says that every worker is ready."""
    start = time.perf_counter()
    with rpcserver("sync", workers):
        return (time.perf_counter() - start) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    rpcshell = shutil.which("rpcshell")
    if rpcshell is None:
        parser.error("rpcshell is not installed: pip install -e . first")
    with tempfile.TemporaryDirectory() as home, rpcserver("sync", 2) as (_, port):
        environment = {**os.environ, "HOME": home, "TERM": "xterm-256color"}
        bare_session = [sys.executable, "-c", BARE_SESSION]
        call = [rpcshell, f"127.0.0.1:{port}", "-c", 'ping {"a":1}']
        measures: dict[str, Callable[[], float]] = {
            BARE: lambda: time_to("bare>", bare_session, environment),
            "rpcshell, to the prompt": lambda: time_to("rpcshell>", [rpcshell], environment),
            "one call, whole process": lambda: whole_process(call, environment),
            "rpcserver -w 10, to the first reply": lambda: first_reply(10),
            "rpcserver -w 10, to all ready": lambda: all_ready(10),
        }
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for measure in measures.values():
            measure()  # the first run fills the caches of files and bytecode
        for _ in range(options.runs):
            for name, measure in measures.items():
                taken[name].append(measure())
    bare = statistics.median(taken[BARE])
    print(f"{options.runs} runs of each in turn, milliseconds\n")
    print("| what | min | median | max | of the bare session |\n|---|--:|--:|--:|--:|")
    for name, values in taken.items():
        middle = statistics.median(values)
        print(f"| {name} | {min(values):.0f} | {middle:.0f} | {max(values):.0f} | {middle / bare:.2f} |")


if __name__ == "__main__":
    main()
