"""What calls cost the server by their kind: errors beside a result, calls that are counted by method, long params.

    python -m tests.bench.costs [--parts errors,metrics,long] [--models sync,async] [--turns 20] [--calls 20000]

Errors and counting are told in processor time of the whole server a call, with 8 connections. Kinds take turns of so
many calls, each time in another order, and the ratios are medians over all turns: a machine that does other things too
is slow for all of them alike. Of counting by method, which `--metrics` has done, a second server without it shows what
the figures are good for. Of long params it is told which share of a call is not reading and writing their JSON: in the
dispatcher, which all models have in common, in this process, by the least of many turns and without garbage collection.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from rpcserver import Peer, Service, WorkerInfo
from rpcserver.service.dispatch import Dispatcher
from rpcwire import encode_request, frame
from rpcwire.worker_models import MODELS
from tests.bench.contestants import rpcserver
from tests.bench.throughput import TICKS_PER_SECOND, build, session_ticks

CONNECTIONS = 8
ONE_EACH = frozenset({"sync", "fork"})
MOST_SECONDS = 120
APP = """
from rpcserver import RpcError, Service

service = Service("costs")

@service.method(blocking=False)
def add(a: float, b: float = 0) -> float:
    return a + b

@service.method(blocking=False)
def refuse(a: float, b: float = 0) -> float:
    raise RpcError("there is no such number", 404)

@service.method(blocking=False)
def refuse_with_data(a: float, b: float = 0) -> float:
    raise RpcError("there is no such number", 404, {"a": a})
"""
GOOD = ("add", {"a": 1})
KINDS: dict[str, tuple[str, Any]] = {
    "a result": GOOD,
    "unknown method": ("ad", {"a": 1}),
    "a value of another type": ("add", {"a": "1"}),
    "a missing param": ("add", {"b": 1}),
    "`RpcError`": ("refuse", {"a": 1}),
    "`RpcError` with data": ("refuse_with_data", {"a": 1}),
}
SIZES = (8_000, 92_000, 920_000)


@dataclass(slots=True)
class Entrant:
    """A server, what it is called with, and what each of its turns has cost.

    Attributes:
        rates: calls a second.
        costs: processor time of the server a call, in microseconds.
    """

    session: int
    port: int
    request: bytes
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def take_turn(self, folder: Path, calls: int) -> None:
        (folder / "request").write_bytes(self.request)
        arguments = map(str, (self.port, CONNECTIONS, calls, MOST_SECONDS, folder / "request"))
        before = sum(session_ticks(self.session))
        run = subprocess.run([folder / "loadgen", *arguments], check=True, stdout=subprocess.PIPE, text=True)
        self.costs.append((sum(session_ticks(self.session)) - before) * 1e6 / TICKS_PER_SECOND / calls)
        self.rates.append(json.loads(run.stdout)["rate"])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each turn."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def in_turn(folder: Path, entrants: Sequence[Entrant], turns: int, calls: int) -> None:
    order = random.Random(turns)
    for _ in range(turns):
        for entrant in order.sample(entrants, len(entrants)):
            entrant.take_turn(folder, calls)


def framed(method: str, params: object) -> bytes:
    return frame(encode_request(method, params))


def errors(folder: Path, model: str, workers: int, turns: int, calls: int) -> None:
    with rpcserver(model, workers, str(folder / "costs.py")) as (session, port):
        entrants = [Entrant(session, port, framed(*call)) for call in KINDS.values()]
        in_turn(folder, entrants, turns, calls)
    good, *bad = entrants
    cells = [f"{ratio(entrant.costs, good.costs):.2f}" for entrant in bad]
    print(f"| `{model}` | {statistics.median(good.costs):.1f} µs | {' | '.join(cells)} |", flush=True)


def metrics(folder: Path, model: str, workers: int, turns: int, calls: int) -> None:
    app = str(folder / "costs.py")
    with ExitStack() as stack:
        servers = [
            stack.enter_context(rpcserver(model, workers, *words, app))
            for words in ((), ("--metrics", "127.0.0.1:0"), ())
        ]
        plain, counted, other = entrants = [Entrant(*server, framed(*GOOD)) for server in servers]
        in_turn(folder, entrants, turns, calls)
    cells = [f"{ratio(one.costs, plain.costs):.3f} | {ratio(one.rates, plain.rates):.3f}" for one in (counted, other)]
    print(f"| `{model}` | {statistics.median(plain.costs):.1f} µs | {' | '.join(cells)} |", flush=True)


def long(turns: int) -> None:
    service = Service("long")

    @service.method(blocking=False)
    def ping(params: Any) -> Any:
        return params

    @service.method(blocking=False)
    def forward(params: msgspec.Raw) -> msgspec.Raw:
        return params

    def there_and_back(body: bytes) -> bytes:
        return write(read(body))

    dispatcher = Dispatcher(service, WorkerInfo(worker=1, pid=1, generation=0, model="sync"))
    read, write = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    peer = Peer("127.0.0.1:1")
    gc.disable()
    for size in SIZES:
        item = {"name": "a reading", "value": 1.25, "count": 12, "tags": ["x", "y"], "text": "some text of a length"}
        params = [item] * (size // len(write(item)))
        body, forwarded = encode_request("ping", params), encode_request("forward", params)
        ways: dict[str, Callable[[], object]] = {
            "json": partial(there_and_back, body),
            "typed": partial(dispatcher.answer, body, peer),
            "raw": partial(dispatcher.answer, forwarded, peer),
        }
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(turns * 10):
            for name, call in ways.items():
                began = time.process_time_ns()
                call()
                least[name] = min(least[name], (time.process_time_ns() - began) / 1000)
        beside = (least["typed"] - least["json"]) / least["typed"]
        print(
            f"| {len(body) / 1000:.0f} kB | {least['json']:.0f} µs | {least['typed']:.0f} µs | {beside:.0%} "
            f"| {least['raw']:.0f} µs |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--calls", type=int, default=20_000, help="a turn")
    parser.add_argument("--parts", default="errors,metrics,long", help="comma-separated")
    options = parser.parse_args()
    tables = {
        "errors": (errors, f"| model | {' | '.join(KINDS)} |", len(KINDS)),
        "metrics": (
            metrics,
            "| model | CPU a call | by method: CPU | calls/s | without, once more: CPU | calls/s |",
            5,
        ),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        (folder / "costs.py").write_text(APP)
        for part in options.parts.split(","):
            if part == "long":
                print("| request | JSON alone | a call | beside JSON | `msgspec.Raw` |\n|--:|--:|--:|--:|--:|")
                long(options.turns)
            else:
                measure, head, columns = tables[part]
                print(f"{head}\n|---|{'--:|' * columns}")
                for model in options.models.split(","):
                    workers = CONNECTIONS if model in ONE_EACH else 2
                    measure(folder, model, workers, options.turns, options.calls)
            print()


if __name__ == "__main__":
    main()
