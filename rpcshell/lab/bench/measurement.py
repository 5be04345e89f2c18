"""What a benchmark is asked for, what came of it, and the same as JSON for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from rpcshell.client.target import TlsFiles
from rpcshell.lab.load.messages import InstanceShare, Latencies
from rpcshell.line.masking import mask_params, mask_secrets, mask_text
from rpcshell.line.secrets import named_params
from rpcshell.view.histogram import Histogram
from rpcshell.view.plain import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ERROR_REPLY: Final = "error "
"""What the kinds of problems begin with that are replies of the server."""

_REACHED: Final = 0.98
"""Share of the rate asked for that is as good as all of it."""

_PERCENTILES: Final = (50, 75, 90, 95, 99, 99.9)

_Key = TypeVar("_Key", int, str)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark; what a `Task` has too means the same here, for all load processes together."""

    target: str
    method: str
    params: Any = None
    names: tuple[str, ...] = ()
    """Those of the method's params by position, as far as they are known."""
    connections: int = 8
    seconds: float | None = 10.0
    calls: int | None = None
    rate: float | None = None
    pipeline: int = 1
    processes: int | None = None
    """How many make the load; None for a number that suits."""
    timeout: float = 10.0
    plain: bool = False
    idempotent: bool = False
    tls: TlsFiles = TlsFiles()


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a part of a run; times are in seconds, calls and problems those of a `Measurement`."""

    seconds: float
    """When it ended, since the beginning."""
    length: float
    calls: int
    problems: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.length

    @property
    def middle(self) -> float:
        """When half of it was over, since the beginning."""
        return self.seconds - self.length / 2


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: what came of it since the beginning, and how fast it was lately."""

    seconds: float
    calls: int
    problems: int
    rate: float
    p99: float
    """In seconds."""

    share: float
    """How much of the run is over, from 0 to 1."""


class ServerUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost a server on this machine."""

    model: str
    workers: int
    cpu: float
    """Processor seconds of the arbiter and its workers."""
    memory: int | None
    """Theirs at the end in bytes, what they share counted once (PSS), or None where it is not told."""
    died: int
    """Workers that died meanwhile."""
    lost: int
    """Calls that were lost with them."""
    waiting: int
    """The most connections that were seen waiting to be accepted."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a benchmark."""

    plan: Plan
    began: float
    """In seconds since the epoch."""
    seconds: float
    """From the first call to the last reply."""
    calls: int
    """Calls that were answered, errors included."""
    latency: Latencies
    problems: dict[str, int]
    """Calls that went wrong, by what went wrong."""
    unsent: int
    """Calls that were due and could not be sent: the server was slower than the rate asked for."""
    timeline: list[Interval]
    workers: dict[int, int]
    """Calls by who answered them; empty where that is not told."""
    bytes_in: int
    bytes_out: int
    client_cpu: float
    """Processor seconds of the load processes."""
    processes: int = 1
    instances: dict[str, InstanceShare] = {}
    """What came of them at each instance, where it is a fleet."""
    examples: dict[str, str] = {}
    """What the first error of each kind said; texts of the server."""
    server: ServerUse | None = None
    """What it cost the server, where that can be known."""
    interrupted: bool = False

    @property
    def histogram(self) -> Histogram:
        """The latencies."""
        return Histogram(self.latency)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds if self.seconds else 0.0

    @property
    def keeps_up(self) -> bool:
        """Whether there was a rate to reach, and it was reached."""
        return self.plan.rate is not None and self.rate >= _REACHED * self.plan.rate

    @property
    def answered_well(self) -> int:
        """How many calls were answered without an error."""
        return self.calls - sum(count for kind, count in self.problems.items() if kind.startswith(_ERROR_REPLY))

    @property
    def failed(self) -> int:
        """How many calls went wrong."""
        return sum(self.problems.values())

    @property
    def attempts(self) -> int:
        """Calls that were begun and came to an end: answered, or lost."""
        return self.answered_well + self.failed

    def calls_by_worker(self) -> dict[int, int]:
        """The same as `workers`, with those that are known to be there and answered none."""
        told, server = self.workers, self.server
        # Workers are numbered from 1; one that came for another has another number, and both are there.
        if not told or server is None or server.died or max(told) > server.workers:
            return dict(sorted(told.items()))
        return dict.fromkeys(range(1, server.workers + 1), 0) | told


def summed(counts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    """Counts of several runs, or of several parts of one, put together."""
    total: Counter[_Key] = Counter()
    for part in counts:
        total.update(part)
    return dict(total)


def shares_summed(parts: Iterable[Mapping[str, InstanceShare]]) -> dict[str, InstanceShare]:
    """The shares of instances in several runs, or in several parts of one, put together."""
    total: dict[str, InstanceShare] = {}
    for part in parts:
        for name, share in part.items():
            whole = total.setdefault(name, InstanceShare())
            whole.calls += share.calls
            whole.failed += share.failed
            whole.lost += share.lost
            whole.latency = summed([whole.latency, share.latency])
    return dict(sorted(total.items()))


def as_json(measured: Measurement) -> dict[str, Any]:
    """A measurement as an object of JSON, in seconds and bytes, without the secrets in its params."""
    histogram = measured.histogram
    named = named_params(measured.plan.params, measured.plan.names)
    found: dict[str, Any] = json_value(measured)
    plan = found["plan"]
    del plan["tls"], plan["names"]
    plan["target"] = mask_secrets(plan["target"])
    plan["params"] = mask_params(plan["params"], measured.plan.names)
    latency: dict[str, Any] = {f"p{percent:g}": histogram.percentile(percent) for percent in _PERCENTILES}
    return found | {
        "rate": measured.rate,
        "failed": measured.failed,
        "examples": {kind: mask_text(said, named) for kind, said in measured.examples.items()},
        "latency": {**latency, "max": histogram.largest, "mean": histogram.mean},
        "histogram": [list(step) for step in histogram],
        "workers": {str(worker): calls for worker, calls in measured.workers.items()},
        "instances": {name: _share_as_json(share) for name, share in measured.instances.items()},
    }


def _share_as_json(share: InstanceShare) -> dict[str, Any]:
    histogram = Histogram(share.latency)
    latency = {f"p{percent:g}": histogram.percentile(percent) if share.calls else None for percent in _PERCENTILES}
    return {"calls": share.calls, "failed": share.failed, "lost": share.lost, "latency": latency}
