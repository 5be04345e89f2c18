"""Measures `rpcshell bench` against a load generator in C on the same server, and what it costs.

    python -m tests.bench.accuracy [--seconds 1]

Closed loop: both keep the same connections busy, in turn, and the same figures are read from both; the handler makes
some servers slow enough for any client. Open loop: the rate that was asked for is the rate that comes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rpcshell.lab.bench.measurement import Plan
from rpcshell.lab.bench.run import run_plan
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.view.histogram import Histogram
from rpcwire import encode_request, frame

ROUNDS = 5

APP = '''
import asyncio
import time

from rpcserver import Service

service = Service("load")
calls = 0

@service.method(out="pong")
def ping(params):
    return params

@service.method
def busy(microseconds: int) -> int:
    """Use the processor for some time."""
    end = time.monotonic_ns() + microseconds * 1000
    while time.monotonic_ns() < end:
        pass
    return microseconds

@service.method
async def wait(milliseconds: float) -> float:
    """Take some time without the processor, every thirtieth time four times as long."""
    global calls
    calls += 1
    await asyncio.sleep(milliseconds / (1000 if calls % 30 else 250))
    return milliseconds
'''

CASES: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("sync", "busy", {"microseconds": 400}, 1, 1),
    ("sync", "busy", {"microseconds": 400}, 4, 1),
    ("sync", "busy", {"microseconds": 70}, 1, 1),
    ("sync", "busy", {"microseconds": 30}, 1, 1),
    ("async", "wait", {"milliseconds": 5}, 16, 1),
    ("async", "wait", {"milliseconds": 5}, 64, 1),
    ("async", "wait", {"milliseconds": 3}, 64, 1),
    ("thread", "busy", {"microseconds": 50}, 2, 8),
    ("sync", "ping", {"a": 1}, 4, 1),
    ("thread", "ping", {"a": 1}, 4, 8),
]
"""Model, method, params, connections, calls at once on each."""


def generator(folder: Path) -> Path:
    program = folder / "loadgen"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("loadgen.c"), "-lm"], check=True)
    return program


def by_c(program: Path, request: Path, plan: Plan, seconds: float) -> dict[str, float]:
    port = plan.target.rpartition(":")[2]
    numbers = [port, str(plan.connections), "3000000", str(seconds)]
    command = [str(program), *numbers, str(request), str(plan.pipeline)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def beside(one: float, other: float) -> str:
    return f"{one:>9,.0f} /{other:>8,.0f} {(one / other - 1) * 100:>+5.0f} %"


def closed(folder: Path, program: Path, seconds: float) -> None:
    print(f"{'':42}{'calls/s':>18}{'':9}{'p50 us':>14}{'':9}{'p99 us':>15}{'':9}   client CPU us a call")
    for model, method, params, connections, pipeline in CASES:
        request = folder / "request"
        request.write_bytes(frame(encode_request(method, params)))
        server = SpawnedServer.start(
            SpawnOptions(workers=min(connections, 4), model=model, app=str(folder / "load.py"))
        )
        ours: list[tuple[float, float, float, float]] = []
        theirs: list[tuple[float, float, float]] = []
        try:
            plan = Plan(
                target=server.addresses[0],
                method=method,
                params=params,
                connections=connections,
                pipeline=pipeline,
                seconds=seconds,
            )
            for _ in range(ROUNDS):
                measured = run_plan(plan)
                assert not measured.problems, measured.problems
                latency = Histogram(measured.latency)
                p50, p99 = latency.percentile(50) * 1e6, latency.percentile(99) * 1e6
                ours.append((measured.rate, p50, p99, measured.client_cpu / measured.calls * 1e6))
                found = by_c(program, request, plan, seconds)
                theirs.append((found["rate"], found["p50"], found["p99"]))
        finally:
            server.stop()
        mine, other = [[statistics.median(column) for column in zip(*rows, strict=True)] for rows in (ours, theirs)]
        name = f"{model} {method} {next(iter(params.values()))} · {connections} x {pipeline}"
        text = "".join(beside(a, b) for a, b in zip(mine, other, strict=False))
        print(f"{name:42}{text}   {mine[3]:5.1f}")


def opened(folder: Path, seconds: float) -> None:
    print("\nopen loop, thread ping, 4 connections: calls/s asked for and reached, p50 and p99, client CPU a call")
    server = SpawnedServer.start(SpawnOptions(workers=4, model="thread", app=str(folder / "load.py")))
    try:
        for rate in (100.0, 1000.0, 5000.0, 10_000.0, 20_000.0):
            plan = Plan(target=server.addresses[0], method="ping", params={"a": 1}, connections=4, seconds=seconds)
            measured = run_plan(Plan(**{name: getattr(plan, name) for name in plan.__struct_fields__} | {"rate": rate}))
            latency = Histogram(measured.latency)
            p50, p99 = latency.percentile(50) * 1e6, latency.percentile(99) * 1e6
            cost = measured.client_cpu / measured.calls * 1e6
            print(f"{rate:>8,.0f} {measured.rate:>10,.1f} {p50:>7,.0f} us {p99:>7,.0f} us {cost:>6.1f} us")
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        folder = Path(name)
        (folder / "load.py").write_text(APP)
        closed(folder, generator(folder), seconds)
        opened(folder, seconds)


if __name__ == "__main__":
    main()
